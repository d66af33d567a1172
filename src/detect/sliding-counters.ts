const CELL_MAX = 0xffff

/**
 * Counts events over the last `windowSeconds` for each of `slotsMax` keys: 2 bytes a second of window
 * a key, whatever is sent. `add` is O(1) while time runs on, O(window) after a gap. A cell stops at
 * 65 535 events a second: such a key is beyond every threshold already.
 */
export class SlidingCounters {
  readonly #window: number
  readonly #perSecond: Uint16Array
  readonly #newest: Float64Array
  readonly #totals: Uint32Array

  constructor(slotsMax: number, windowSeconds: number) {
    this.#window = windowSeconds
    this.#perSecond = new Uint16Array(slotsMax * windowSeconds)
    this.#newest = new Float64Array(slotsMax)
    this.#totals = new Uint32Array(slotsMax)
  }

  /** Adds an event at `second` (Unix s) and returns the events of the window that ends at the newest one. */
  add(slot: number, second: number): number {
    const newest = this.#newest[slot] ?? 0
    if (second > newest) this.#moveOn(slot, newest, second)
    else if (second <= newest - this.#window) return this.#totals[slot] ?? 0
    const cell = slot * this.#window + (second % this.#window)
    const count = this.#perSecond[cell] ?? 0
    const total = this.#totals[slot] ?? 0
    if (count === CELL_MAX) return total
    this.#perSecond[cell] = count + 1
    this.#totals[slot] = total + 1
    return total + 1
  }

  /** Start of the oldest second with an event in it, in Unix s; the newest where there is none. */
  oldestSecond(slot: number): number {
    const newest = this.#newest[slot] ?? 0
    for (let second = newest - this.#window + 1; second < newest; second++) {
      if ((this.#perSecond[slot * this.#window + (second % this.#window)] ?? 0) > 0) return second
    }
    return newest
  }

  clear(slot: number): void {
    this.#perSecond.fill(0, slot * this.#window, (slot + 1) * this.#window)
    this.#totals[slot] = 0
    this.#newest[slot] = 0
  }

  #moveOn(slot: number, newest: number, second: number): void {
    const start = slot * this.#window
    this.#newest[slot] = second
    if (second - newest >= this.#window) {
      this.#perSecond.fill(0, start, start + this.#window)
      this.#totals[slot] = 0
      return
    }
    let total = this.#totals[slot] ?? 0
    for (let expired = newest + 1; expired <= second; expired++) {
      const cell = start + (expired % this.#window)
      total -= this.#perSecond[cell] ?? 0
      this.#perSecond[cell] = 0
    }
    this.#totals[slot] = total
  }
}
