const WINDOW_MS = 60_000
/** A node that cannot be read for longer has left, as far as anybody can tell: it must not alarm for ever. */
const ABSENT_MAX_MS = 10 * 60_000

interface Totals {
  readonly atMs: number
  readonly received: number
  readonly missed: number
}

/**
 * What was seen of one node, and what was missed, over the current minute and the one before it.
 *
 * Missed is: what the kernel's ring and the agent's queue lost; what the node counted as seen and
 * did not reach us, or what its ring lost before we read it, whichever is more (Hubble counts lost
 * slots of all events, so that is an upper bound); and while the node cannot be asked, its rate of
 * late times the time that it is away. What comes late makes up for it.
 */
export class NodeCoverage {
  #received = 0
  /** Lost before they reached the ring, as Hubble told. */
  #lostBefore = 0
  #lostInRing = 0
  /** Guessed while the node is away, in flows. */
  #away = 0
  /** What earlier lives of the node missed. */
  #missedBefore = 0
  /** Counts when the comparison of theirs and ours began; none before the first answer. */
  #base: { seen: number; received: number; lostInRing: number } | undefined
  /** What the node had seen at the answer before the last one, and has not come. */
  #deficit = 0
  #seen = 0
  #uptimeNs = 0
  #absentSinceMs = 0
  #absentToMs = 0
  #rateWhenLeft = 0
  /** At the start of the window before the current one, and of the current one. */
  #before: Totals
  #start: Totals

  constructor(nowMs: number) {
    this.#before = { atMs: nowMs, received: 0, missed: 0 }
    this.#start = this.#before
  }

  received(): void {
    this.#received++
  }

  lost(count: number, isInRing: boolean): void {
    if (isInRing) this.#lostInRing += count
    else this.#lostBefore += count
  }

  /**
   * The node answered: it has seen `seen` flows since it started, `uptimeNs` ago. `isWhole`: every
   * flow is asked for, so that its count can be held against ours.
   */
  answered(seen: number, uptimeNs: number, isWhole: boolean): void {
    const seenBefore = this.#seen
    const hasRestarted = uptimeNs < this.#uptimeNs || seen < seenBefore
    this.#uptimeNs = uptimeNs
    this.#seen = seen
    this.#absentSinceMs = 0
    if (!isWhole) {
      // Its ring is read back to where we were; what that did not hold is told as lost.
      if (!hasRestarted) this.#away = 0
      return
    }
    if (this.#base === undefined || hasRestarted) {
      this.#missedBefore += this.#missedInRing() + this.#away
      this.#away = 0
      this.#base = {
        seen: this.#base === undefined ? seen : 0,
        received: this.#received,
        lostInRing: this.#lostInRing,
      }
      this.#deficit = 0
      return
    }
    const surplus = this.#received - this.#base.received - (seen - this.#base.seen)
    // An older part of its ring came meanwhile, which must not make up for later losses.
    if (surplus > 0) this.#base.received += surplus
    // What it saw since the last answer may be on its way.
    const came = this.#received - this.#base.received
    this.#deficit = Math.max(0, seenBefore - this.#base.seen - came)
    // What was guessed is in the count now.
    this.#away = 0
  }

  /** The node cannot be asked, or is known to be away. Called again and again while that lasts. */
  absent(nowMs: number): void {
    if (this.#absentSinceMs === 0) {
      this.#absentSinceMs = nowMs
      this.#absentToMs = nowMs
      const seconds = (nowMs - this.#before.atMs) / 1_000
      this.#rateWhenLeft = seconds < 1 ? 0 : (this.#received - this.#before.received) / seconds
    }
    if (nowMs - this.#absentSinceMs > ABSENT_MAX_MS) return
    this.#away += (this.#rateWhenLeft * Math.max(0, nowMs - this.#absentToMs)) / 1_000
    this.#absentToMs = nowMs
  }

  /** Lets time pass, Unix ms; called at least a few times a window. */
  advance(nowMs: number): void {
    if (nowMs - this.#start.atMs < WINDOW_MS) return
    this.#before = this.#start
    this.#start = { atMs: nowMs, received: this.#received, missed: this.#missed() }
  }

  /** Flows of the two windows. */
  recent(): { readonly received: number; readonly missed: number } {
    return {
      received: this.#received - this.#before.received,
      missed: Math.max(0, Math.round(this.#missed() - this.#before.missed)),
    }
  }

  #missed(): number {
    return this.#missedBefore + this.#missedInRing() + this.#lostBefore + this.#away
  }

  #missedInRing(): number {
    const lost = this.#lostInRing - (this.#base?.lostInRing ?? 0)
    return Math.max(this.#deficit, lost)
  }
}
