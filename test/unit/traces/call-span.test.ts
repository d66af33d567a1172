import { SpanKind, SpanStatusCode } from '@opentelemetry/api'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ApiCall } from '../../../src/model/api-call.ts'
import { NO_FIELDS } from '../../../src/model/endpoint.ts'
import type { Report } from '../../../src/model/exchange.ts'
import { Direction } from '../../../src/model/flow-view.ts'
import { CallSpan } from '../../../src/traces/call-span.ts'
import { SpanResources } from '../../../src/traces/span-resources.ts'
import {
  CART,
  ORDERS,
  ORDERS_POD,
  sampleCall,
  sampleExchange,
  sampleReport,
} from './sample-call.ts'

const resources = new SpanResources('weir')
const EGRESS = { direction: Direction.egress }

function spanOf(call: ApiCall, report: Report = call.exchange.report): CallSpan {
  const ids = { traceId: 'a'.repeat(32), spanId: 'b'.repeat(16), parentId: '' }
  return new CallSpan({
    call,
    report,
    resource: resources.of(report.destination, 'default'),
    ...ids,
  })
}

describe('CallSpan', () => {
  it('tells the server side of a call', () => {
    const span = spanOf(sampleCall())
    expect(span).toMatchObject({
      kind: SpanKind.SERVER,
      name: 'GET /orders-api/1.0.0/orders/{id}',
      startTime: [1_700_000_000, 123_500_000],
      endTime: [1_700_000_000, 136_000_000],
      duration: [0, 12_500_000],
      status: { code: SpanStatusCode.UNSET },
      parentSpanContext: undefined,
    })
    expect(span.attributes).toEqual({
      'http.request.method': 'GET',
      'http.route': '/orders-api/1.0.0/orders/{id}',
      'http.response.status_code': 200,
      'network.protocol.name': 'http',
      'network.protocol.version': '1.1',
      'user_agent.original': 'curl/8',
      'server.address': 'orders.backend',
      'server.port': 8080,
      'url.scheme': 'http',
      'url.path': '/orders/7',
      'client.address': '10.0.0.1',
      'network.peer.address': '10.0.0.1',
      'network.peer.port': 40_000,
      'service.peer.name': 'cart',
      'service.peer.namespace': 'shop',
      'k8s.node.name': 'node-1',
      'weir.call.id': sampleCall().exchange.id,
      'weir.outcome': 'answered',
      'weir.api.id': 'shop/orders',
      'weir.api.name': 'Orders',
      'weir.api.version': '1.0.0',
      'weir.api.context': '/orders-api/1.0.0',
      'weir.api.type': 'REST',
      'weir.api.organization': 'shop',
      'weir.api.environment': 'production',
      'weir.api.namespace': 'shop',
      'weir.api.operation': '/orders/{id}',
      'weir.api.confidence': 'high',
      'weir.api.how': 'backend',
      'weir.client.kind': 'workload',
      'weir.client.value': 'shop/cart',
      'weir.via': 'direct',
    })
  })

  it('tells the application and the service account of a client', () => {
    const application = {
      name: 'web',
      owner: '',
      organization: 'acme',
      keyType: 'SANDBOX',
      subscription: { name: 's', status: 'ACTIVE', tier: 'gold' },
    }
    const client = { kind: 'workload' as const, value: 'shop/cart', addresses: [] }
    const known = { ...client, serviceAccount: 'shop/runner', application }
    const { attributes } = spanOf(sampleCall({ client: known }))
    expect(attributes).toMatchObject({
      'weir.client.service_account': 'shop/runner',
      'weir.application.name': 'web',
      'weir.application.organization': 'acme',
      'weir.application.key_type': 'SANDBOX',
      'weir.application.subscription': 's',
      'weir.application.tier': 'gold',
    })
    expect(attributes).not.toHaveProperty('weir.application.owner')
  })

  it('tells the client side of a call', () => {
    const report = sampleReport({ ...EGRESS, destinationService: 'backend/orders' })
    const exchange = sampleExchange({ report, attempts: 3 })
    const span = spanOf(sampleCall({ exchange, limitedBy: 'weir', outcome: 'limited' }))
    expect(span.kind).toBe(SpanKind.CLIENT)
    expect(span.attributes).toMatchObject({
      'url.full': 'http://orders.backend:8080/orders/7',
      'url.template': '/orders-api/1.0.0/orders/{id}',
      'http.request.resend_count': 2,
      'network.peer.address': '10.0.0.2',
      'service.peer.name': 'orders',
      'k8s.service.name': 'orders',
      'weir.limited_by': 'weir',
    })
    expect(span.attributes).not.toHaveProperty('url.path')
  })

  it.each([
    { side: 'server', status: 404, over: {}, code: SpanStatusCode.UNSET, type: undefined },
    { side: 'server', status: 503, over: {}, code: SpanStatusCode.ERROR, type: '503' },
    { side: 'client', status: 404, over: EGRESS, code: SpanStatusCode.ERROR, type: '404' },
    { side: 'client', status: 302, over: EGRESS, code: SpanStatusCode.UNSET, type: undefined },
  ])('a $status is, for the $side, status $code', ({ status, over, code, type }) => {
    const span = spanOf(
      sampleCall({ exchange: sampleExchange({ report: sampleReport({ status, ...over }) }) }),
    )
    expect(span.status.code).toBe(code)
    expect(span.attributes['error.type']).toBe(type)
  })

  it('an unanswered call is an error without length', () => {
    const report = sampleReport({ status: 0, durationMs: -1 })
    const exchange = sampleExchange({ report, outcome: 'unanswered' })
    const span = spanOf(sampleCall({ exchange, outcome: 'unanswered' }))
    expect(span.status.code).toBe(SpanStatusCode.ERROR)
    expect(span.attributes['error.type']).toBe('unanswered')
    expect(span.attributes).not.toHaveProperty('http.response.status_code')
    expect(span.endTime).toEqual(span.startTime)
  })

  it.each([
    { why: 'no operation', over: { operation: null }, name: 'GET' },
    {
      why: 'a template of no API',
      over: { api: null, operation: { method: 'GET', template: '/a/{id}' } },
      name: 'GET /a/{id}',
    },
    {
      why: 'the root of an API',
      over: { operation: { method: '*', template: '/' } },
      name: 'GET /orders-api/1.0.0',
    },
  ])('is named by few values: $why', ({ over, name }) => {
    expect(spanOf(sampleCall(over)).name).toBe(name)
  })

  it.each([
    { method: 'BREW', name: 'HTTP', original: 'BREW' },
    { method: 'get', name: 'HTTP', original: 'get' },
    { method: '', name: 'HTTP', original: undefined },
  ])('method "$method" is _OTHER', ({ method, name, original }) => {
    const span = spanOf(sampleCall({ exchange: sampleExchange({ method }), operation: null }))
    expect(span.name).toBe(name)
    expect(span.attributes['http.request.method']).toBe('_OTHER')
    expect(span.attributes['http.request.method_original']).toBe(original)
  })

  it.each([
    { host: 'api.example.com', scheme: 'https', address: 'api.example.com', port: 443 },
    { host: 'api.example.com:9095', scheme: 'https', address: 'api.example.com', port: 9095 },
    { host: '[fd00::1]:80', scheme: 'http', address: 'fd00::1', port: 80 },
    { host: 'fd00::1', scheme: 'http', address: 'fd00::1', port: 80 },
    { host: '', scheme: 'http', address: '10.0.0.2', port: 8080 },
  ])('takes "$host" apart', ({ host, scheme, address, port }) => {
    const { attributes } = spanOf(sampleCall({ exchange: sampleExchange({ host, scheme }) }))
    expect([attributes['server.address'], attributes['server.port']]).toEqual([address, port])
  })

  it('lists the candidates of an ambiguous call instead of an API', () => {
    const other = { ...ORDERS, id: 'shop/other' }
    const { attributes } = spanOf(
      sampleCall({ api: null, confidence: 'ambiguous', candidates: [ORDERS, other] }),
    )
    expect(attributes['weir.api.candidates']).toEqual(['shop/orders', 'shop/other'])
    expect(attributes).not.toHaveProperty('weir.api.id')
  })

  it('stays small and valid whatever a sender chooses', () => {
    const text = fc.string({ unit: 'binary', maxLength: 3_000 })
    const time = fc.double()
    const property = fc.property(text, text, text, time, time, (a, b, c, startMs, durationMs) => {
      const report = sampleReport({ startMs, durationMs })
      const exchange = sampleExchange({ report, path: a, host: b, method: c, protocol: a })
      const span = spanOf(sampleCall({ exchange }))
      expect(span.name.length).toBeLessThan(1_100)
      for (const value of Object.values(span.attributes)) {
        if (typeof value === 'string') expect(value.length).toBeLessThanOrEqual(1_024)
      }
      for (const [seconds, nanos] of [span.startTime, span.endTime, span.duration]) {
        expect(Number.isInteger(seconds) && seconds >= 0).toBe(true)
        expect(nanos >= 0 && nanos < 1e9).toBe(true)
      }
    })
    fc.assert(property)
  })
})

describe('SpanResources', () => {
  it('names the workload of the endpoint', () => {
    expect(resources.of(CART, 'default').attributes).toEqual({
      'service.name': 'cart',
      'service.namespace': 'shop',
      'k8s.cluster.name': 'east',
      'k8s.namespace.name': 'shop',
      'k8s.pod.name': 'cart-5d-x1',
      'k8s.deployment.name': 'cart',
    })
    expect(resources.of(ORDERS_POD, 'default').attributes).toMatchObject({
      'k8s.cluster.name': 'default',
      'k8s.statefulset.name': 'orders',
    })
  })

  it.each([
    { why: 'a pod without owner', over: { pod: 'p1' }, name: 'p1' },
    { why: 'the gateway', over: { reserved: 'ingress' }, name: 'ingress' },
    { why: 'nothing known', over: {}, name: 'weir' },
  ])('names $why', ({ over, name }) => {
    const endpoint = { ...NO_FIELDS, ...over, id: 9, generation: 0 }
    expect(resources.of(endpoint, 'default').attributes['service.name']).toBe(name)
  })

  it('gives one object an endpoint, and a new one when its id is used again', () => {
    const again = { ...CART, workload: 'shop', generation: 1 }
    expect(resources.of(CART, 'default')).toBe(resources.of(CART, 'default'))
    expect(resources.of(again, 'default').attributes['service.name']).toBe('shop')
    expect(resources.of(CART, 'default').attributes['service.name']).toBe('cart')
  })
})
