import { OTHER } from '../model/label-budget.ts'

/** The label `cluster`, which series have only where there is more than one source cluster. */
export class ClusterLabel {
  readonly isShown: boolean
  /** Indexes that `indexOf` may return: from 0 to before this. */
  readonly size: number
  readonly #names: readonly string[]
  readonly #indexes: ReadonlyMap<string, number>

  constructor(clusters: readonly string[]) {
    const names = [...new Set(clusters)]
    this.isShown = names.length > 1
    this.#names = this.isShown ? [...names, OTHER] : []
    this.#indexes = new Map(names.map((name, i) => [name, i]))
    this.size = Math.max(1, this.#names.length)
  }

  /** A name that nobody configured is `other`. */
  indexOf(name: string): number {
    return this.isShown ? (this.#indexes.get(name) ?? this.size - 1) : 0
  }

  /** The label's value, to stand before all others; none where it is not shown. */
  valuesOf(index: number): readonly string[] {
    return this.#names.slice(index, index + 1)
  }
}
