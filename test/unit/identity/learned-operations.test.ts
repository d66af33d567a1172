import { describe, expect, it } from 'vitest'
import {
  calledWorkloadOf,
  isUndeclared,
  LearnedOperations,
} from '../../../src/identity/learned-operations.ts'
import type { Resolution } from '../../../src/identity/resolution.ts'
import type { Api } from '../../../src/model/api.ts'
import { endpoint, exchange, report } from './records.ts'

const ORDERS: Api = {
  name: 'Orders',
  version: 'v1',
  context: '/orders/v1',
  type: 'REST',
  organization: '',
  environment: 'production',
  namespace: 'shop',
  id: 'shop/orders',
}
const NOTHING: Resolution = {
  api: null,
  operation: null,
  confidence: 'none',
  how: 'no-api',
  candidates: [],
  more: 0,
}
const BY_SERVICE: Resolution = {
  ...NOTHING,
  api: ORDERS,
  confidence: 'low',
  how: 'service',
  candidates: [ORDERS],
}
const pod = endpoint({ namespace: 'shop', pod: 'orders-1', workload: 'orders' })

function called(path: string, minute: number, status = 200) {
  const endMs = minute * 60_000 + 1
  const at = { startMs: endMs, durationMs: 0, status, destination: pod, destinationPort: 8_080 }
  return exchange({ path }, at)
}

describe('calledWorkloadOf()', () => {
  const service = { destinationService: 'shop/orders', destinationPort: 80 }
  const workload = { destination: pod, destinationPort: 8_080 }
  it.each([
    { why: 'the workload', own: workload, twin: null, name: 'shop/orders', port: 8_080 },
    { why: 'that of the twin', own: service, twin: workload, name: 'shop/orders', port: 8_080 },
    { why: 'else the Service', own: service, twin: null, name: 'shop/orders', port: 80 },
    { why: "else the twin's", own: {}, twin: service, name: 'shop/orders', port: 80 },
  ])('names $why', ({ own, twin, name, port }) => {
    const seen = exchange({ twin: twin && report(twin) }, own)
    expect(calledWorkloadOf(seen)).toEqual({ name, port, cluster: 'default' })
  })

  it('knows nothing outside of the cluster', () => {
    const world = endpoint({ identity: 2, reserved: 'world' })
    expect(calledWorkloadOf(exchange({}, { destination: world }))).toBeUndefined()
  })
})

describe('isUndeclared()', () => {
  const operation = { method: 'GET', template: '/{id}' }
  it.each([
    { why: 'no API', resolved: NOTHING, is: true },
    { why: 'an API by its Service alone', resolved: BY_SERVICE, is: true },
    {
      why: 'a learned operation',
      resolved: { ...BY_SERVICE, operation, how: 'service+learned' },
      is: true,
    },
    {
      why: 'a declared operation',
      resolved: { ...BY_SERVICE, operation, how: 'service+path' },
      is: false,
    },
    {
      why: 'two operations that look alike',
      resolved: { ...BY_SERVICE, how: 'service+path+host' },
      is: false,
    },
    {
      why: 'several APIs',
      resolved: { ...NOTHING, confidence: 'ambiguous', how: 'service' } as const,
      is: false,
    },
  ])('$why: $is', ({ resolved, is }) => {
    expect(isUndeclared(resolved)).toBe(is)
  })
})

describe('LearnedOperations', () => {
  it('completes what nobody declared, once the template is promoted', () => {
    const learned = new LearnedOperations()
    const first = called('/carts/1', 0)
    expect(learned.complete(NOTHING, first)).toBe(NOTHING)
    expect(learned.complete(NOTHING, called('/carts/2', 1))).toEqual({
      ...NOTHING,
      operation: { method: 'GET', template: '/carts/{int}' },
      how: 'no-api+learned',
    })
    const again = learned.complete(NOTHING, called('/carts/3', 1)).operation
    expect(learned.complete(NOTHING, called('/carts/4', 1)).operation).toBe(again)
  })

  it('leaves what is declared, or open between several, as it is', () => {
    const learned = new LearnedOperations()
    const declared = { ...BY_SERVICE, how: 'service+path' }
    for (const minute of [0, 1]) {
      expect(learned.complete(declared, called('/carts/1', minute))).toBe(declared)
    }
    expect(learned.complete(NOTHING, called('/carts/1', 2)).operation).toBeNull()
  })

  it('names the path below the context of an API', () => {
    const learned = new LearnedOperations()
    learned.complete(BY_SERVICE, called('/orders/v1/admin', 0))
    const { operation, confidence, how } = learned.complete(
      BY_SERVICE,
      called('/orders/v1/admin', 1),
    )
    expect(operation?.template).toBe('/admin')
    expect([confidence, how]).toEqual(['low', 'service+learned'])
  })

  it('learns from an exchange once, however often it is asked', () => {
    const learned = new LearnedOperations()
    const asked = called('/a', 0, 404)
    learned.of(asked, null)
    expect(learned.of(asked, null)).toBeUndefined()
    const answered = called('/a', 0)
    expect(learned.of(answered, null)?.template).toBe('/a')
    expect(learned.of(answered, null)?.template).toBe('/a')
    expect(learned.of(called('/a', 1), null)?.isPromoted).toBe(true)
  })
})
