import { describeError, EnforceError } from '../errors.ts'
import { backoffMs } from '../runtime/backoff.ts'
import type { ActiveLimit, Standing } from './active-limit.ts'
import { canonicalJson, type Json } from './canonical-json.ts'
import type { CecTarget } from './cec-target.ts'
import { type Decision, planOf } from './plan.ts'
import type { ArmedService } from './scaffold.ts'
import { validateCec } from './validate-cec.ts'

/** Rules that we wrote, kept a while after they were replaced: calls are told later than they were made. */
export interface Epoch {
  readonly service: ArmedService
  readonly revision: string | null
  /** Of the shadow rules; null where there were none. */
  readonly nonce: string | null
  readonly standing: ReadonlyMap<ActiveLimit, Standing>
  /** Unix ms at which others took its place. */
  replacedMs: number
}

/** Replaced rules are still ours for this long. */
const GRACE_MS = 60_000
const EPOCHS_MAX = 8
/** No chance in it: there is one writer, and replays and tests are to be alike. */
export const RETRY = { firstMs: 1_000, maxMs: 60_000, random: () => 1 }

/** `urgent`: does not wait for the interval between writes; `last`: nor after a failure. */
export type Haste = 'paced' | 'urgent' | 'last'

export interface SlotOptions {
  readonly target: CecTarget
  /** 8 hex digits that clients cannot guess. */
  readonly randomHex: () => string
  /** Least time between two writes, in ms: each refills the buckets. */
  readonly minWriteIntervalMs: number
}

/** The CEC of one Service: what stands there, what should, and the one write that is under way. */
export class CecSlot {
  readonly service: ArmedService
  /** Newest last; the last one is what stands, or is being written. */
  readonly epochs: Epoch[] = []
  /** The one that was written last, for all that is known. */
  standingEpoch: Epoch | undefined
  /** Unix ms since when our inert filters stand there; undefined: not armed. */
  armedMs: number | undefined
  /** Why the last write failed; '' where it did not. */
  failure = ''
  /** The target refused for good: only what stands around it can change that. */
  isRefused = false
  /** Why what is wanted could last not be planned; '' where it could. */
  unplannable = ''
  readonly limits = new Set<ActiveLimit>()
  readonly #options: SlotOptions
  #standing: ReadonlyMap<ActiveLimit, Standing> = new Map()
  #text: string | undefined
  #nonce: string | null = null
  #attempt = 0
  /** The last write failed because the target wanted none of the rules that it brought. */
  #refusedRules = false
  /** After a failure. */
  #retryMs = Number.NEGATIVE_INFINITY
  /** After a success: each write refills the buckets. */
  #rewriteMs = Number.NEGATIVE_INFINITY
  #pending: Promise<boolean> | undefined

  constructor(service: ArmedService, options: SlotOptions) {
    this.service = service
    this.#options = options
  }

  /** A CEC of ours was found there, written by an earlier process. */
  adopt(cec: Json, nowMs: number): void {
    this.#text = canonicalJson(cec)
    this.armedMs ??= nowMs
  }

  get name(): string {
    return `${this.service.namespace}/${this.service.service}`
  }

  /** Whether the limit's rules stand there in this form. */
  stands(limit: ActiveLimit, as: Standing): boolean {
    return (this.#standing.get(limit) ?? 'none') === as
  }

  /** Whether the next write would only take rules away. */
  get onlyTakesBack(): boolean {
    return (
      this.armedMs !== undefined &&
      [...this.limits].every((limit) => {
        return limit.wanted === 'none' || this.stands(limit, limit.wanted)
      })
    )
  }

  /** Whether there should be a CEC: once armed it stays. */
  get wanted(): boolean {
    return this.armedMs !== undefined || [...this.limits].some((limit) => !limit.ended)
  }

  /** What should stand there now, or why it cannot. */
  plan(): { readonly cec: Json; readonly revision: string | null } | { readonly refusal: string } {
    const acting = [...this.limits].filter((limit) => limit.wanted !== 'none')
    if (acting.every((limit) => limit.wanted !== 'shadow')) this.#nonce = null
    else this.#nonce ??= this.#options.randomHex()
    const decisions = acting.flatMap((limit) => this.#decisionsOf(limit))
    const plan = planOf(this.service, decisions, this.#nonce ?? '')
    if ('refusal' in plan) return plan
    const [problem, ...more] = validateCec(plan.cec)
    if (problem === undefined) return plan
    const others = more.length === 0 ? '' : ` (and ${more.length} more)`
    return { refusal: `our own validator refused it: ${problem.path} ${problem.message}${others}` }
  }

  /** Whether a write may begin: none is under way, and the last one is long enough ago. */
  mayWrite(nowMs: number, haste: Haste): boolean {
    if (this.#pending !== undefined) return false
    if (haste === 'last') return true
    // Rules that were refused must not hold up those that go: nobody refuses that.
    const isHeld = nowMs < this.#retryMs && !(this.#refusedRules && this.onlyTakesBack)
    return !isHeld && (haste === 'urgent' || nowMs >= this.#rewriteMs)
  }

  /** Whether all that is wanted now stands there. */
  get isCurrent(): boolean {
    const plan = this.plan()
    return !('refusal' in plan) && this.isWritten(plan.cec)
  }

  isWritten(cec: Json): boolean {
    return canonicalJson(cec) === this.#text
  }

  /**
   * Writes what {@link plan} gave, and tells whether it stands there. A failure is kept in
   * `failure` and tried again by whoever asks next, after a growing pause: nothing is lost, because
   * what is wanted stays wanted.
   */
  write(
    plan: { readonly cec: Json; readonly revision: string | null },
    nowMs: () => number,
  ): Promise<boolean> {
    const standing = new Map<ActiveLimit, Standing>()
    for (const limit of this.limits) standing.set(limit, limit.wanted)
    const startedMs = nowMs()
    const epoch = {
      service: this.service,
      revision: plan.revision,
      nonce: this.#nonce,
      standing,
      replacedMs: 0,
    }
    this.#replaceEpoch(epoch, startedMs)
    this.#pending = this.#write(plan.cec, epoch, nowMs).finally(() => {
      this.#pending = undefined
    })
    return this.#pending
  }

  /** Settles with the write that is under way, if there is one. */
  async settled(): Promise<void> {
    await this.#pending
  }

  /** Forgets limits that are over, and rules that were replaced a while ago; tells whether there were such rules. */
  prune(nowMs: number): boolean {
    for (const limit of this.limits) {
      const isDone = limit.ended && this.#pending === undefined && this.stands(limit, 'none')
      if (isDone) this.limits.delete(limit)
    }
    if (this.failure !== '') return false // What was replaced may stand there still.
    const before = this.epochs.length
    while (this.epochs.length > 1 && (this.epochs[0]?.replacedMs ?? 0) + GRACE_MS < nowMs) {
      this.epochs.shift()
    }
    return this.epochs.length < before
  }

  async #write(cec: Json, epoch: Epoch, nowMs: () => number): Promise<boolean> {
    const undo = epoch.revision === null && this.armedMs !== undefined
    const takesBack = this.onlyTakesBack
    try {
      await this.#options.target.write(cec as object, { undo })
    } catch (error) {
      this.#attempt++
      const cause =
        error instanceof Error ? error : new EnforceError(String(error), { retryable: true })
      this.failure = describeError(cause)
      this.isRefused = cause instanceof EnforceError && !cause.retryable
      this.#refusedRules = this.isRefused && !takesBack
      this.#retryMs = nowMs() + backoffMs(this.#attempt, RETRY)
      this.#text = undefined // It may stand there all the same: the next write decides.
      return false
    }
    this.#attempt = 0
    this.failure = ''
    this.isRefused = false
    this.#text = canonicalJson(cec)
    this.standingEpoch = epoch
    this.#standing = epoch.standing
    this.armedMs ??= nowMs()
    this.#rewriteMs = nowMs() + this.#options.minWriteIntervalMs
    for (const limit of this.limits) {
      if (limit.ended && this.stands(limit, 'none')) this.limits.delete(limit)
    }
    return true
  }

  #replaceEpoch(epoch: Epoch, nowMs: number): void {
    const last = this.epochs.at(-1)
    if (haveSameRules(last, epoch)) this.epochs.pop()
    else if (last !== undefined) last.replacedMs = nowMs
    this.epochs.push(epoch)
    if (this.epochs.length <= EPOCHS_MAX) return
    // While writes fail, the oldest may be the one that stands.
    this.epochs.splice(haveSameRules(this.epochs[0], this.standingEpoch) ? 1 : 0, 1)
  }

  /** The clock went back: pauses that were counted by the old one are over. */
  rewind(nowMs: number): void {
    this.#retryMs = Number.NEGATIVE_INFINITY
    this.#rewriteMs = Number.NEGATIVE_INFINITY
    if (this.armedMs !== undefined) this.armedMs = Math.min(this.armedMs, nowMs)
    for (const epoch of this.epochs) epoch.replacedMs = Math.min(epoch.replacedMs, nowMs)
  }

  #decisionsOf(limit: ActiveLimit): Decision[] {
    const place = limit.proposal.places.find(
      ({ namespace, service }) =>
        namespace === this.service.namespace && service === this.service.service,
    )
    if (place === undefined || limit.wanted === 'none' || limit.untilMs === null) return []
    const { id, wanted, untilMs, addresses } = limit
    return [
      {
        id,
        mode: wanted,
        operation: place.operation,
        addresses: [...addresses],
        bucket: limit.proposal.bucket,
        until: new Date(untilMs).toISOString(),
      },
    ]
  }
}

function haveSameRules(a: Epoch | undefined, b: Epoch | undefined): boolean {
  return a !== undefined && a.revision === b?.revision && a.nonce === b.nonce
}
