import { FLOW_KIND_NAMES, type FlowView, timeMsOf } from '../model/flow-view.ts'
import type { MetricCells, ScalarCells } from '../model/metric-cells.ts'
import { METRICS } from '../model/metric-definitions.ts'
import type { LossReason, RejectReason } from '../pipeline/contract.ts'

/** A node that is silent for this long has no lag any more; it may have left the cluster. */
const LAG_KEPT_MS = 10 * 60_000
const REJECT_REASONS: readonly RejectReason[] = [
  'duplicate',
  'malformed',
  'filtered',
  'too_large',
  'unsupported',
]
const LOSS_REASONS: readonly LossReason[] = ['perf_ring', 'events_queue', 'hubble_ring', 'unknown']
const CLOSED = ['source', 'type', 'reason']

export interface SourceMetricsOptions {
  /** Series have the label `cluster`. */
  readonly withCluster: boolean
  /** Of a source, the values of the labels that tell it: cluster, where series have it, and source. */
  readonly labelsOf: (source: string) => readonly string[]
  /** The value of the label `node`, within its budget. */
  readonly nodeOf: (node: string) => string
  /** Nodes whose lag is known, of all sources together. */
  readonly nodesMax: number
  /** Hears of each update that found no series of its own. */
  readonly onFull: () => void
  /** Unix ms. */
  readonly now: () => number
}

interface NodeLag {
  readonly cell: number
  measuredMs: number
  /** Second of the flow that was measured. */
  flowSeconds: number
}

/** Cells of one source; 0 where one was not needed yet. */
interface SourceCells {
  readonly labels: readonly string[]
  readonly received: Int32Array
  readonly rejected: Int32Array
  /** By the label's value, which is bounded. */
  readonly lost: Map<string, Int32Array>
  readonly lags: Map<string, NodeLag>
}

/** What is counted for every flow and every message of a source: cheap, as it is done as often as that. */
export class SourceMetrics {
  readonly #options: SourceMetricsOptions
  readonly #received: ScalarCells
  readonly #rejected: ScalarCells
  readonly #lost: ScalarCells
  readonly #lag: ScalarCells
  readonly #sources = new Map<string, SourceCells>()
  #nodes = 0

  constructor(cells: MetricCells, options: SourceMetricsOptions) {
    this.#options = options
    const { withCluster, onFull } = options
    const series = { withCluster, closed: CLOSED, onFull }
    this.#received = cells.scalar(METRICS.flowsReceived, series)
    this.#rejected = cells.scalar(METRICS.flowsRejected, series)
    this.#lost = cells.scalar(METRICS.flowsLost, series)
    this.#lag = cells.scalar(METRICS.sourceLag, series)
  }

  received(source: string, view: FlowView, isLive: boolean): void {
    const of = this.#cellsOf(source)
    const { kind } = view
    let cell = of.received[kind] ?? 0
    if (cell === 0) {
      cell = this.#received.cellOf([...of.labels, FLOW_KIND_NAMES[kind]])
      of.received[kind] = cell
    }
    this.#received.add(cell)
    if (isLive) this.#measureLag(of, view)
  }

  rejected(source: string, reason: RejectReason, count: number): void {
    const of = this.#cellsOf(source)
    const index = REJECT_REASONS.indexOf(reason)
    let cell = of.rejected[index] ?? 0
    if (cell === 0) {
      cell = this.#rejected.cellOf([...of.labels, reason])
      of.rejected[index] = cell
    }
    this.#rejected.add(cell, count)
  }

  /** `count` is as Hubble sent it: what is no count adds nothing. */
  lost(source: string, node: string, reason: LossReason, count: number): void {
    const of = this.#cellsOf(source)
    const label = this.#options.nodeOf(node)
    const index = LOSS_REASONS.indexOf(reason)
    let byReason = of.lost.get(label)
    if (byReason === undefined) {
      byReason = new Int32Array(LOSS_REASONS.length)
      of.lost.set(label, byReason)
    }
    let cell = byReason[index] ?? 0
    if (cell === 0) {
      cell = this.#lost.cellOf([...of.labels, label, reason])
      byReason[index] = cell
    }
    this.#lost.add(cell, count >= 0 && Number.isFinite(count) ? count : 0)
  }

  /** Before each scrape. */
  forgetSilentNodes(): void {
    const sinceMs = this.#options.now() - LAG_KEPT_MS
    for (const { lags } of this.#sources.values()) {
      for (const [node, { cell, measuredMs }] of lags) {
        if (measuredMs >= sinceMs) continue
        lags.delete(node)
        this.#nodes--
        this.#lag.set(cell, Number.NaN)
      }
    }
  }

  /** Measures the first flow of each second of a node, so that the clock is not asked for every flow. */
  #measureLag(of: SourceCells, view: FlowView): void {
    const node = view.nodeName()
    const lag = of.lags.get(node) ?? this.#addNode(of, node)
    if (lag === undefined || lag.flowSeconds === view.timeSeconds) return
    const nowMs = this.#options.now()
    lag.flowSeconds = view.timeSeconds
    lag.measuredMs = nowMs
    this.#lag.set(lag.cell, Math.max(0, (nowMs - timeMsOf(view)) / 1_000))
  }

  #addNode(of: SourceCells, node: string): NodeLag | undefined {
    if (this.#nodes >= this.#options.nodesMax) return undefined
    this.#nodes++
    const cell = this.#lag.cellOf([...of.labels, this.#options.nodeOf(node)])
    const lag = { cell, measuredMs: 0, flowSeconds: Number.NaN }
    of.lags.set(node, lag)
    return lag
  }

  #cellsOf(source: string): SourceCells {
    let of = this.#sources.get(source)
    if (of === undefined) {
      of = {
        labels: this.#options.labelsOf(source),
        received: new Int32Array(FLOW_KIND_NAMES.length),
        rejected: new Int32Array(REJECT_REASONS.length),
        lost: new Map(),
        lags: new Map(),
      }
      this.#sources.set(source, of)
    }
    return of
  }
}
