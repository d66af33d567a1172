const WINDOW_MS = 60_000
/** A node that cannot be read for longer has left, as far as anybody can tell: it must not alarm for ever. */
const ABSENT_MAX_MS = 10 * 60_000

/** What a node says of itself. */
interface Answer {
  /** Since it started, `uptimeNs` ago. */
  readonly seenFlows: number
  readonly uptimeNs: number
  /** Events that its ring holds; 0: unknown. */
  readonly ringMax: number
}

interface Base {
  readonly seen: number
  received: number
  readonly lostInRing: number
}

interface Totals {
  readonly atMs: number
  readonly received: number
  missed: number
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
  #base: Base | undefined
  /** What the node had seen at the answer before the last one, and has not come. */
  #deficit = 0
  #seen = 0
  #uptimeNs = 0
  #absentSinceMs = 0
  #absentToMs = 0
  #rateWhenLeft = 0
  /** What had come when it last answered, or left. */
  #receivedWhenAsked = 0
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
   * The node answered. `isWhole`: every flow is asked for, so that its count can be held against ours.
   */
  answered({ seenFlows: seen, uptimeNs, ringMax }: Answer, isWhole: boolean): void {
    const seenBefore = this.#seen
    const hasRestarted = uptimeNs < this.#uptimeNs || seen < seenBefore
    const isFirst = this.#uptimeNs === 0
    const receivedBefore = this.#receivedWhenAsked
    this.#uptimeNs = uptimeNs
    this.#seen = seen
    this.#absentSinceMs = 0
    this.#receivedWhenAsked = this.#received
    if (!isWhole) {
      // Its ring is read back to where we were, as far as it reaches; a new one holds nothing of that.
      const whileAway = seen - seenBefore
      const isHeld = isFirst || ringMax === 0 || whileAway <= ringMax
      if (hasRestarted) this.#missedBefore += this.#away
      else if (!isHeld) this.#missedBefore += (this.#away * (whileAway - ringMax)) / whileAway
      this.#away = 0
    } else if (this.#base === undefined || hasRestarted) {
      this.#missedBefore += this.#missedInRing() + this.#away
      this.#away = 0
      this.#base = {
        seen: this.#base === undefined ? seen : 0,
        // What came since it was last asked may be of its new life.
        received: this.#base === undefined ? this.#received : receivedBefore,
        lostInRing: this.#lostInRing,
      }
      this.#deficit = 0
    } else this.#compare(this.#base, seen, seenBefore)
    this.#lowerWindows()
  }

  #compare(base: Base, seen: number, seenBefore: number): void {
    const surplus = this.#received - base.received - (seen - base.seen)
    // An older part of its ring came meanwhile, which must not make up for later losses.
    if (surplus > 0) base.received += surplus
    // What it saw since the last answer may be on its way.
    const came = this.#received - base.received
    this.#deficit = Math.max(0, seenBefore - base.seen - came)
    // What was guessed is in the count now.
    this.#away = 0
  }

  /** The node cannot be asked, or is known to be away. Called again and again while that lasts. */
  absent(nowMs: number): void {
    if (this.#absentSinceMs === 0) {
      this.#absentSinceMs = nowMs
      this.#absentToMs = nowMs
      this.#receivedWhenAsked = this.#received
      const seconds = (nowMs - this.#before.atMs) / 1_000
      this.#rateWhenLeft = seconds < 1 ? 0 : (this.#received - this.#before.received) / seconds
    }
    if (nowMs - this.#absentSinceMs > ABSENT_MAX_MS) return
    this.#away += (this.#rateWhenLeft * Math.max(0, nowMs - this.#absentToMs)) / 1_000
    this.#absentToMs = nowMs
  }

  /** Lets time pass, Unix ms; called at least a few times a window. */
  advance(nowMs: number): void {
    // Our own clock may be set back.
    if (nowMs >= this.#start.atMs && nowMs - this.#start.atMs < WINDOW_MS) return
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

  /** What is no longer missed must not hide what will be. */
  #lowerWindows(): void {
    const missed = this.#missed()
    this.#before.missed = Math.min(this.#before.missed, missed)
    this.#start.missed = Math.min(this.#start.missed, missed)
  }

  #missed(): number {
    return this.#missedBefore + this.#missedInRing() + this.#lostBefore + this.#away
  }

  #missedInRing(): number {
    const lost = this.#lostInRing - (this.#base?.lostInRing ?? 0)
    return Math.max(this.#deficit, lost)
  }
}
