import fc from 'fast-check'
import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import {
  API_METRICS_OUTCOMES,
  createApiMetrics,
  statusClassOf,
} from '../../../src/metrics/api-metrics.ts'
import type { LabelBudgets } from '../../../src/metrics/api-rows.ts'
import type { Api } from '../../../src/model/api.ts'
import { ApiCall, type ApiCallFields } from '../../../src/model/api-call.ts'
import { Exchange, type ExchangeFields, type Report } from '../../../src/model/exchange.ts'
import { LabelBudget } from '../../../src/model/label-budget.ts'
import { MetricCells } from '../../../src/model/metric-cells.ts'
import { METRICS, type MetricDefinition } from '../../../src/model/metric-definitions.ts'
import { HOSTILE_VALUES, linesOf, reference, samplesOf } from '../../fixtures/exposition.ts'
import { PLAIN_CALL, PLAIN_EXCHANGE, PLAIN_REPORT } from '../../fixtures/plain-call.ts'

const ORDERS: Api = {
  name: 'Orders',
  version: '1.0',
  context: '/orders/1.0',
  type: 'REST',
  organization: 'acme',
  environment: 'production',
  namespace: 'shop',
  id: 'shop/orders',
}

function callOf(
  call: Partial<ApiCallFields>,
  report: Partial<Report> = {},
  exchange: Partial<ExchangeFields> = {},
): ApiCall {
  return new ApiCall({
    ...PLAIN_CALL,
    api: ORDERS,
    operation: { method: 'GET', template: '/{id}' },
    confidence: 'exact',
    exchange: new Exchange({
      ...PLAIN_EXCHANGE,
      report: { ...PLAIN_REPORT, ...report },
      ...exchange,
    }),
    ...call,
  })
}

/** The exposition after these calls, and what became of each. */
async function countOf(calls: readonly ApiCall[], budgets: Partial<LabelBudgets> = {}) {
  const cells = new MetricCells()
  const overflows: string[] = []
  const sink = createApiMetrics(cells, {
    apisMax: 10,
    operationsMax: 10,
    workloadsMax: 10,
    onOverflow: (label) => overflows.push(label),
    ...budgets,
  })
  const outcomes = calls.map((call) => API_METRICS_OUTCOMES[sink.accept(call)])
  return { text: await cells.metrics(), outcomes, overflows }
}

const LABELS = 'api="Orders",namespace="shop",version="1.0",operation="/{id}"'
const REQUESTS = (rest: string) => `weir_api_requests_total{${LABELS},method="GET",${rest}}`

it('counts a call by API, operation, method and status, with its duration in seconds', async () => {
  const { text } = await countOf([
    callOf({}, { durationMs: 20 }),
    callOf({}, { durationMs: 200 }),
    callOf({}, { status: 503, durationMs: 30 }),
  ])
  const rest = 'environment="production",confidence="exact"'
  expect(text).toContain(`${REQUESTS(`status_class="2xx",${rest}`)} 2`)
  expect(text).toContain(`${REQUESTS(`status_class="5xx",${rest}`)} 1`)
  const series = `${LABELS},method="GET"`
  expect(text).toContain(`weir_api_request_duration_seconds_bucket{le="0.025",${series}} 1`)
  expect(text).toContain(`weir_api_request_duration_seconds_count{${series}} 3`)
  expect(text).toContain(`weir_api_request_duration_seconds_sum{${series}} 0.25`)
})

it('counts unanswered, denied and limited calls among the requests, not instead of them', async () => {
  const { text } = await countOf([
    callOf({ outcome: 'unanswered' }, { status: 0, durationMs: -1 }),
    callOf({ outcome: 'denied' }, { status: 403 }),
    callOf({ outcome: 'limited', limitedBy: 'weir' }, { status: 429 }),
    callOf({ outcome: 'limited', limitedBy: 'other' }, { status: 429 }),
  ])
  const rest = 'environment="production",confidence="exact"'
  expect(text).toContain(`${REQUESTS(`status_class="none",${rest}`)} 1`)
  expect(text).toContain(`${REQUESTS(`status_class="4xx",${rest}`)} 3`)
  expect(text).toContain(`weir_api_unanswered_total{${LABELS}} 1`)
  expect(text).toContain(`weir_api_denied_total{${LABELS}} 1`)
  expect(text).toContain(`weir_api_limited_total{${LABELS},by="weir"} 1`)
  expect(text).toContain(`weir_api_limited_total{${LABELS},by="other"} 1`)
  expect(text).toContain(`weir_api_request_duration_seconds_count{${LABELS},method="GET"} 3`)
})

it('counts a call without an API with empty labels, and never by its path', async () => {
  const ambiguous = { api: null, operation: null, confidence: 'ambiguous' } as const
  const { text } = await countOf([callOf(ambiguous, {}, { path: '/orders/7', method: 'BREW' })])
  expect(text).toContain(
    'weir_api_requests_total{api="",namespace="",version="",operation="",method="_OTHER",status_class="2xx",environment="",confidence="ambiguous"} 1',
  )
  expect(text).not.toContain('/orders/7')
  expect(text).not.toContain('BREW')
})

it('counts a call that is told again only once', async () => {
  const { text, outcomes } = await countOf([
    callOf({ outcome: 'unanswered' }, { status: 0, durationMs: -1 }),
    callOf({}, {}, { revises: true }),
  ])
  expect(outcomes).toEqual(['counted', 'filtered:revision'])
  expect(text).not.toContain('status_class="2xx"')
})

it('tells operations beyond the budget as other, and says so', async () => {
  const operation = (template: string) => callOf({ operation: { method: 'GET', template } })
  const { text, overflows } = await countOf(['/a', '/b', '/c'].map(operation), {
    operationsMax: 2,
  })
  expect(text).toContain('operation="other"')
  expect(text).not.toContain('operation="/c"')
  expect(overflows).toEqual(['operation'])
})

it('tells each call whose label is beyond its budget, not only the first of an operation', async () => {
  const beyond = callOf({ operation: { method: 'GET', template: '/b' } })
  const { text, overflows } = await countOf([callOf({}), beyond, beyond, beyond], {
    operationsMax: 1,
  })
  expect(overflows).toEqual(['operation', 'operation', 'operation'])
  const counts = samplesOf(text, 'weir_api_requests_total')
  expect(counts.map(([{ operation }, n]) => [operation, n])).toEqual([
    ['/{id}', 1],
    ['other', 3],
  ])
})

it('counts in the same series after the catalogue was read again', async () => {
  const again = { api: { ...ORDERS }, operation: { method: 'GET', template: '/{id}' } }
  const { text } = await countOf([callOf({}), callOf(again), callOf(again)], { apisMax: 1 })
  expect(samplesOf(text, 'weir_api_requests_total').map(([, n]) => n)).toEqual([3])
  expect(samplesOf(text, 'weir_api_request_duration_seconds_count').map(([, n]) => n)).toEqual([3])
})

it('tells an operation of two APIs apart, where both are of one object', async () => {
  const operation = { method: 'GET', template: '/{id}' }
  const other = { ...ORDERS, name: 'Users' }
  const { text } = await countOf([callOf({ operation }), callOf({ operation, api: other })])
  const counts = samplesOf(text, 'weir_api_requests_total')
  expect(counts.map(([{ api }, n]) => [api, n])).toEqual([
    ['Orders', 1],
    ['Users', 1],
  ])
})

it('counts what is beyond seriesMax under other, by status as before, and tells each', async () => {
  const operation = (template: string) => ({ operation: { method: 'GET', template } })
  const calls = ['/a', '/b', '/c', '/c'].map((template) => callOf(operation(template)))
  calls.push(callOf(operation('/d'), { status: 500, durationMs: -1 }))
  const { text, overflows } = await countOf(calls, { seriesMax: 2 })
  const rest = 'environment="other",confidence="exact"'
  const others = 'api="other",namespace="other",version="other",operation="other",method="GET"'
  expect(text).toContain(`weir_api_requests_total{${others},status_class="2xx",${rest}} 2`)
  expect(text).toContain(`weir_api_requests_total{${others},status_class="5xx",${rest}} 1`)
  expect(text).toContain(`weir_api_request_duration_seconds_count{${others}} 2`)
  expect(overflows).toEqual(Array(5).fill('series'))
})

describe('the label cluster', () => {
  const calls = ['blue', 'green', 'nowhere'].map((cluster) => callOf({}, { cluster }))

  it.each([{ clusters: [] }, { clusters: ['blue'] }, { clusters: ['blue', 'blue'] }])(
    'is absent where the clusters are $clusters',
    async ({ clusters }) => {
      const { text } = await countOf(calls, { clusters })
      expect(text).not.toContain('cluster')
      expect(samplesOf(text, 'weir_api_requests_total').map(([, n]) => n)).toEqual([3])
    },
  )

  it('comes first where there is more than one; a name that is not configured is other', async () => {
    const { text } = await countOf(calls, { clusters: ['blue', 'green'] })
    for (const name of ['blue', 'green', 'other']) {
      expect(text).toContain(`weir_api_requests_total{cluster="${name}",${LABELS},`)
      const series = `le="10",cluster="${name}",${LABELS},method="GET"`
      expect(text).toContain(`weir_api_request_duration_seconds_bucket{${series}} 1`)
    }
  })
})

/** What the metrics are to count, by label values, in prom-client. */
function modelOf(registry: Registry, budgets: LabelBudgets): (call: ApiCall) => void {
  const withCluster = (budgets.clusters ?? []).length > 1
  const metric = (definition: MetricDefinition) => reference(registry, definition, withCluster)
  const requests = metric(METRICS.apiRequests)
  const duration = metric(METRICS.apiDuration)
  const unanswered = metric(METRICS.apiUnanswered)
  const denied = metric(METRICS.apiDenied)
  const limited = metric(METRICS.apiLimited)
  const budget = (label: string, max: number) =>
    new LabelBudget(max, () => budgets.onOverflow(label))
  const names = budget('api', budgets.apisMax)
  const namespaces = budget('namespace', budgets.apisMax)
  const versions = budget('version', budgets.apisMax)
  const environments = budget('environment', budgets.apisMax)
  const operations = budget('operation', budgets.operationsMax)
  return ({ exchange, api, operation, confidence, outcome, limitedBy }) => {
    if (exchange.revises) return
    const { cluster, durationMs, status } = exchange.report
    const labels = [
      ...(withCluster ? [cluster] : []),
      names.valueOf(api?.name ?? ''),
      namespaces.valueOf(api?.namespace ?? ''),
      versions.valueOf(api?.version ?? ''),
      operations.valueOf(operation?.template ?? ''),
    ]
    const environment = environments.valueOf(api?.environment ?? '')
    const method = exchange.method === 'BREW' ? '_OTHER' : exchange.method
    requests([...labels, method, statusClassOf(status), environment, confidence], 1)
    if (durationMs >= 0) duration([...labels, method], durationMs / 1_000)
    if (outcome === 'unanswered') unanswered(labels, 1)
    if (outcome === 'denied') denied(labels, 1)
    if (limitedBy !== null) limited([...labels, limitedBy], 1)
  }
}

it('is what prom-client counts, after any calls', async () => {
  const text = fc.constantFrom(...HOSTILE_VALUES)
  const api = fc
    .record({ name: text, namespace: text, version: text, environment: text })
    .map((labels): Api => ({ ...ORDERS, ...labels }))
  const operation = text.map((template) => ({ method: 'GET', template }))
  const pools = fc.record({
    apis: fc.array(api, { minLength: 1, maxLength: 5 }),
    operations: fc.array(operation, { minLength: 1, maxLength: 5 }),
  })
  const call = fc.record({
    api: fc.nat(6),
    operation: fc.nat(6),
    method: fc.constantFrom('GET', 'POST', 'BREW'),
    status: fc.constantFrom(0, 101, 200, 404, 503, 999, -1),
    durationMs: fc.oneof(fc.constant(-1), fc.double({ min: 0, max: 12_000, noNaN: true })),
    confidence: fc.constantFrom('exact', 'high', 'low', 'ambiguous', 'none'),
    outcome: fc.constantFrom('answered', 'unanswered', 'denied', 'limited'),
    limitedBy: fc.constantFrom(null, 'weir', 'other'),
    cluster: fc.constantFrom('blue', 'green'),
    revises: fc.boolean(),
  })
  const property = fc.asyncProperty(
    pools,
    fc.array(call, { maxLength: 40 }),
    fc.boolean(),
    async ({ apis, operations }, drawn, isOneCluster) => {
      const budgets = {
        apisMax: 3,
        operationsMax: 3,
        workloadsMax: 3,
        clusters: isOneCluster ? ['blue'] : ['blue', 'green'],
      }
      const heard: string[][] = [[], []]
      const registry = new Registry()
      const cells = new MetricCells()
      const onOverflow = (to: number) => (label: string) => heard[to]?.push(label)
      const sink = createApiMetrics(cells, { ...budgets, onOverflow: onOverflow(0) })
      const count = modelOf(registry, { ...budgets, onOverflow: onOverflow(1) })
      for (const { status, durationMs, cluster, method, revises, ...rest } of drawn) {
        const made = callOf(
          {
            ...rest,
            api: apis[rest.api] ?? null,
            operation: operations[rest.operation] ?? null,
          },
          { status, durationMs, cluster },
          { method, revises },
        )
        sink.accept(made)
        count(made)
      }
      expect(linesOf(await cells.metrics())).toEqual(linesOf(await registry.metrics()))
      expect(heard[0]?.sort()).toEqual(heard[1]?.sort())
    },
  )
  await fc.assert(property)
})
