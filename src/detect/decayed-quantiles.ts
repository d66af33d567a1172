/** Each bucket's upper bound is 6 % above the one before: a quantile is at most that much too high. */
const GROWTH = 1.06
const LOG_GROWTH = Math.log(GROWTH)
/** Reaches 1.06^255, about 2.8 million. */
const BUCKETS = 256
const SCALE_MAX = 1e9

/**
 * Quantiles of positive counts, of which old ones weigh less: a sample's weight halves each
 * `halfLifeMs`. 2 KiB. Weights grow with time instead of being shrunk at each sample (forward decay).
 */
export class DecayedQuantiles {
  readonly #weights = new Float64Array(BUCKETS)
  readonly #halfLifeMs: number
  #originMs = Number.NaN
  #total = 0
  #scale = 1

  constructor(halfLifeMs: number) {
    this.#halfLifeMs = halfLifeMs
  }

  /** Samples so far, the old ones as what they still weigh. */
  get samples(): number {
    return this.#total / this.#scale
  }

  add(value: number, timeMs: number): void {
    if (Number.isNaN(this.#originMs)) this.#originMs = timeMs
    const scale = 2 ** ((timeMs - this.#originMs) / this.#halfLifeMs)
    if (scale > SCALE_MAX) {
      for (let i = 0; i < BUCKETS; i++) this.#weights[i] = (this.#weights[i] ?? 0) / scale
      this.#total /= scale
      this.#originMs = timeMs
      this.#scale = 1
    } else {
      this.#scale = Math.max(this.#scale, scale)
    }
    const weight = scale > SCALE_MAX ? 1 : scale
    // The small subtraction keeps exact powers in their own bucket despite rounding.
    const bucket = Math.max(0, Math.ceil(Math.log(value) / LOG_GROWTH - 1e-9))
    const index = Math.min(BUCKETS - 1, bucket)
    this.#weights[index] = (this.#weights[index] ?? 0) + weight
    this.#total += weight
  }

  /** The value that a share `q` of the samples does not exceed, rounded to a whole count; 0 without samples. */
  quantile(q: number): number {
    if (this.#total <= 0) return 0
    const wanted = q * this.#total
    let sum = 0
    for (let i = 0; i < BUCKETS; i++) {
      sum += this.#weights[i] ?? 0
      if (sum >= wanted) return Math.floor(GROWTH ** i + 1e-9)
    }
    return Math.floor(GROWTH ** (BUCKETS - 1))
  }
}
