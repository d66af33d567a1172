const SCALE_MAX = 1e9
/** What is assumed of an API before anything is known of it: one failure in ten. */
const PRIOR_FAILURES = 1
const PRIOR_TRIES = 10

/** Share of tries that fail, of which old ones weigh less: a Beta estimate with forward decay. */
export class FailureRate {
  readonly #halfLifeMs: number
  #originMs = Number.NaN
  #scale = 1
  #failures = 0
  #tries = 0

  constructor(halfLifeMs: number) {
    this.#halfLifeMs = halfLifeMs
  }

  /** Tries so far, the old ones as what they still weigh. */
  get tries(): number {
    return this.#tries / this.#scale
  }

  get rate(): number {
    const scale = this.#scale
    return (this.#failures / scale + PRIOR_FAILURES) / (this.#tries / scale + PRIOR_TRIES)
  }

  learn(failed: boolean, timeMs: number): void {
    if (Number.isNaN(this.#originMs)) this.#originMs = timeMs
    let weight = 2 ** ((timeMs - this.#originMs) / this.#halfLifeMs)
    if (weight > SCALE_MAX) {
      this.#failures /= weight
      this.#tries /= weight
      this.#originMs = timeMs
      this.#scale = 1
      weight = 1
    }
    this.#scale = Math.max(this.#scale, weight)
    this.#tries += weight
    if (failed) this.#failures += weight
  }
}
