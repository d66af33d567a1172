/** What was lost, as telemetry is told of it. */
type Tell = (topic: string, outcome: string, count: number, reason: string) => void

interface Sum {
  readonly topic: string
  readonly outcome: string
  readonly reason: string
  count: number
}

const TELL_EVERY_MS = 10_000

/**
 * Tells losses in sums, the first of a kind at once: an outage costs one line of the log every ten
 * seconds, not one an event. Bounded by the kinds that there are.
 */
export class Losses {
  readonly #tell: Tell
  readonly #sums = new Map<string, Sum>()
  #timer: NodeJS.Timeout | undefined

  constructor(tell: Tell) {
    this.#tell = tell
  }

  add(topic: string, outcome: string, count: number, reason: string): void {
    const key = `${topic} ${outcome} ${reason}`
    const sum = this.#sums.get(key)
    if (sum !== undefined) {
      sum.count += count
      return
    }
    this.#sums.set(key, { topic, outcome, reason, count: 0 })
    this.#tell(topic, outcome, count, reason)
    this.#timer ??= setInterval(() => this.flush(), TELL_EVERY_MS).unref()
  }

  /** Tells what is not told yet. */
  flush(): void {
    for (const [key, sum] of this.#sums) {
      if (sum.count === 0) this.#sums.delete(key)
      else this.#tell(sum.topic, sum.outcome, sum.count, sum.reason)
      sum.count = 0
    }
    if (this.#sums.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
