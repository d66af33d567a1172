/** A minute counts as the client's past once the block after its own is over: five to ten minutes later. */
const BLOCK_MINUTES = 5

/**
 * Each client's highest count of a minute, as of five to ten minutes ago: the first minutes of a
 * flood must not be the past that excuses it. 20 bytes a slot.
 */
export class OwnMaxima {
  readonly #settled: Uint32Array
  readonly #before: Uint32Array
  readonly #now: Uint32Array
  readonly #blocks: Float64Array

  constructor(slotsMax: number) {
    this.#settled = new Uint32Array(slotsMax)
    this.#before = new Uint32Array(slotsMax)
    this.#now = new Uint32Array(slotsMax)
    this.#blocks = new Float64Array(slotsMax)
  }

  /** Takes a minute (Unix minutes) of the client that was neither suspect nor above what anyone may send. */
  learn(slot: number, minute: number, count: number): void {
    this.moveTo(slot, minute)
    this.#now[slot] = Math.max(this.#now[slot] ?? 0, count)
  }

  /** Settles what has become the past by `minute`. */
  moveTo(slot: number, minute: number): void {
    const block = Math.floor(minute / BLOCK_MINUTES)
    const last = this.#blocks[slot] ?? 0
    if (block <= last) return
    const now = this.#now[slot] ?? 0
    const before = this.#before[slot] ?? 0
    const settled = Math.max(this.#settled[slot] ?? 0, before)
    const isNext = block === last + 1
    this.#settled[slot] = isNext ? settled : Math.max(settled, now)
    this.#before[slot] = isNext ? now : 0
    this.#now[slot] = 0
    this.#blocks[slot] = block
  }

  maximumOf(slot: number): number {
    return this.#settled[slot] ?? 0
  }

  /** The last minutes led up to an abuse: they are no past. */
  dropRecent(slot: number): void {
    this.#before[slot] = 0
    this.#now[slot] = 0
  }

  clear(slot: number): void {
    this.#settled[slot] = 0
    this.dropRecent(slot)
    this.#blocks[slot] = 0
  }
}
