import type { Confidence } from '../model/api.ts'
import type { ApiCall } from '../model/api-call.ts'
import type { MetricCells } from '../model/metric-cells.ts'
import { METRICS, type MetricDefinition } from '../model/metric-definitions.ts'
import type { Sink } from '../pipeline/contract.ts'
import { type ApiRow, ApiRows, type LabelBudgets } from './api-rows.ts'

/** Index = outcome. A revised call was counted when it was told the first time. */
export const API_METRICS_OUTCOMES = ['counted', 'filtered:revision'] as const
const COUNTED = 0
const REVISION = 1

const STATUS_CLASSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const
const CONFIDENCES: readonly Confidence[] = ['exact', 'high', 'low', 'ambiguous', 'none']
/** Labels of closed sets; `cluster` is one by itself. */
const CLOSED = ['method', 'status_class', 'confidence', 'by']

/** Places in a row: first one for each status class and confidence. */
const DURATION = STATUS_CLASSES.length * CONFIDENCES.length
const UNANSWERED = DURATION + 1
const DENIED = DURATION + 2
const LIMITED_BY_WEIR = DURATION + 3
const LIMITED_BY_OTHER = DURATION + 4
const WIDTH = DURATION + 5

/**
 * Rate, errors and duration of each API, version and operation. Labels come from the catalogue only,
 * never from paths, addresses or headers; without an API the call counts with empty labels.
 * Cost: well below 1 µs a call, and no allocation but for what is counted the first time.
 */
export function createApiMetrics(cells: MetricCells, budgets: LabelBudgets): Sink<ApiCall> {
  const rows = new ApiRows(budgets, WIDTH)
  const { seriesMax } = budgets
  const onFull = () => budgets.onOverflow('series')
  const options = { withCluster: rows.cluster.isShown, seriesMax, closed: CLOSED, onFull }
  const counter = (definition: MetricDefinition) => cells.scalar(definition, options)
  const requests = counter(METRICS.apiRequests)
  const duration = cells.histogram(METRICS.apiDuration, options)
  const unanswered = counter(METRICS.apiUnanswered)
  const denied = counter(METRICS.apiDenied)
  const limited = counter(METRICS.apiLimited)

  function requestsCellOf(row: ApiRow, status: number, confidence: number): number {
    const { labels, method, environment } = row
    const statusClass = STATUS_CLASSES[status] ?? ''
    const values = [...labels, method, statusClass, environment, CONFIDENCES[confidence] ?? '']
    return keep(row, status * CONFIDENCES.length + confidence, requests.cellOf(values))
  }

  return {
    accept(call) {
      const { exchange, limitedBy } = call
      if (exchange.revises) return REVISION
      const { report } = exchange
      const row = rows.rowOf(call.api, call.operation, exchange.method, report.cluster)
      const status = statusIndexOf(report.status)
      const confidence = CONFIDENCES.indexOf(call.confidence)
      const counted = row.cells[status * CONFIDENCES.length + confidence]
      requests.add(counted || requestsCellOf(row, status, confidence))
      if (report.durationMs >= 0) {
        const observed = row.cells[DURATION]
        const cell = observed || keep(row, DURATION, duration.cellOf([...row.labels, row.method]))
        duration.observe(cell, report.durationMs / 1_000)
      }
      if (call.outcome === 'unanswered') {
        const known = row.cells[UNANSWERED]
        unanswered.add(known || keep(row, UNANSWERED, unanswered.cellOf(row.labels)))
      }
      if (call.outcome === 'denied') {
        denied.add(row.cells[DENIED] || keep(row, DENIED, denied.cellOf(row.labels)))
      }
      if (limitedBy !== null) {
        const place = limitedBy === 'weir' ? LIMITED_BY_WEIR : LIMITED_BY_OTHER
        const known = row.cells[place]
        limited.add(known || keep(row, place, limited.cellOf([...row.labels, limitedBy])))
      }
      return COUNTED
    },
    advance() {},
  }
}

function keep(row: ApiRow, place: number, cell: number): number {
  row.cells[place] = cell
  return cell
}

/** `2xx` … `5xx`; `none` without an answer, and for a code that HTTP does not know. */
export function statusClassOf(status: number): string {
  return STATUS_CLASSES[statusIndexOf(status)] ?? ''
}

function statusIndexOf(status: number): number {
  const index = Math.floor(status / 100)
  return index >= 0 && index < STATUS_CLASSES.length ? index : 0
}
