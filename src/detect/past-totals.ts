/** As for a client's own maxima: a minute is the past once the block after its own is over. */
const BLOCK_MINUTES = 5

/**
 * Sums of requests by slot, as of five to ten minutes ago, so that what goes on now is not the past
 * that excuses it. 32 bytes a slot.
 */
export class PastTotals {
  readonly #settled: Float64Array
  readonly #before: Float64Array
  readonly #now: Float64Array
  readonly #blocks: Float64Array

  constructor(slotsMax: number) {
    this.#settled = new Float64Array(slotsMax)
    this.#before = new Float64Array(slotsMax)
    this.#now = new Float64Array(slotsMax)
    this.#blocks = new Float64Array(slotsMax)
  }

  /** Takes the requests of a minute (Unix minutes). */
  add(slot: number, minute: number, count: number): void {
    this.moveTo(slot, minute)
    this.#now[slot] = (this.#now[slot] ?? 0) + count
  }

  /** Settles what has become the past by `minute`. */
  moveTo(slot: number, minute: number): void {
    const block = Math.floor(minute / BLOCK_MINUTES)
    const last = this.#blocks[slot] ?? 0
    if (block <= last) return
    const now = this.#now[slot] ?? 0
    const isNext = block === last + 1
    const over = (this.#before[slot] ?? 0) + (isNext ? 0 : now)
    this.#settled[slot] = (this.#settled[slot] ?? 0) + over
    this.#before[slot] = isNext ? now : 0
    this.#now[slot] = 0
    this.#blocks[slot] = block
  }

  /** The past alone. */
  pastOf(slot: number): number {
    return this.#settled[slot] ?? 0
  }

  /** The past, and the last minutes. */
  allOf(slot: number): number {
    return (this.#settled[slot] ?? 0) + this.#recentOf(slot)
  }

  /** The last minutes were an abuse: they are no past. Returns what they had. */
  dropRecent(slot: number): number {
    const recent = this.#recentOf(slot)
    this.#before[slot] = 0
    this.#now[slot] = 0
    return recent
  }

  /** Takes `count` out of the last minutes, the older ones first. */
  takeRecent(slot: number, count: number): void {
    const before = this.#before[slot] ?? 0
    const taken = Math.min(before, count)
    this.#before[slot] = before - taken
    this.#now[slot] = Math.max(0, (this.#now[slot] ?? 0) - (count - taken))
  }

  clear(slot: number): void {
    this.#settled[slot] = 0
    this.dropRecent(slot)
    this.#blocks[slot] = 0
  }

  #recentOf(slot: number): number {
    return (this.#before[slot] ?? 0) + (this.#now[slot] ?? 0)
  }
}
