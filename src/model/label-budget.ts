/** What a value becomes that came after its label's budget was spent. */
export const OTHER = 'other'
const VALUE_MAX = 128
/** C0, DEL and C1: a label is read in terminals and pages. */
const CONTROL = /\p{Cc}/gu

/**
 * Bounds the values of one label: the first `valuesMax` distinct ones stand for themselves, later
 * ones are `other`, and `onOverflow` hears of each. Values come from cluster objects and captures,
 * in which others can put any number of any text.
 */
export class LabelBudget {
  readonly #known = new Set<string>()
  readonly #valuesMax: number
  readonly #onOverflow: () => void

  constructor(valuesMax: number, onOverflow: () => void = () => {}) {
    this.#valuesMax = valuesMax
    this.#onOverflow = onOverflow
  }

  valueOf(raw: string): string {
    if (raw === '' || this.#known.has(raw)) return raw
    const value = raw.replace(CONTROL, '').slice(0, VALUE_MAX)
    if (this.#known.has(value)) return value
    if (this.#known.size >= this.#valuesMax) {
      this.#onOverflow()
      return OTHER
    }
    this.#known.add(value)
    return value
  }
}
