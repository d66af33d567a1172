import type { Finding } from '../model/finding.ts'
import type { LimitEffect } from '../model/limit.ts'
import { ActiveLimit } from './active-limit.ts'
import { perSecondOf } from './bucket.ts'
import type { CecSlot } from './cec-slot.ts'
import { type CecWriter, unmetOf, type WriterListener } from './cec-writer.ts'
import type { BookRefusalCode, LimitBook } from './limit-book.ts'
import { LimitHistory } from './limit-history.ts'
import type { Proposal } from './proposal.ts'
import { sentenceOf } from './sentence.ts'

/** How long the stages of a limit's life take, in ms. */
export interface LimitStages {
  /** From a new CEC until rules may come into it. */
  readonly armMs: number
  /** What agents need from a write to its effect; evidence counts from there on. */
  readonly settleMs: number
  /** A shadow that has marked nothing for so long is not needed. */
  readonly shadowMs: number
  /** When the effect is judged, counted from where evidence counts; ascending. */
  readonly judgeMs: readonly number[]
  /** How long a limit stands: the first time, the second … the last one for all later times. */
  readonly ttlMs: readonly number[]
}

export interface LimitLifeOptions {
  readonly mode: 'observe' | 'shadow' | 'enforce'
  readonly stages: LimitStages
  readonly book: LimitBook
  readonly writer: CecWriter
}

/** Flows that are older than this do not tell that an abuse goes on: without flows each limit ends. */
const STALE_MS = 60_000

/** Moves limits from state to state. Pure but for the writer, which is told what is wanted. */
export class LimitLife implements WriterListener {
  readonly history = new LimitHistory()
  /** Limits that were given more time, because the abuse went on. */
  renewed = 0
  readonly #options: LimitLifeOptions
  #nowMs = 0
  /** What happened until then has been seen: flows are told late, and no clock is right. */
  #seenMs = 0

  constructor(options: LimitLifeOptions) {
    this.#options = options
    options.writer.listen(this)
  }

  /** Why there will be no such limit; undefined: it has begun. */
  begin(
    finding: Finding,
    proposal: Proposal,
    nowMs: number,
  ): { readonly code: BookRefusalCode; readonly message: string } | undefined {
    const { mode, book, writer } = this.#options
    const origin = {
      id: book.idFor(finding.id),
      finding: finding.id,
      mode: mode === 'enforce' ? mode : 'shadow',
      sinceMs: nowMs,
    } as const
    const limit = new ActiveLimit(origin, proposal, nowMs)
    limit.untilMs = nowMs + this.#ttlMs(limit.key, nowMs)
    const blocked = this.history.blocked(limit.key, nowMs)
    if (blocked !== '') return { code: 'cooling_down', message: `the last such limit ${blocked}` }
    const budget = book.budgetProblem(proposal)
    if (budget !== undefined) return budget
    if (mode === 'observe') {
      limit.reason = 'mode is observe: nothing is written'
      book.add(limit)
      return undefined
    }
    const slots: CecSlot[] = []
    for (const place of proposal.places) {
      const slot = writer.slotFor(place)
      if ('refusal' in slot) return { code: 'budget_cecs', message: slot.refusal }
      slots.push(slot)
    }
    for (const slot of slots) slot.limits.add(limit)
    const armed = slots.every(({ armedMs }) => armedMs !== undefined)
    limit.reason = `${armed ? 'armed' : 'arming'}: ${slots.map(({ name }) => name).join(', ')}`
    book.add(limit)
    return undefined
  }

  advance(eventMs: number, nowMs: number): void {
    this.#nowMs = nowMs
    // A node whose clock is ahead must not make us judge what has not been told yet.
    this.#seenMs = Math.min(eventMs, nowMs)
    for (const limit of this.#options.book.active()) this.#step(limit)
  }

  /** Takes the limit back for good. Its rules go with the next write. */
  revert(limit: ActiveLimit, reason: string, effect: LimitEffect = limit.effect): void {
    this.#end(limit, 'reverted', reason, effect)
  }

  /** The address is not, or not only, the client's: no limit on it may stand. */
  dropAddress(limit: ActiveLimit, address: string, why: string): void {
    limit.lost.add(address)
    if (limit.ended || !limit.addresses.delete(address)) return
    if (limit.addresses.size === 0) this.revert(limit, `its last address, ${address}, ${why}`)
    else this.#options.book.changed(limit)
  }

  /** Somebody else was hit by the rules of this limit. */
  collateral(limit: ActiveLimit, whom: string): void {
    if (limit.ended) return
    this.history.block(limit.key, this.#nowMs, this.#longestMs(), 'limited somebody else')
    this.revert(limit, `it limited somebody else: ${whom}`, 'collateral')
  }

  written(slot: CecSlot, revision: string | null, refilled: boolean): void {
    const newcomers = [...slot.limits].filter(({ hasUnwritten }) => hasUnwritten)
    if (newcomers.length > 0 && slot.isCurrent) {
      const actsMs = this.#nowMs + this.#options.stages.settleMs
      for (const limit of newcomers) limit.allWritten(actsMs)
    }
    for (const limit of slot.limits) {
      const cleared = limit.trouble !== ''
      limit.trouble = ''
      const moved = this.#came(limit)
      if (!moved && refilled) limit.refills++
      const renumbered = !limit.ended && limit.wanted !== 'none' && limit.revision !== revision
      if (renumbered) limit.revision = revision
      if (moved || cleared || renumbered) this.#options.book.changed(limit)
    }
  }

  failed(slot: CecSlot): void {
    const waiting = slot.armedMs === undefined ? slot.limits : unmetOf(slot)
    for (const limit of waiting) {
      const trouble = `not written yet: ${slot.failure}`
      if (limit.trouble === trouble) continue
      limit.trouble = trouble
      this.#options.book.changed(limit)
    }
  }

  refused(slot: CecSlot, reason: string): void {
    for (const limit of unmetOf(slot)) this.revert(limit, `${slot.name}: ${reason}`)
  }

  #step(limit: ActiveLimit): void {
    const { mode, stages } = this.#options
    if (limit.untilMs !== null && this.#nowMs >= limit.untilMs) {
      if (!this.#renew(limit)) this.#expire(limit)
    } else if (mode === 'observe') {
      return
    } else if (limit.state === 'proposed' && limit.wanted === 'none') {
      const armed = this.#slotsOf(limit).every(({ armedMs }) => {
        return armedMs !== undefined && this.#nowMs >= armedMs + stages.armMs
      })
      if (armed) this.#want(limit, 'shadow', 'its shadow is being written')
    } else if (limit.state === 'shadow' && limit.wanted === 'shadow') {
      if (this.#seenMs < limit.windowMs + stages.shadowMs) return
      if (limit.limited === 0) {
        this.history.block(
          limit.key,
          this.#nowMs,
          this.#ttlMs(limit.key, this.#nowMs),
          'was not needed',
        )
        this.revert(
          limit,
          'the client stayed below the limit: its shadow marked nothing',
          'not_needed',
        )
      } else if (mode === 'enforce') {
        this.#want(limit, 'enforce', `its shadow marked ${limit.limited} calls of the client`)
      }
    } else if (limit.state === 'enforced') {
      this.#judge(limit)
    }
  }

  #want(limit: ActiveLimit, wanted: 'shadow' | 'enforce', reason: string): void {
    limit.wanted = wanted
    limit.reason = reason
    limit.untilMs = this.#nowMs + this.#ttlMs(limit.key, this.#nowMs)
    this.#options.book.changed(limit)
  }

  /** Moves on a limit whose rules now stand everywhere as wanted; tells whether it did. */
  #came(limit: ActiveLimit): boolean {
    const { wanted } = limit
    if (limit.ended || wanted === 'none') return false
    const state = wanted === 'enforce' ? 'enforced' : 'shadow'
    if (limit.state === state) return false
    if (!this.#slotsOf(limit).every((slot) => slot.stands(limit, wanted))) return false
    limit.state = state
    limit.sinceMs = this.#nowMs
    limit.openWindow(this.#nowMs + this.#options.stages.settleMs)
    if (state === 'enforced') this.history.inForce(limit.key, this.#nowMs)
    else limit.reason = 'marks the calls that it would refuse'
    return true
  }

  #judge(limit: ActiveLimit): void {
    const mark = this.#options.stages.judgeMs[limit.judged]
    if (mark === undefined || this.#seenMs < limit.windowMs + mark) return
    limit.judged++
    const seconds = (this.#seenMs - limit.windowMs) / 1_000
    const effect = limit.verdict(seconds)
    const counted = `${limit.limited} refused, ${limit.passed} passed in ${seconds.toFixed(1)} s`
    if (effect === 'ineffective') {
      this.history.block(limit.key, this.#nowMs, this.#longestMs(), 'had no effect')
      this.revert(limit, `it has no effect: ${counted}`, effect)
      return
    }
    limit.effect = effect
    limit.reason =
      effect === 'effective' ? `it limits: ${counted}` : `cannot be told yet: ${counted}`
    this.#options.book.changed(limit)
  }

  /**
   * Gives the limit its next, longer time where the client still tries for more than it lets pass:
   * detection does not see the calls that we refuse, and tells an abuse that goes on only once.
   */
  #renew(limit: ActiveLimit): boolean {
    if (limit.state !== 'enforced' || limit.wanted !== 'enforce') return false
    if (this.#nowMs - this.#seenMs > STALE_MS) return false
    const rate = limit.attemptsAbove(this.#seenMs)
    if (rate === undefined) return false
    const ttlMs = this.#ttlMs(limit.key, this.#nowMs)
    this.history.inForce(limit.key, this.#nowMs)
    this.renewed++
    limit.untilMs = this.#nowMs + ttlMs
    const passes = perSecondOf(limit.proposal.bucket)
    limit.reason =
      `it goes on: ${rate.toFixed(1)} calls a second in the last minute, ${passes.toFixed(1)} pass; ` +
      `stands for another ${ttlMs / 1_000} s`
    this.#options.book.changed(limit)
    return true
  }

  #expire(limit: ActiveLimit): void {
    if (limit.state === 'proposed') {
      this.#end(limit, 'expired', 'it never came into force', limit.effect)
    } else if (limit.state === 'shadow') {
      this.#end(limit, 'expired', `its shadow marked ${limit.limited} calls`, limit.effect)
    } else {
      const counted = `${limit.limited} refused, ${limit.passed} passed`
      this.#end(limit, 'expired', `its time is over: ${counted}`, limit.effect)
    }
  }

  #end(
    limit: ActiveLimit,
    state: 'expired' | 'reverted',
    reason: string,
    effect: LimitEffect,
  ): void {
    if (limit.ended) return
    limit.state = state
    limit.reason = sentenceOf(reason)
    limit.effect = effect
    limit.wanted = 'none'
    limit.trouble = ''
    limit.untilMs = null
    limit.sinceMs = this.#nowMs
    this.#options.book.changed(limit)
  }

  #slotsOf(limit: ActiveLimit): CecSlot[] {
    return this.#options.writer.slots().filter((slot) => slot.limits.has(limit))
  }

  #ttlMs(key: string, nowMs: number): number {
    const { ttlMs } = this.#options.stages
    return ttlMs[Math.min(this.history.times(key, nowMs), ttlMs.length - 1)] ?? 0
  }

  #longestMs(): number {
    return Math.max(...this.#options.stages.ttlMs)
  }
}
