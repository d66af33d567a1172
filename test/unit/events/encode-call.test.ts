import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeCall } from '../../../src/events/encode-call.ts'
import { callSchema } from '../../../src/events/schema.ts'
import type { Encoded } from '../../../src/pipeline/contract.ts'
import { API, callOf, EMPTY_ENDPOINT } from './samples.ts'

const TARGET = { topic: 'weir.calls', cluster: 'prod' }

function dataOf(event: Encoded): Record<string, unknown> {
  return JSON.parse(event.value.toString()) as Record<string, unknown>
}

describe('encodeCall()', () => {
  it('writes a call of which everything is known', () => {
    const call = callOf()
    const event = encodeCall(TARGET, call)
    expect(event.topic).toBe('weir.calls')
    expect(event.key).toBe('ip:10.0.0.7')
    expect(event.headers).toEqual({
      ce_specversion: '1.0',
      ce_id: call.exchange.id,
      ce_type: 'dev.weir.call.v1',
      ce_source: '/weir/prod',
      ce_time: '2026-03-01T12:00:00.250Z',
      ce_partitionkey: 'ip:10.0.0.7',
      ce_dataschema: 'https://weir.dev/schemas/call.v1.schema.json',
      ce_traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
      'content-type': 'application/json',
    })
    expect(dataOf(event)).toEqual({
      id: call.exchange.id,
      time: '2026-03-01T12:00:00.250Z',
      duration_ms: 12.346,
      estimated: false,
      outcome: 'answered',
      api: API,
      operation: { method: 'GET', template: '/{id}' },
      confidence: 'exact',
      how: 'gateway-host',
      client: { kind: 'ip', value: '10.0.0.7', addresses: ['10.0.0.7'] },
      source: { ip: '10.0.0.7', port: 40_000, reserved: 'world' },
      destination: {
        namespace: 'shop',
        pod: 'orders-1',
        workload: 'orders',
        workload_kind: 'Deployment',
        ip: '10.1.0.9',
        port: 8080,
        service: 'shop/orders',
        names: ['orders.shop.svc'],
      },
      via: 'gateway',
      method: 'GET',
      path: '/orders/v1/7',
      host: 'api.example.com:8080',
      protocol: 'HTTP/1.1',
      status: 200,
      limited_by: null,
      attempts: 1,
      reporters: ['ingress', 'egress'],
      node: 'node-a',
      request_id: 'r-1',
      trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
    })
  })

  it('leaves out what is not known', () => {
    const call = callOf({
      call: {
        api: null,
        operation: null,
        confidence: 'none',
        candidates: [],
        outcome: 'unanswered',
      },
      exchange: { twin: null, host: '', requestId: '', traceParent: '', protocol: '' },
      report: {
        durationMs: -1,
        status: 0,
        source: EMPTY_ENDPOINT,
        sourceIp: '',
        sourcePort: 0,
        destination: EMPTY_ENDPOINT,
        destinationIp: '',
        destinationPort: 0,
        destinationService: '',
        destinationNames: [],
        node: '',
      },
    })
    const event = encodeCall(TARGET, call)
    expect(event.headers).not.toHaveProperty('ce_traceparent')
    expect(dataOf(event)).toEqual({
      id: call.exchange.id,
      time: '2026-03-01T12:00:00.250Z',
      estimated: false,
      outcome: 'unanswered',
      api: null,
      operation: null,
      confidence: 'none',
      how: 'gateway-host',
      client: { kind: 'ip', value: '10.0.0.7', addresses: ['10.0.0.7'] },
      source: {},
      destination: {},
      via: 'gateway',
      method: 'GET',
      path: '/orders/v1/7',
      limited_by: null,
      attempts: 1,
      reporters: ['ingress'],
    })
  })

  it('tells a correction under the same id, and says so', () => {
    const first = encodeCall(TARGET, callOf({ report: { durationMs: -1, status: 0 } }))
    const second = encodeCall(TARGET, callOf({ exchange: { revises: true } }))
    expect(second.headers['ce_id']).toBe(first.headers['ce_id'])
    expect(dataOf(first)).not.toHaveProperty('revises')
    expect(dataOf(second)).toMatchObject({ revises: true, status: 200 })
  })

  it('tells the application, the names and the service account of a client, and nothing else', () => {
    const subscription = { name: 's', status: 'ACTIVE', tier: 'gold' }
    const application = { name: 'web', owner: 'ann', organization: 'acme', keyType: 'PRODUCTION' }
    const known = {
      kind: 'header' as const,
      value: 'cafe',
      addresses: ['10.0.0.7'],
      names: ['a.example.com'],
      serviceAccount: 'shop/cart',
      application: { ...application, subscription },
    }
    const leaky = { ...subscription, secret: 'x' }
    const client = { ...known, secret: 'x', application: { ...application, subscription: leaky } }
    const { value } = encodeCall(TARGET, callOf({ call: { client } }))
    expect(callSchema.parse(JSON.parse(value.toString())).client).toEqual(known)
    const alone = { ...known, application }
    const event = encodeCall(TARGET, callOf({ call: { client: alone } }))
    expect(callSchema.parse(dataOf(event)).client.application).toEqual(application)
  })

  it('lists the possible APIs of an ambiguous call', () => {
    const other = { ...API, id: 'shop/other' }
    const call = callOf({
      call: { api: null, confidence: 'ambiguous', candidates: [API, other], more: 3 },
    })
    expect(dataOf(encodeCall(TARGET, call))).toMatchObject({ candidates: [API, other], more: 3 })
  })

  it.each([
    {
      why: 'a trace parent of the forbidden version',
      exchange: { traceParent: `ff-${'1'.repeat(32)}-${'1'.repeat(16)}-01` },
    },
    {
      why: 'a trace parent without a span',
      exchange: { traceParent: `00-${'1'.repeat(32)}-${'0'.repeat(16)}-01` },
    },
    { why: 'a trace parent of another shape', exchange: { traceParent: 'secret\r\nx: y' } },
    {
      why: 'a trace id of zeros',
      exchange: { traceParent: `00-${'0'.repeat(32)}-${'1'.repeat(16)}-01` },
    },
  ])('passes on no $why', ({ exchange }) => {
    const event = encodeCall(TARGET, callOf({ exchange }))
    expect(event.headers).not.toHaveProperty('ce_traceparent')
    expect(dataOf(event)).not.toHaveProperty('trace_id')
  })

  it('passes on no password in the authority', () => {
    const event = encodeCall(TARGET, callOf({ exchange: { host: 'user:pass@api.example.com' } }))
    expect(dataOf(event)).toMatchObject({ host: 'api.example.com' })
  })

  it('fits the schema and is the same each time, whatever the traffic says', () => {
    const text = fc.string({ unit: 'binary', maxLength: 20 })
    const number = fc.oneof(fc.double(), fc.constantFrom(Infinity, -Infinity, Number.NaN, 0))
    fc.assert(
      fc.property(text, text, text, number, fc.nat(70_000), (a, b, c, seenMs, status) => {
        const fields = {
          exchange: { method: a, path: b, host: c, requestId: a, traceParent: b, protocol: c },
          report: { seenMs, status, node: a, sourceIp: b, destinationNames: [c] },
          call: { client: { kind: 'header' as const, value: a, addresses: [] } },
        }
        const event = encodeCall(TARGET, callOf(fields))
        expect(encodeCall(TARGET, callOf(fields))).toEqual(event)
        const data = callSchema.parse(dataOf(event))
        expect(data.id).toBe(event.headers['ce_id'])
        expect(data.path ?? '').toBe(b.toWellFormed())
        expect(event.key).toBe(`header:${a}`)
      }),
    )
  })
})
