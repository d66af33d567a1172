import { clientKeyOf } from '../model/api.ts'
import type { ApiCall } from '../model/api-call.ts'
import type { Discovery, DiscoveryKind } from '../model/discovery.ts'
import type { Endpoint } from '../model/endpoint.ts'
import type { Exchange } from '../model/exchange.ts'
import type { Outcome, Sink } from '../pipeline/contract.ts'
import { DiscoveryBook } from './discovery-book.ts'
import type { DiscoveryOptions } from './discovery-options.ts'
import { calledWorkloadOf, isUndeclared } from './learned-operations.ts'
import { OrphanWatch } from './orphan-watch.ts'
import { ScanBucket, type Scanner } from './scan-bucket.ts'

/** Index = outcome; 0: it counts for, or against, a discovery. */
export const DISCOVERY_OUTCOMES = [
  'seen',
  'filtered:revision',
  'filtered:limited_by_weir',
  'filtered:probe',
  'filtered:ambiguous',
  'filtered:no_workload',
  'filtered:scan',
  'filtered:unconfirmed',
] as const
const SEEN = 0
const REVISION = 1
const LIMITED = 2
const PROBE = 3
const AMBIGUOUS = 4
const NO_WORKLOAD = 5
const SCAN = 6
const UNCONFIRMED = 7

/** A call may be this far ahead of the flows' clock: beyond it, its node's clock is wrong. */
const AHEAD_MAX_MS = 60_000
/** Calls that were on their way when an API was removed. */
const REMOVED_GRACE_MS = 60_000
/** What every workload answers to its cluster, and nobody declares. */
const CLUSTER_PATHS = ['/healthz', '/livez', '/metrics', '/readyz']
/** Where kubelet's probes come from; the user agent alone is anybody's to choose. */
const NODES = new Set(['host', 'remote-node', 'kube-apiserver'])

export interface Discoverer extends Sink<ApiCall> {
  /** The last telling of each, newest first. */
  list(): readonly Discovery[]
  /** How many of each kind are open. */
  open(): Readonly<Record<DiscoveryKind, number>>
  /** Who asks most for paths that nobody has. */
  scanners(max: number): readonly Scanner[]
  /** What the bounds cost so far, by table. */
  evictions(): Readonly<Record<string, number>>
}

/**
 * Compares what is called with what is declared. What is called and not declared must answer: a path
 * that is only ever 404 or 405 is a scan, counted by client, and nothing else. Its only clock is that of
 * the flows. Each discovery is told once, again every `retellMs` while it goes on, and when it is over;
 * an orphan once, and when it is over. `onDiscovery` is called inside `accept` or `advance`.
 */
export function createDiscovery(
  options: DiscoveryOptions,
  onDiscovery: (discovery: Discovery) => void,
): Discoverer {
  return new Discovering(options, onDiscovery)
}

const HOUR_MS = 3_600_000

class Discovering implements Discoverer {
  readonly #options: DiscoveryOptions
  readonly #windowMs: number
  readonly #ignored: ReadonlySet<string>
  readonly #scans: ScanBucket
  readonly #orphans: OrphanWatch
  readonly #book: DiscoveryBook
  #nowMs = 0
  #tickWindow = 0

  constructor(options: DiscoveryOptions, onDiscovery: (discovery: Discovery) => void) {
    this.#options = options
    this.#windowMs = options.windowMs ?? 60_000
    this.#ignored = new Set(options.ignoredTemplates ?? CLUSTER_PATHS)
    this.#scans = new ScanBucket(options.scannersMax ?? 10_000)
    this.#book = new DiscoveryBook({
      enough: { requests: options.requestsMin ?? 20, windows: options.windowsMin ?? 2 },
      windowMs: this.#windowMs,
      retellMs: options.retellMs ?? 24 * HOUR_MS,
      quietMs: options.quietMs ?? 24 * HOUR_MS,
      pendingMax: options.pendingMax ?? 5_000,
      openMax: options.openMax ?? 1_000,
      listMax: options.listMax ?? 1_000,
      onDiscovery,
    })
    this.#orphans = new OrphanWatch({
      silentMs: options.orphanMs ?? 7 * 24 * HOUR_MS,
      coverageMin: options.coverageMin ?? 0.9,
      coverage: options.coverage ?? (() => 1),
      operationsMax: options.operationsMax ?? 100_000,
      servicesOf: options.servicesOf,
      onOrphan: (orphan) => this.#book.orphan(orphan),
      onEnd: (orphan, isCalled) => this.#book.orphanEnded(orphan, isCalled),
    })
  }

  accept(call: ApiCall): Outcome {
    const { exchange } = call
    if (exchange.revises) return REVISION
    const timeMs = this.#timeOf(exchange.endMs)
    this.#orphans.declare(this.#options.apis(), timeMs)
    if (call.confidence === 'ambiguous') {
      this.#orphans.heardVaguely(call)
      return AMBIGUOUS
    }
    const isDeclared = !isUndeclared(call)
    this.#orphans.heard(call, isDeclared, timeMs)
    if (call.limitedBy === 'weir') return LIMITED
    if (isProbe(exchange)) return PROBE
    if (!isDeclared) return this.#undeclared(call, timeMs)
    if (isPastGateway(call)) this.#bypass(call, timeMs)
    return SEEN
  }

  advance(eventMs: number): void {
    // The end of the input is not the end of what goes on.
    if (!Number.isFinite(eventMs) || eventMs <= this.#nowMs) return
    this.#nowMs = eventMs
    const window = Math.floor(eventMs / this.#windowMs)
    if (window === this.#tickWindow) return
    this.#tickWindow = window
    this.#orphans.declare(this.#options.apis(), eventMs)
    this.#orphans.tick(eventMs)
    this.#book.closeQuiet(eventMs)
  }

  list(): readonly Discovery[] {
    return this.#book.list()
  }

  open(): Readonly<Record<DiscoveryKind, number>> {
    return { ...this.#book.open(), orphan: this.#orphans.told }
  }

  scanners(max: number): readonly Scanner[] {
    return this.#scans.busiest(max)
  }

  evictions(): Readonly<Record<string, number>> {
    return {
      discovery_evidence: this.#book.evicted,
      discoveries: this.#book.untold,
      scanners: this.#scans.evicted,
      watched_operations: this.#orphans.overflowed,
    }
  }

  /** A node whose clock is ahead must not keep alive for ever what it saw. */
  #timeOf(endMs: number): number {
    if (!(endMs > 0)) return this.#nowMs
    return this.#nowMs === 0 ? endMs : Math.min(endMs, this.#nowMs + AHEAD_MAX_MS)
  }

  #undeclared(call: ApiCall, timeMs: number): Outcome {
    const { exchange, api } = call
    const called = calledWorkloadOf(exchange)
    if (called === undefined) return NO_WORKLOAD
    const learned = this.#options.learned.of(exchange, api)
    if (learned === undefined) {
      if (exchange.status !== 404 && exchange.status !== 405) return UNCONFIRMED
      this.#scans.add(clientKeyOf(call.client), timeMs)
      return SCAN
    }
    const removed = api === null ? this.#options.removedApi?.(exchange) : undefined
    if (removed !== undefined) {
      const { removedMs } = removed
      if (timeMs <= removedMs + REMOVED_GRACE_MS) return SEEN
      const of = { kind: 'zombie', called, api: removed.api, operation: null, removedMs } as const
      this.#book.note(of, call, timeMs, true)
      return SEEN
    }
    const { operation, template, isPromoted } = learned
    if (this.#ignored.has(template)) return PROBE
    const kind = api !== null && this.#orphans.declares(api) ? 'undocumented' : 'shadow'
    this.#book.note({ kind, called, api, operation, removedMs: 0 }, call, timeMs, isPromoted)
    return SEEN
  }

  #bypass(call: ApiCall, timeMs: number): void {
    const called = calledWorkloadOf(call.exchange)
    const { api } = call
    if (called === undefined || api === null) return
    if (this.#options.isManaged?.(api) === false) return
    const of = { kind: 'bypass', called, api, operation: null, removedMs: 0 } as const
    this.#book.note(of, call, timeMs, true)
  }
}

/** Kubelet's, by its name and by where it comes from. */
function isProbe({ userAgent, report, twin }: Exchange): boolean {
  if (!userAgent.startsWith('kube-probe/')) return false
  return NODES.has(report.source.reserved) || (twin !== null && NODES.has(twin.source.reserved))
}

/**
 * Straight to a backend, from somebody who is known not to be its gateway: one that nobody knows, or
 * that shares its node's address, may be.
 */
function isPastGateway({ via, confidence, exchange }: ApiCall): boolean {
  if (via !== 'direct' || confidence !== 'high') return false
  const { report, twin } = exchange
  return isOutsider(report.source) || (twin !== null && isOutsider(twin.source))
}

function isOutsider({ pod, workload, reserved }: Endpoint): boolean {
  return pod !== '' || workload !== '' || reserved.startsWith('world')
}
