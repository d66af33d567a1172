import { type Client, clientKeyOf } from '../model/api.ts'
import type { Finding } from '../model/finding.ts'
import { canonicalAddress } from '../model/ip-address.ts'
import type { Limit } from '../model/limit.ts'
import { ActiveLimit, limitKeyOf } from './active-limit.ts'
import { limitIdOf } from './plan.ts'
import type { Proposal, RefusalCode } from './proposal.ts'
import { sentenceOf } from './sentence.ts'

/** What Weir may have in the cluster at most. */
export interface LimitBudgets {
  /** Limits that are proposed, in shadow or enforced. */
  readonly limitsMax: number
  /** Clients of one API with such a limit. */
  readonly clientsPerApiMax: number
  /** CECs, armed ones included. */
  readonly cecsMax: number
  /** Writes that bring rules; taking rules back is never held up. */
  readonly writesPerMinuteMax: number
  /** Addresses of one client. */
  readonly addressesMax: number
  /** Ended limits that are remembered. */
  readonly endedMax: number
}

export type BookRefusalCode =
  | RefusalCode
  | 'paused'
  | 'cooling_down'
  | 'budget_limits'
  | 'budget_clients'
  | 'budget_cecs'

const NO_LIMIT: ReadonlySet<ActiveLimit> = new Set()

export interface LimitBookOptions {
  readonly budgets: LimitBudgets
  /** What a limit is meant to come to. */
  readonly mode: Limit['mode']
  readonly onLimit: (limit: Limit) => void
}

/** All limits by id, and the active ones by key and by address. Tells of each change. */
export class LimitBook {
  readonly refused = new Map<BookRefusalCode, number>()
  /** Findings that a limit was there for already. */
  repeated = 0
  evicted = 0
  readonly #budgets: LimitBudgets
  readonly #mode: Limit['mode']
  readonly #onLimit: (limit: Limit) => void
  readonly #byId = new Map<string, ActiveLimit | Limit>()
  readonly #activeByKey = new Map<string, ActiveLimit>()
  readonly #byAddress = new Map<string, Set<ActiveLimit>>()
  readonly #byClient = new Map<string, Set<ActiveLimit>>()

  constructor({ budgets, mode, onLimit }: LimitBookOptions) {
    this.#budgets = budgets
    this.#mode = mode
    this.#onLimit = onLimit
  }

  limits(): readonly Limit[] {
    return [...this.#byId.values()].map((entry) =>
      entry instanceof ActiveLimit ? entry.toLimit() : entry,
    )
  }

  active(): readonly ActiveLimit[] {
    return [...this.#activeByKey.values()]
  }

  /** Active limits that are, or were, keyed on the address, in whatever form it is written. */
  byAddress(address: string): ReadonlySet<ActiveLimit> {
    if (this.#byAddress.size === 0) return NO_LIMIT
    // Only IPv6 has more than one form.
    const key = address.includes(':') ? (canonicalAddress(address) ?? '') : address
    return this.#byAddress.get(key) ?? NO_LIMIT
  }

  /** Active limits on the client, wherever it calls from. */
  ofClient({ kind, value }: Pick<Client, 'kind' | 'value'>): readonly ActiveLimit[] {
    const limits = this.#byClient.get(value)
    if (limits === undefined) return []
    return [...limits].filter(({ proposal }) => proposal.client.kind === kind)
  }

  /** The active limit that the finding would cause again. */
  activeFor(finding: Finding): ActiveLimit | undefined {
    const { client, api, suggestion } = finding
    if (client === null || api === null || suggestion === null) return undefined
    const { scope } = suggestion.limit
    const operation = scope === 'api' ? null : finding.operation
    const limit = this.#activeByKey.get(limitKeyOf({ client, api, operation, scope }))
    if (limit !== undefined) this.repeated++
    return limit
  }

  /** Which budget one more limit would break, and how to say it. */
  budgetProblem(
    proposal: Proposal,
  ): { readonly code: BookRefusalCode; readonly message: string } | undefined {
    const { limitsMax, clientsPerApiMax } = this.#budgets
    if (this.#activeByKey.size >= limitsMax) {
      return {
        code: 'budget_limits',
        message: `${limitsMax} limits are active, which is the budget`,
      }
    }
    const clients = new Set([clientKeyOf(proposal.client)])
    for (const { proposal: other } of this.#activeByKey.values()) {
      if (other.api.id === proposal.api.id) clients.add(clientKeyOf(other.client))
    }
    if (clients.size <= clientsPerApiMax) return undefined
    const message = `${clientsPerApiMax} clients of ${proposal.api.name} are limited, which is the budget`
    return { code: 'budget_clients', message }
  }

  /** An id for the finding's next limit: ended ones keep theirs. */
  idFor(finding: string): string {
    let occurrence = 0
    while (this.#byId.get(limitIdOf(finding, occurrence)) instanceof ActiveLimit) occurrence++
    return limitIdOf(finding, occurrence)
  }

  add(limit: ActiveLimit): void {
    this.#byId.delete(limit.id)
    this.#byId.set(limit.id, limit)
    this.#activeByKey.set(limit.key, limit)
    for (const address of limit.addresses) index(this.#byAddress, address, limit)
    index(this.#byClient, limit.proposal.client.value, limit)
    this.#onLimit(limit.toLimit())
  }

  /** To be called after each change of a limit that others may see. */
  changed(limit: ActiveLimit): void {
    if (limit.ended && this.#activeByKey.get(limit.key) === limit) {
      this.#activeByKey.delete(limit.key)
      for (const address of limit.keyedOn) unindex(this.#byAddress, address, limit)
      unindex(this.#byClient, limit.proposal.client.value, limit)
      this.#evict()
    }
    this.#onLimit(limit.toLimit())
  }

  /** Keys the limit on further addresses, as far as the budget allows; tells whether there were any. */
  widen(limit: ActiveLimit, addresses: readonly string[]): boolean {
    const before = limit.addresses.size
    for (const address of addresses) {
      if (limit.addresses.size >= this.#budgets.addressesMax) break
      if (limit.lost.has(address) || limit.addresses.has(address)) continue
      limit.follow(address)
      index(this.#byAddress, address, limit)
    }
    return limit.addresses.size > before
  }

  /** A limit that will not be. Told once for each reason, however often the finding comes. */
  refuse(finding: Finding, code: BookRefusalCode, why: string, atMs: number): void {
    const { client, suggestion } = finding
    if (client === null || suggestion === null) return
    this.refused.set(code, (this.refused.get(code) ?? 0) + 1)
    const reason = sentenceOf(why)
    const id = this.idFor(finding.id)
    const known = this.#byId.get(id)
    if (known !== undefined && known.reason === reason) return
    const asked = { client, ...suggestion.limit, mode: this.#mode }
    const limit = refusedLimit(id, finding, asked, reason, atMs)
    this.#byId.delete(id)
    this.#byId.set(id, limit)
    this.#evict()
    this.#onLimit(limit)
  }

  #evict(): void {
    let over = this.#byId.size - this.#activeByKey.size - this.#budgets.endedMax
    for (const [id, entry] of this.#byId) {
      if (over <= 0) return
      if (entry instanceof ActiveLimit && !entry.ended) continue
      this.#byId.delete(id)
      this.evicted++
      over--
    }
  }
}

type LimitIndex = Map<string, Set<ActiveLimit>>

function index(by: LimitIndex, key: string, limit: ActiveLimit): void {
  const limits = by.get(key) ?? new Set()
  limits.add(limit)
  by.set(key, limits)
}

function unindex(by: LimitIndex, key: string, limit: ActiveLimit): void {
  const limits = by.get(key)
  limits?.delete(limit)
  if (limits?.size === 0) by.delete(key)
}

function refusedLimit(
  id: string,
  finding: Finding,
  asked: Pick<Limit, 'client' | 'rate' | 'per' | 'burst' | 'scope' | 'mode'>,
  reason: string,
  atMs: number,
): Limit {
  const { client, rate, per, burst, scope, mode } = asked
  return {
    id,
    finding: finding.id,
    client,
    api: finding.api,
    operation: scope === 'api' ? null : finding.operation,
    rate,
    per,
    burst,
    scope,
    mode,
    state: 'refused',
    reason,
    since: new Date(atMs).toISOString(),
    until: null,
    revision: null,
    effect: 'undecided',
    evidence: { limited: 0, passed: 0, others_limited: 0 },
  }
}
