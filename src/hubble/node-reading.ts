/** Flows of a node whose uuids are remembered: more than ever come out of order within one ring. */
const WINDOW = 256
/** A whole ring at its largest: no node reads more than this again (docs/hubble.md, Rings). */
const RING_MAX = 65_535
/** A ring that is read again is through by then, in ms. */
const REREAD_MAX_MS = 60_000
/** A flow comes within this, in ms. */
const DELAY_MAX_MS = 10_000
/** How far a flow may be ahead of our clock, and of all that the node sent, and still move the mark, in ms. */
const AHEAD_MAX_MS = 5 * 60_000
/** So many of those in a row are the node's clock, and no slip of it. */
const AHEAD_BELIEVED = 16

/**
 * How far one node's ring has been read, and which of its last flows came: a time mark, and the
 * uuids around it. A ring gives its flows in the order of their time, but for neighbours that two
 * threads of the agent stamped at once; so what is older than the remembered flows, and is none of
 * them, has been read before. A node whose clock was set back looks the same: that holds for one
 * whole ring in a row or for a minute, and is told from a ring that was read again by its end, which
 * brings the remembered flows (`misjudged`).
 */
export class NodeReading {
  /** Time of the newest flow, Unix ms; -Infinity before the first one. */
  newestMs = Number.NEGATIVE_INFINITY
  /** Flows that were taken for doubles by their time, and were none: no remembered flow came after them. */
  misjudged = 0
  /** The newest of those that the window has let go of. */
  #forgottenMs = Number.NEGATIVE_INFINITY
  /** Our clock when the newest came. */
  #newestAtMs = 0
  /** Time of the newest flow before the clock was set back last. */
  #formerMs = Number.NEGATIVE_INFINITY
  #rereads = 0
  #rereadSinceMs = 0
  #aheads = 0
  #count = 0
  #at = 0
  readonly #times: Float64Array
  readonly #uuids: Uint32Array

  /** With `from`, a copy: what came, as it stands there now. */
  constructor(from?: NodeReading) {
    this.#times = from === undefined ? new Float64Array(WINDOW) : from.#times.slice()
    this.#uuids = from === undefined ? new Uint32Array(2 * WINDOW) : from.#uuids.slice()
    if (from === undefined) return
    this.newestMs = from.newestMs
    this.#newestAtMs = from.#newestAtMs
    this.#formerMs = from.#formerMs
    this.#forgottenMs = from.#forgottenMs
    this.#count = from.#count
    this.#at = from.#at
  }

  /**
   * True the first time. `high` and `low` tell the flow from all others (`FlowCursor`); `nowMs` is our
   * own clock, Unix ms.
   */
  take(ms: number, high: number, low: number, nowMs: number): boolean {
    if (ms <= this.#formerMs && this.#isFormer(ms, nowMs)) return false
    if (this.#isSlip(ms, nowMs)) {
      if (this.#has(high, low)) return false
      this.#aheads++
      this.#remember(this.newestMs, high, low)
      return true
    }
    this.#aheads = 0
    if (ms > this.newestMs) {
      this.newestMs = ms
      this.#newestAtMs = nowMs
      if (this.#rereads > 0) this.#endReread()
    } else if (this.#has(high, low)) {
      // That is the end of a ring that was read again.
      this.#rereads = 0
      return false
    } else if (ms <= this.#forgottenMs) {
      if (this.#rereads === 0) this.#rereadSinceMs = nowMs
      if (this.#rereads < RING_MAX && nowMs - this.#rereadSinceMs <= REREAD_MAX_MS) {
        this.#rereads++
        return false
      }
      this.#startAnew(ms)
    }
    this.#remember(ms, high, low)
    return true
  }

  /** From before the clock was set back: what was made since cannot be further on than time is. */
  #isFormer(ms: number, nowMs: number): boolean {
    return ms > this.newestMs + (nowMs - this.#newestAtMs) + DELAY_MAX_MS
  }

  /** Far ahead of all that came: once it is, that would make what follows look old. */
  #isSlip(ms: number, nowMs: number): boolean {
    const isFar = ms > this.newestMs + AHEAD_MAX_MS && ms > nowMs + AHEAD_MAX_MS
    return isFar && this.#count > 0 && this.#aheads < AHEAD_BELIEVED
  }

  #has(high: number, low: number): boolean {
    for (let i = 0, at = this.#at; i < this.#count; i++) {
      at = at === 0 ? WINDOW - 1 : at - 1
      if (this.#uuids[2 * at] === high && this.#uuids[2 * at + 1] === low) return true
    }
    return false
  }

  #remember(ms: number, high: number, low: number): void {
    const at = this.#at
    if (this.#count < WINDOW) this.#count++
    else this.#forgottenMs = Math.max(this.#forgottenMs, this.#times[at] ?? 0)
    this.#times[at] = ms
    this.#uuids[2 * at] = high
    this.#uuids[2 * at + 1] = low
    this.#at = at === WINDOW - 1 ? 0 : at + 1
  }

  #endReread(): void {
    this.misjudged += this.#rereads
    this.#rereads = 0
  }

  #startAnew(ms: number): void {
    this.#endReread()
    this.#formerMs = this.newestMs
    this.newestMs = ms
    this.#forgottenMs = Number.NEGATIVE_INFINITY
    this.#count = 0
  }
}
