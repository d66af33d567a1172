interface Past {
  /** Limits that came into force for this key. */
  times: number
  lastMs: number
  /** Unix ms before which no new limit is tried: the last one did no good, or did harm. */
  blockedUntilMs: number
  why: string
}

const ENTRIES_MAX = 4_096
/** A client that was quiet for a day begins anew. */
const FORGET_MS = 86_400_000

/** What became of earlier limits, by limit key: for escalation, and against flapping. Bounded; the oldest is forgotten. */
export class LimitHistory {
  forgotten = 0
  readonly #byKey = new Map<string, Past>()

  /** How often a limit of this key has been in force lately. */
  times(key: string, nowMs: number): number {
    return this.#recent(key, nowMs)?.times ?? 0
  }

  /** Why no limit of this key may be tried now; '' where one may. */
  blocked(key: string, nowMs: number): string {
    const past = this.#recent(key, nowMs)
    return past !== undefined && nowMs < past.blockedUntilMs ? past.why : ''
  }

  inForce(key: string, nowMs: number): void {
    const past = this.#touch(key, nowMs)
    past.times++
  }

  block(key: string, nowMs: number, forMs: number, why: string): void {
    const past = this.#touch(key, nowMs)
    past.blockedUntilMs = nowMs + forMs
    past.why = why
  }

  #recent(key: string, nowMs: number): Past | undefined {
    const past = this.#byKey.get(key)
    return past !== undefined && nowMs - past.lastMs < FORGET_MS ? past : undefined
  }

  #touch(key: string, nowMs: number): Past {
    const past = this.#recent(key, nowMs) ?? { times: 0, lastMs: nowMs, blockedUntilMs: 0, why: '' }
    past.lastMs = nowMs
    this.#byKey.delete(key) // so that the map's order is that of use
    this.#byKey.set(key, past)
    const [oldest] = this.#byKey.keys()
    if (this.#byKey.size > ENTRIES_MAX && oldest !== undefined) {
      this.#byKey.delete(oldest)
      this.forgotten++
    }
    return past
  }
}
