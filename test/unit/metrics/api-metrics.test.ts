import { Registry } from 'prom-client'
import { expect, it } from 'vitest'
import { API_METRICS_OUTCOMES, createApiMetrics } from '../../../src/metrics/api-metrics.ts'
import type { Api } from '../../../src/model/api.ts'
import { ApiCall, type ApiCallFields } from '../../../src/model/api-call.ts'
import { Exchange, type ExchangeFields, type Report } from '../../../src/model/exchange.ts'
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
async function countOf(calls: readonly ApiCall[], operationsMax = 10) {
  const registry = new Registry()
  const overflows: string[] = []
  const sink = createApiMetrics(registry, {
    apisMax: 10,
    operationsMax,
    workloadsMax: 10,
    onOverflow: (label) => overflows.push(label),
  })
  const outcomes = calls.map((call) => API_METRICS_OUTCOMES[sink.accept(call)])
  return { text: await registry.metrics(), outcomes, overflows }
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
  const { text, overflows } = await countOf(['/a', '/b', '/c'].map(operation), 2)
  expect(text).toContain('operation="other"')
  expect(text).not.toContain('operation="/c"')
  expect(overflows).toEqual(['operation'])
})
