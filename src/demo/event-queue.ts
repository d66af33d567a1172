interface Entry {
  readonly atMs: number
  readonly order: number
  readonly run: (atMs: number) => void
}

/**
 * What is yet to happen in the simulated cluster, earliest first; what was added first comes first
 * among equals. Holds at most `eventsMax`; beyond it new events do not happen (`refused` counts).
 */
export class EventQueue {
  refused = 0
  #heap: Entry[] = []
  readonly #eventsMax: number
  #order = 0

  constructor(eventsMax = 100_000) {
    this.#eventsMax = eventsMax
  }

  get size(): number {
    return this.#heap.length
  }

  at(atMs: number, run: (atMs: number) => void): void {
    if (this.#heap.length >= this.#eventsMax) {
      this.refused++
      return
    }
    this.#heap.push({ atMs, order: this.#order++, run })
    this.#rise(this.#heap.length - 1)
  }

  /** Runs all that is due up to `untilMs`, what it adds on the way included. */
  runUntil(untilMs: number): void {
    for (;;) {
      const first = this.#heap[0]
      if (first === undefined || first.atMs > untilMs) return
      const last = this.#heap.pop()
      if (last !== undefined && last !== first) {
        this.#heap[0] = last
        this.#sink(0)
      }
      first.run(first.atMs)
    }
  }

  /** Puts everything off by `byMs`: after a pause of the process nothing is caught up on. */
  shift(byMs: number): void {
    this.#heap = this.#heap.map((entry) => ({ ...entry, atMs: entry.atMs + byMs }))
  }

  #rise(index: number): void {
    let child = index
    while (child > 0) {
      const parent = (child - 1) >> 1
      if (!this.#swapIfLater(parent, child)) return
      child = parent
    }
  }

  #sink(index: number): void {
    let parent = index
    for (;;) {
      const left = 2 * parent + 1
      const right = left + 1
      if (left >= this.#heap.length) return
      const sooner = this.#later(left, right) ? right : left
      if (!this.#swapIfLater(parent, sooner)) return
      parent = sooner
    }
  }

  #later(a: number, b: number): boolean {
    const first = this.#heap[a]
    const second = this.#heap[b]
    if (first === undefined || second === undefined) return false
    if (first.atMs !== second.atMs) return first.atMs > second.atMs
    return first.order > second.order
  }

  #swapIfLater(a: number, b: number): boolean {
    if (!this.#later(a, b)) return false
    const first = this.#heap[a]
    const second = this.#heap[b]
    if (first === undefined || second === undefined) return false
    this.#heap[a] = second
    this.#heap[b] = first
    return true
  }
}
