import type { Api, ClientApplication } from '../model/api.ts'
import { ApiCall, type CallOutcome } from '../model/api-call.ts'
import type { Exchange, Report } from '../model/exchange.ts'
import type { LimitsInForce } from '../model/limit.ts'
import type { Stage } from '../pipeline/contract.ts'
import type { HashedApplications } from './applications.ts'
import type { Catalogue } from './catalogue.ts'
import type { ClientNamer, NamedClient } from './client.ts'
import { type ResolvedExchange, resolveAs, resolveExchange } from './exchange-resolver.ts'
import { LegJoin } from './leg-join.ts'
import { isShadowed, limiterOf } from './limit-mark.ts'
import type { Resolution } from './resolution.ts'

/** Nothing ends here: every exchange goes on as one call, whatever is known of it. */
export const IDENTITY_OUTCOMES = ['kept'] as const

export interface IdentityOptions {
  /** The snapshot that was in force at `timeMs` (Unix ms); replaced whole. */
  readonly catalogue: (timeMs: number) => Catalogue
  readonly limits: () => LimitsInForce
  readonly clients: ClientNamer
  /** As `exchange` hashes identity values: finds the application of a client id. Absent: no applications. */
  readonly hashIdentity?: (value: string) => string
  /** The last word on what was found, such as a learned operation for what is declared nowhere. */
  readonly complete?: (resolution: Resolution, exchange: Exchange) => Resolution
  /** How long a call behind a gateway waits for the one into it, in ms; 0: not at all. */
  readonly joinWaitMs?: number
  /** Calls that wait at most; beyond it the oldest goes on as it is. */
  readonly waitingMax?: number
}

export interface IdentityStage extends Stage<Exchange, ApiCall> {
  /** What its bounds cost, by table. */
  evictions(): { readonly legs: number; readonly waiting: number }
}

interface Waiting {
  readonly exchange: Exchange
  readonly resolved: ResolvedExchange
  readonly sinceMs: number
}

type Emit = (call: ApiCall) => void

const JOIN_WAIT_MS = 2_000
const WAITING_MAX = 10_000
const HASHES_MAX = 100_000

/**
 * Names the API, the operation and the client of each exchange. What a gateway sends on, and cannot
 * be told by itself, waits for the call into the gateway with the same x-request-id: that one ends
 * later. It does so only while such calls are seen at all.
 */
export function createIdentityStage(options: IdentityOptions): IdentityStage {
  return new Identity(options)
}

class Identity implements IdentityStage {
  readonly #options: IdentityOptions
  readonly #legs = new LegJoin()
  /** Oldest first; by x-request-id. */
  readonly #waiting = new Map<string, Waiting[]>()
  readonly #waitMs: number
  readonly #waitingMax: number
  readonly #applications = new WeakMap<Catalogue, HashedApplications>()
  /** Most client ids stay from one catalogue to the next, and hashing all anew holds up the flows. */
  readonly #hashes = new Map<string, string>()
  #held = 0
  #released = 0
  #wallMs = 0

  constructor(options: IdentityOptions) {
    this.#options = options
    this.#waitMs = options.joinWaitMs ?? JOIN_WAIT_MS
    this.#waitingMax = options.waitingMax ?? WAITING_MAX
  }

  get held(): number {
    return this.#held
  }

  evictions(): { readonly legs: number; readonly waiting: number } {
    return { legs: this.#legs.evicted, waiting: this.#released }
  }

  accept(exchange: Exchange, emit: Emit): 0 {
    const { requestId } = exchange
    const resolved = resolveExchange(this.#catalogueOf(exchange), exchange)
    const { resolution, via } = resolved
    const { api, confidence } = resolution
    if (via === 'client' && requestId !== '' && api !== null && confidence !== 'low') {
      this.#legs.add(exchange, resolution)
      this.#emit(exchange, resolved, emit)
      for (const waiting of this.#take(requestId)) this.#join(waiting, emit)
      return 0
    }
    const isOpen = via === 'gateway' && requestId !== '' && !isSettled(resolution)
    if (!isOpen) this.#emit(exchange, resolved, emit)
    else if (this.#legs.find(exchange) !== undefined) this.#join({ exchange, resolved }, emit)
    else if (this.#waitMs > 0 && this.#legs.isOfUse(exchange.report.startMs)) {
      this.#hold({ exchange, resolved, sinceMs: this.#wallMs }, emit)
    } else this.#emit(exchange, resolved, emit)
    return 0
  }

  advance(eventMs: number, wallMs: number, emit: Emit): void {
    if (wallMs !== Number.POSITIVE_INFINITY) this.#wallMs = wallMs
    this.#legs.forgetBefore(eventMs)
    for (const [id, [oldest]] of this.#waiting) {
      if (oldest !== undefined && wallMs - oldest.sinceMs < this.#waitMs) return
      for (const { exchange, resolved } of this.#take(id)) this.#emit(exchange, resolved, emit)
    }
  }

  #hold(waiting: Waiting, emit: Emit): void {
    if (this.#held >= this.#waitingMax) {
      const [oldest] = this.#waiting.keys()
      for (const { exchange, resolved } of this.#take(oldest ?? '')) {
        this.#released++
        this.#emit(exchange, resolved, emit)
      }
    }
    const { requestId } = waiting.exchange
    const known = this.#waiting.get(requestId)
    if (known === undefined) this.#waiting.set(requestId, [waiting])
    else known.push(waiting)
    this.#held++
  }

  #take(requestId: string): readonly Waiting[] {
    const waiting = this.#waiting.get(requestId)
    if (waiting === undefined) return []
    this.#waiting.delete(requestId)
    this.#held -= waiting.length
    return waiting
  }

  /** The call into the gateway names the API, if that API may be behind this destination at all. */
  #join({ exchange, resolved }: Pick<Waiting, 'exchange' | 'resolved'>, emit: Emit): void {
    const leg = this.#legs.find(exchange)
    const api = leg?.api ?? null
    if (leg === undefined || api === null) return this.#emit(exchange, resolved, emit)
    const own = resolveAs(this.#catalogueOf(exchange), exchange, api)
    if (own.api !== api) return this.#emit(exchange, resolved, emit)
    const isByPath = own.how.split('+').includes('path')
    const resolution: Resolution = {
      api,
      operation: own.operation ?? leg.operation,
      confidence: isByPath ? leg.confidence : 'high',
      how: 'request-id',
      candidates: [api],
      more: 0,
    }
    this.#emit(exchange, { ...resolved, resolution }, emit)
  }

  #emit(exchange: Exchange, { resolution, via, fromGateway }: ResolvedExchange, emit: Emit): void {
    const limits = this.#options.limits()
    const named = this.#options.complete?.(resolution, exchange) ?? resolution
    const { client, address } = this.#clientOf(exchange, fromGateway, named.api)
    const limitedBy = limiterOf(exchange, limits)
    const outcome: CallOutcome = limitedBy === null ? exchange.outcome : 'limited'
    emit(
      new ApiCall({
        ...named,
        exchange,
        outcome,
        client,
        clientAddress: address,
        via,
        limitedBy,
        wouldLimit: isShadowed(exchange, limits),
      }),
    )
  }

  #catalogueOf(exchange: Exchange): Catalogue {
    return this.#options.catalogue(exchange.report.seenMs)
  }

  #clientOf(exchange: Exchange, fromGateway: boolean, api: Api | null): NamedClient {
    const { source, sourceIp, sourceNames = [] } = callerIn(exchange)
    const told = fromGateway ? (exchange.apiClaim?.token?.application ?? '') : ''
    const known = this.#applicationOf(exchange, api)
    return this.#options.clients.nameOf({
      identityValues: exchange.identityValues,
      application: told || (known === undefined ? '' : `${known.organization}/${known.name}`),
      // What the gateway itself wrote counts more than a header that it let through.
      subscriber: told === '' || told === known?.name ? known : undefined,
      forwardedFor: exchange.forwardedFor,
      source,
      sourceIp,
      sourceNames,
      // Cilium's own gateway keeps the client's address; a gateway's pod puts its own in its place.
      sharedAddress: fromGateway && source.reserved === '',
    })
  }

  /** Finds a WSO2 application by the hash of its client id; the table is made once a catalogue. */
  #applicationOf(exchange: Exchange, api: Api | null): ClientApplication | undefined {
    const { hashIdentity } = this.#options
    const { identityValues } = exchange
    if (hashIdentity === undefined || identityValues.length === 0) return undefined
    const catalogue = this.#catalogueOf(exchange)
    if (catalogue.applications.size === 0) return undefined
    let hashed = this.#applications.get(catalogue)
    if (hashed === undefined) {
      hashed = catalogue.applications.hashed((clientId) => this.#hashOf(clientId, hashIdentity))
      this.#applications.set(catalogue, hashed)
    }
    return hashed.find(identityValues, api)
  }

  #hashOf(clientId: string, hashIdentity: (value: string) => string): string {
    const known = this.#hashes.get(clientId)
    if (known !== undefined) return known
    if (this.#hashes.size >= HASHES_MAX) this.#hashes.clear()
    const hash = hashIdentity(clientId)
    this.#hashes.set(clientId, hash)
    return hash
  }
}

/** Nothing that the call into the gateway could tell better. */
function isSettled({ confidence }: Resolution): boolean {
  return confidence === 'exact' || confidence === 'high'
}

/** The report that knows the caller: the server's proxy may see no more than a node. */
function callerIn({ report, twin }: Exchange): Report {
  const known = report.source.pod !== '' || report.source.workload !== '' || report.sourceIp !== ''
  return known || twin === null ? report : twin
}
