import { LabelBudget } from '../model/label-budget.ts'

/** Dense numbers of one label's values, within its budget. */
export class LabelIds {
  /** Values that came beyond the budget so far. */
  overflowed = 0
  readonly #budget: LabelBudget
  readonly #ids = new Map<string, number>()
  readonly #values: string[] = []

  constructor(valuesMax: number, onOverflow: () => void) {
    this.#budget = new LabelBudget(valuesMax, () => {
      this.overflowed++
      onOverflow()
    })
  }

  idOf(raw: string): number {
    const value = this.#budget.valueOf(raw)
    const known = this.#ids.get(value)
    if (known !== undefined) return known
    const id = this.#values.push(value) - 1
    this.#ids.set(value, id)
    return id
  }

  valueOf(id: number): string {
    return this.#values[id] ?? ''
  }
}

/** The same for a label that names small numbers: each is named once. */
export class CodeIds {
  readonly ids: LabelIds
  readonly #nameOf: (code: number) => string
  /** By code, 1 more than its id; 0: not named yet. */
  readonly #idsByCode: Int32Array

  constructor(codesMax: number, nameOf: (code: number) => string, onOverflow: () => void) {
    this.ids = new LabelIds(codesMax, onOverflow)
    this.#nameOf = nameOf
    this.#idsByCode = new Int32Array(codesMax)
  }

  idOf(code: number): number {
    const known = this.#idsByCode[code] ?? 0
    if (known > 0) return known - 1
    const { overflowed } = this.ids
    const id = this.ids.idOf(this.#nameOf(code))
    // What is beyond the budget is told each time. A code beyond the array leaves no mark in it.
    if (this.ids.overflowed === overflowed) this.#idsByCode[code] = id + 1
    return id
  }
}
