import { clientKeyOf } from '../model/api.ts'
import type { ApiCall } from '../model/api-call.ts'
import { Direction } from '../model/flow-view.ts'
import type { Limit, LimitEffect, LimitState } from '../model/limit.ts'
import { perSecondOf } from './bucket.ts'
import { effectOf } from './effect.ts'
import type { Proposal } from './proposal.ts'
import { RecentCalls, recentFromMs } from './recent-calls.ts'

/** Which rules a limit wants to stand in its CECs, or has there. */
export type Standing = 'none' | 'shadow' | 'enforce'

/** (node, address) pairs that are told apart; more count as this many. */
const BUCKETS_MAX = 64
const ENDED: readonly LimitState[] = ['expired', 'reverted', 'refused']

export interface LimitOrigin {
  readonly id: string
  readonly finding: string
  readonly mode: 'shadow' | 'enforce'
  /** Unix ms. */
  readonly sinceMs: number
}

/** One limit on its way: what it wants, what stands, what was seen. Times are Unix ms. */
export class ActiveLimit {
  readonly id: string
  readonly finding: string
  readonly mode: 'shadow' | 'enforce'
  readonly proposal: Proposal
  readonly key: string
  state: LimitState = 'proposed'
  reason = ''
  effect: LimitEffect = 'undecided'
  wanted: Standing = 'none'
  /** Why its rules do not stand as wanted; ''. */
  trouble = ''
  readonly addresses: Set<string>
  /** Every address that it was ever keyed on: answers are told later than they were given. */
  readonly keyedOn: Set<string>
  /** Addresses that turned out to be somebody else's, or nobody's: it is never keyed on them again. */
  readonly lost = new Set<string>()
  readonly bornMs: number
  sinceMs: number
  untilMs: number | null
  revision: string | null = null
  /** From when on evidence counts: after the write, and the time that agents need for it. */
  windowMs = Number.POSITIVE_INFINITY
  /** Marks of `judgeMs` that have been judged. */
  judged = 0
  refills = 0
  limited = 0
  passed = 0
  othersLimited = 0
  readonly #buckets = new Set<string>()
  /** Addresses that came later, and from when on they are limited, too. */
  readonly #newcomers = new Map<string, number>()
  readonly #recentlyLimited = new RecentCalls()
  readonly #recentlyPassed = new RecentCalls()

  constructor(origin: LimitOrigin, proposal: Proposal, untilMs: number) {
    this.id = origin.id
    this.finding = origin.finding
    this.mode = origin.mode
    this.bornMs = origin.sinceMs
    this.sinceMs = origin.sinceMs
    this.proposal = proposal
    this.key = limitKeyOf(proposal)
    this.addresses = new Set(proposal.addresses)
    this.keyedOn = new Set(proposal.addresses)
    this.untilMs = untilMs
  }

  get ended(): boolean {
    return ENDED.includes(this.state)
  }

  /** Keys the limit on one more address of its client. */
  follow(address: string): void {
    this.addresses.add(address)
    this.keyedOn.add(address)
    this.#newcomers.set(address, Number.POSITIVE_INFINITY)
  }

  get hasUnwritten(): boolean {
    return [...this.#newcomers.values()].includes(Number.POSITIVE_INFINITY)
  }

  /** The rules of all its addresses stand, and act from `atMs` on. */
  allWritten(atMs: number): void {
    for (const [address, fromMs] of this.#newcomers) {
      if (fromMs === Number.POSITIVE_INFINITY) this.#newcomers.set(address, atMs)
    }
  }

  /** Counts a call that our rules refused, or would have. */
  countLimited(call: ApiCall): void {
    this.limited++
    this.#recentlyLimited.add(call.exchange.report.startMs)
  }

  /** Counts an answer that passed, from the window on. */
  countPassed(call: ApiCall, address: string): void {
    const fromMs = Math.max(this.windowMs, this.#newcomers.get(address) ?? 0)
    if (call.exchange.report.startMs < fromMs) return
    this.passed++
    this.#recentlyPassed.add(call.exchange.report.startMs)
    if (this.#buckets.size < BUCKETS_MAX) {
      this.#buckets.add(`${clientNodeOf(call)}\n${address}`)
    }
  }

  /** Starts counting anew for the rules that now stand. */
  openWindow(atMs: number): void {
    this.windowMs = atMs
    this.judged = 0
    this.refills = 0
    this.limited = 0
    this.passed = 0
    this.othersLimited = 0
    this.#buckets.clear()
  }

  /**
   * How many calls a second the client tries for, as of `atMs`, with what we refuse; undefined where
   * that is no more than the limit lets pass, so that the limit is not needed any more.
   */
  attemptsAbove(atMs: number): number | undefined {
    const limited = this.#recentlyLimited.countAt(atMs)
    const fromMs = Math.max(recentFromMs(atMs), this.sinceMs)
    const seconds = Math.max(1, (atMs - fromMs) / 1_000)
    const rate = (limited + this.#recentlyPassed.countAt(atMs)) / seconds
    return limited > 0 && rate > perSecondOf(this.proposal.bucket) ? rate : undefined
  }

  /** The call is another client's: named in the same way, with another name. */
  isOthers({ client }: ApiCall): boolean {
    const own = this.proposal.client
    return client.kind === own.kind && client.value !== own.value
  }

  /** `seconds`: how long the window is at least. */
  verdict(seconds: number): ReturnType<typeof effectOf> {
    return effectOf(this.proposal.bucket, {
      limited: this.limited,
      passed: this.passed,
      buckets: this.#buckets.size * this.proposal.places.length,
      refills: this.refills,
      seconds,
    })
  }

  /** Whether the call is one that this limit is about. `surely`: what is not known does not count. */
  covers(call: ApiCall, surely: boolean): boolean {
    if (call.api === null || (call.confidence === 'low' && !surely)) return !surely
    const { api, scope, operation } = this.proposal
    if (call.api.id !== api.id || call.api.version !== api.version) return false
    if (scope === 'api') return true
    if (call.operation === null) return !surely
    return (
      call.operation.method === operation?.method && call.operation.template === operation.template
    )
  }

  toLimit(): Limit {
    const { client, api, operation, scope, rate, per, burst } = this.proposal
    return {
      id: this.id,
      finding: this.finding,
      client: { ...client, addresses: [...this.addresses] },
      api,
      operation,
      rate,
      per,
      burst,
      scope,
      mode: this.mode,
      state: this.state,
      reason: this.trouble === '' ? this.reason : `${this.reason}; ${this.trouble}`,
      since: new Date(this.sinceMs).toISOString(),
      until: this.untilMs === null ? null : new Date(this.untilMs).toISOString(),
      revision: this.revision,
      effect: this.effect,
      evidence: {
        limited: this.limited,
        passed: this.passed,
        others_limited: this.othersLimited,
      },
    }
  }
}

/** One client and what of an API it is limited on: two limits with one key would be the same. */
export function limitKeyOf(
  limit: Pick<Proposal, 'client' | 'api' | 'operation' | 'scope'>,
): string {
  const { client, api, operation, scope } = limit
  const on =
    scope === 'api' || operation === null ? '*' : `${operation.method} ${operation.template}`
  return `${clientKeyOf(client)}\n${api.id}\n${api.version}\n${scope}\n${on}`
}

/** The node that the client's calls enter by: the one whose proxy reported as the client's. */
function clientNodeOf(call: ApiCall): string {
  const { report, twin } = call.exchange
  return twin?.direction === Direction.egress ? twin.node : report.node
}
