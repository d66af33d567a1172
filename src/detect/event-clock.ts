/** How far ahead of all others a call may be before its clock, and not the silence before it, is doubted. */
const LEAP_MS = 300_000

export type Timing = 'on_time' | 'late' | 'expired' | 'ahead' | 'untimed'

/**
 * The detector's only clock: the newest time of any call. What is older than the watermark (that
 * time less `latenessMs`) is late; what no window can take any more (`openMs`) is expired. A call
 * that is minutes ahead does not move the clock by itself, for one node with a wrong clock would
 * make all others late: see {@link leap}.
 */
export class EventClock {
  readonly #latenessMs: number
  readonly #openMs: number
  #newestMs = Number.NEGATIVE_INFINITY

  constructor(latenessMs: number, openMs: number) {
    this.#latenessMs = latenessMs
    this.#openMs = Math.max(latenessMs, openMs)
  }

  get watermarkMs(): number {
    return this.#newestMs - this.#latenessMs
  }

  /** Judges a call that ended at `timeMs` (Unix ms), and moves on with it where it is on time. */
  judge(timeMs: number): Timing {
    if (!(timeMs > 0 && timeMs < Number.MAX_SAFE_INTEGER)) return 'untimed'
    if (timeMs > this.#newestMs) {
      if (timeMs > this.#newestMs + LEAP_MS && this.#newestMs > 0) return 'ahead'
      this.#newestMs = timeMs
      return 'on_time'
    }
    if (timeMs >= this.#newestMs - this.#latenessMs) return 'on_time'
    return timeMs > this.#newestMs - this.#openMs ? 'late' : 'expired'
  }

  /** Believes calls that were ahead, because several came and none on time in between: there was a silence. */
  leap(toMs: number): void {
    this.#newestMs = Math.max(this.#newestMs, toMs)
  }
}
