const STEP_MS = 10_000
const STEPS = 6

/** Start of the time that {@link RecentCalls} looks back on from `atMs`: 50 to 60 s before it. */
export function recentFromMs(atMs: number): number {
  return (Math.floor(atMs / STEP_MS) - STEPS + 1) * STEP_MS
}

/** Calls of about the last minute of event time, in steps of 10 s: whether something goes on. */
export class RecentCalls {
  readonly #counts = new Uint32Array(STEPS)
  #newest = Number.NEGATIVE_INFINITY

  /** Unix ms. A call that is older than the minute is not counted any more. */
  add(atMs: number): void {
    const step = Math.floor(atMs / STEP_MS)
    if (step > this.#newest) this.#moveOn(step)
    else if (step <= this.#newest - STEPS) return
    const cell = step % STEPS
    this.#counts[cell] = (this.#counts[cell] ?? 0) + 1
  }

  /** Calls from up to a minute before `atMs` until then. */
  countAt(atMs: number): number {
    const last = Math.floor(atMs / STEP_MS)
    const end = Math.min(last, this.#newest)
    let sum = 0
    for (let step = Math.max(last, this.#newest) - STEPS + 1; step <= end; step++) {
      sum += this.#counts[step % STEPS] ?? 0
    }
    return sum
  }

  #moveOn(step: number): void {
    const from = Math.max(this.#newest + 1, step - STEPS + 1)
    for (let passed = from; passed <= step; passed++) this.#counts[passed % STEPS] = 0
    this.#newest = step
  }
}
