import { setImmediate as nextTurn } from 'node:timers/promises'
import { OTHER } from './label-budget.ts'
import { labelNamesOf, type MetricDefinition } from './metric-definitions.ts'
import { headOf, labelTextOf, valueTextOf } from './metric-text.ts'

const SERIES_MAX = 50_000
/** Lines of a scrape between two turns of the event loop: 1 to 3 ms. */
const SLICE_LINES = 4_096
const ROOM_FIRST = 16

export interface CellsOptions {
  /** Series have `cluster` as their first label, where the metric is of a cluster. */
  readonly withCluster?: boolean
  /** Label sets at most; beyond them updates go to the set whose open labels are all `other`. Default 50,000. */
  readonly seriesMax?: number | undefined
  /** Labels whose values are a closed set: they stay what they are beyond `seriesMax`. */
  readonly closed?: readonly string[]
  /** Hears of each update that found no series of its own. */
  readonly onFull?: () => void
}

/**
 * The series of one metric, as numbers in a typed array. Whoever updates keeps the cell of a label
 * set beside what the labels follow from, so that an update is an addition and builds no text.
 * A cell is never 0; it is negative where the label set came beyond `seriesMax`.
 */
abstract class Cells {
  readonly definition: MetricDefinition
  /** Samples, and so lines, of one label set. */
  abstract readonly linesEach: number
  /** By cell; number 0 is nobody's. */
  protected readonly texts: string[] = ['']
  protected values: Float64Array
  readonly #width: number
  readonly #names: readonly string[]
  readonly #isClosed: readonly boolean[]
  readonly #seriesMax: number
  readonly #onFull: () => void
  readonly #cells = new Map<string, number>()

  /** `width`: numbers that one label set takes. */
  constructor(definition: MetricDefinition, width: number, options: CellsOptions) {
    const { withCluster = false, seriesMax = SERIES_MAX, closed = [], onFull } = options
    this.definition = definition
    this.#width = width
    this.#names = labelNamesOf(definition, withCluster)
    this.#isClosed = this.#names.map((name) => name === 'cluster' || closed.includes(name))
    this.#seriesMax = seriesMax
    this.#onFull = onFull ?? (() => {})
    this.values = new Float64Array(ROOM_FIRST * width)
  }

  /** Label sets so far: cells 1 … `size`. */
  get size(): number {
    return this.#cells.size
  }

  get isFull(): boolean {
    return this.#cells.size >= this.#seriesMax
  }

  /** The cell of a label set, for good; values in the order of the labels. Slow: keep what it returns. */
  cellOf(values: readonly string[]): number {
    const text = labelTextOf(this.#names, values)
    const known = this.#cells.get(text)
    if (known !== undefined) return known
    return this.isFull ? this.beyondCellOf(values) : this.#add(text)
  }

  /** The same for a label set that is known to have come beyond `seriesMax`. */
  beyondCellOf(values: readonly string[]): number {
    const others = values.map((value, i) => (this.#isClosed[i] === true ? value : OTHER))
    const text = labelTextOf(this.#names, others)
    return -(this.#cells.get(text) ?? this.#add(text))
  }

  /** Lines of the cells `from` to before `to`, each with its end. */
  abstract linesOf(from: number, to: number): string

  /** Where in `values` the numbers of a cell begin. */
  protected placeOf(cell: number): number {
    if (cell >= 0) return cell * this.#width
    this.#onFull()
    return -cell * this.#width
  }

  #add(text: string): number {
    const cell = this.texts.push(text) - 1
    this.#cells.set(text, cell)
    const needed = (cell + 1) * this.#width
    if (needed > this.values.length) {
      const grown = new Float64Array(this.values.length * 2)
      grown.set(this.values)
      this.values = grown
    }
    return cell
  }
}

/** A counter or a gauge. */
export class ScalarCells extends Cells {
  readonly linesEach = 1

  constructor(definition: MetricDefinition, options: CellsOptions) {
    super(definition, 1, options)
  }

  add(cell: number, count = 1): void {
    const at = this.placeOf(cell)
    this.values[at] = (this.values[at] ?? 0) + count
  }

  /** NaN: the series is not shown until it is set again. */
  set(cell: number, value: number): void {
    this.values[this.placeOf(cell)] = value
  }

  linesOf(from: number, to: number): string {
    const lines: string[] = []
    const { name } = this.definition
    for (let cell = from; cell < to; cell++) {
      const value = this.values[cell] ?? 0
      if (Number.isNaN(value)) continue
      const labels = this.texts[cell] ?? ''
      lines.push(`${name}${labels === '' ? '' : `{${labels}}`} ${valueTextOf(value)}\n`)
    }
    // Flat: what is put together from ropes keeps all of them until the end.
    return lines.join('')
  }
}

/** A histogram: per label set a count for each bucket, then the sum and the count of all. */
export class HistogramCells extends Cells {
  readonly linesEach: number
  readonly #bounds: Float64Array
  /** `NAME_bucket{le="BOUND"`, the last one for +Inf. */
  readonly #heads: readonly string[]

  constructor(definition: MetricDefinition, options: CellsOptions) {
    const bounds = definition.buckets ?? []
    super(definition, bounds.length + 2, options)
    this.linesEach = bounds.length + 3
    this.#bounds = Float64Array.from(bounds)
    this.#heads = [...bounds, '+Inf'].map((bound) => `${definition.name}_bucket{le="${bound}"`)
  }

  observe(cell: number, value: number): void {
    const at = this.placeOf(cell)
    const bounds = this.#bounds
    const { length } = bounds
    const { values } = this
    let i = 0
    while (i < length && value > (bounds[i] ?? 0)) i++
    if (i < length) values[at + i] = (values[at + i] ?? 0) + 1
    values[at + length] = (values[at + length] ?? 0) + value
    values[at + length + 1] = (values[at + length + 1] ?? 0) + 1
  }

  linesOf(from: number, to: number): string {
    const lines: string[] = []
    const { name } = this.definition
    const { length } = this.#bounds
    for (let cell = from; cell < to; cell++) {
      const labels = this.texts[cell] ?? ''
      const end = labels === '' ? '} ' : `,${labels}} `
      const set = labels === '' ? ' ' : `{${labels}} `
      const at = this.placeOf(cell)
      let below = 0
      for (let i = 0; i < length; i++) {
        below += this.values[at + i] ?? 0
        lines.push(`${this.#heads[i]}${end}${below}\n`)
      }
      const sum = valueTextOf(this.values[at + length] ?? 0)
      const count = this.values[at + length + 1] ?? 0
      lines.push(`${this.#heads[length]}${end}${count}\n`)
      lines.push(`${name}_sum${set}${sum}\n`, `${name}_count${set}${count}\n`)
    }
    // Flat: what is put together from ropes keeps all of them until the end.
    return lines.join('')
  }
}

/** Metrics that are updated for every flow or call, and their text in the format 0.0.4. */
export class MetricCells {
  readonly #all: Cells[] = []

  scalar(definition: MetricDefinition, options: CellsOptions = {}): ScalarCells {
    return this.#kept(new ScalarCells(definition, options))
  }

  histogram(definition: MetricDefinition, options: CellsOptions = {}): HistogramCells {
    return this.#kept(new HistogramCells(definition, options))
  }

  /**
   * All series. Updates go on meanwhile: after some thousand lines the event loop has its turn, and
   * the lines of one label set are of one moment.
   */
  async metrics(): Promise<string> {
    const parts: string[] = []
    let lines = 0
    for (const cells of this.#all) {
      if (parts.length > 0) parts.push('\n')
      parts.push(headOf(cells.definition))
      for (let from = 1; from <= cells.size; ) {
        const room = Math.ceil((SLICE_LINES - lines) / cells.linesEach)
        const to = Math.min(from + room, cells.size + 1)
        parts.push(cells.linesOf(from, to))
        lines += (to - from) * cells.linesEach
        from = to
        if (lines < SLICE_LINES) continue
        lines = 0
        await nextTurn()
      }
    }
    return parts.join('')
  }

  #kept<T extends Cells>(cells: T): T {
    this.#all.push(cells)
    return cells
  }
}
