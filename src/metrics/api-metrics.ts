import type { Registry } from 'prom-client'
import type { ApiCall } from '../model/api-call.ts'
import { KNOWN_METHODS } from '../model/http-method.ts'
import { LabelBudget } from '../model/label-budget.ts'
import { METRICS } from '../model/metric-definitions.ts'
import type { Sink } from '../pipeline/contract.ts'
import { counterOf, histogramOf } from './instruments.ts'

/** Index = outcome. A revised call was counted when it was told the first time. */
export const API_METRICS_OUTCOMES = ['counted', 'filtered:revision'] as const
const COUNTED = 0
const REVISION = 1

const STATUS_CLASSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const

export interface LabelBudgets {
  /** Distinct values of `api`, and of the other labels that an API's CR fills, each. */
  readonly apisMax: number
  readonly operationsMax: number
  /** Distinct workloads, each for source and destination. */
  readonly workloadsMax: number
  readonly onOverflow: (label: string) => void
}

/**
 * Rate, errors and duration of each API, version and operation. Labels come from the catalogue only,
 * never from paths, addresses or headers; without an API the call counts with empty labels.
 */
export function createApiMetrics(registry: Registry, budgets: LabelBudgets): Sink<ApiCall> {
  const requests = counterOf(registry, METRICS.apiRequests)
  const duration = histogramOf(registry, METRICS.apiDuration)
  const unanswered = counterOf(registry, METRICS.apiUnanswered)
  const denied = counterOf(registry, METRICS.apiDenied)
  const limited = counterOf(registry, METRICS.apiLimited)
  const budget = (label: string, valuesMax: number) =>
    new LabelBudget(valuesMax, () => budgets.onOverflow(label))
  const apis = budget('api', budgets.apisMax)
  const namespaces = budget('namespace', budgets.apisMax)
  const versions = budget('version', budgets.apisMax)
  const environments = budget('environment', budgets.apisMax)
  const operations = budget('operation', budgets.operationsMax)

  return {
    accept(call) {
      const { exchange, api } = call
      if (exchange.revises) return REVISION
      const name = apis.valueOf(api?.name ?? '')
      const operation = operations.valueOf(call.operation?.template ?? '')
      const namespace = namespaces.valueOf(api?.namespace ?? '')
      const version = versions.valueOf(api?.version ?? '')
      const environment = environments.valueOf(api?.environment ?? '')
      const method = KNOWN_METHODS.has(exchange.method) ? exchange.method : '_OTHER'
      const status = statusClassOf(exchange.status)
      const { confidence } = call
      const labels = { api: name, namespace, version, operation }
      requests.inc({ ...labels, method, status_class: status, environment, confidence })
      const { durationMs } = exchange.report
      if (durationMs >= 0) duration.observe({ ...labels, method }, durationMs / 1_000)
      if (call.outcome === 'unanswered') unanswered.inc(labels)
      if (call.outcome === 'denied') denied.inc(labels)
      if (call.limitedBy !== null) limited.inc({ ...labels, by: call.limitedBy })
      return COUNTED
    },
    advance() {},
  }
}

/** `2xx` … `5xx`; `none` without an answer, and for a code that HTTP does not know. */
export function statusClassOf(status: number): string {
  return STATUS_CLASSES[Math.floor(status / 100)] ?? 'none'
}
