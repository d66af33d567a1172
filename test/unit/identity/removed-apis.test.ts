import { describe, expect, it } from 'vitest'
import type { Catalogue } from '../../../src/identity/catalogue.ts'
import { RemovedApis } from '../../../src/identity/removed-apis.ts'
import { catalogueOf, endpointSlice, ordersApi, service } from './objects.ts'
import { endpoint, exchange } from './records.ts'

const SERVICE = [
  service('orders', { clusterIP: '10.96.0.9', ports: [{ port: 8_080 }] }),
  endpointSlice('orders', ['10.0.0.7'], 8_080),
]
const before = catalogueOf(
  ...SERVICE,
  ...ordersApi([{ path: '/orders/1.0.0/list', type: 'Exact', method: 'GET', full: '/list' }]),
)
const after = catalogueOf(...SERVICE)

function remembered(...catalogues: readonly Catalogue[]): RemovedApis {
  const removed = new RemovedApis()
  let last = before
  for (const [index, catalogue] of catalogues.entries()) {
    removed.replaced(last, catalogue, 1_000 * (index + 1))
    last = catalogue
  }
  return removed
}

describe('RemovedApis', () => {
  const pod = endpoint({ namespace: 'shop', pod: 'orders-1', workload: 'orders' })
  it.each([
    { by: 'the Service', at: { destinationService: 'shop/orders' } },
    { by: 'its address', at: { destinationIp: '10.96.0.9' } },
    { by: "a pod's address", at: { destinationIp: '10.0.0.7' } },
    { by: 'a workload that is called alike', at: { destination: pod } },
  ])('knows a request to an API that is gone, by $by', ({ at }) => {
    const removed = remembered(after)
    expect(removed.find(exchange({ path: '/list' }, at), after)).toMatchObject({
      api: { name: 'orders' },
      operation: { method: 'GET' },
      removedMs: 1_000,
    })
  })

  it.each([
    { why: 'another path', fields: { path: '/other' }, at: {} },
    { why: 'another method', fields: { path: '/list', method: 'POST' }, at: {} },
    { why: 'another Service', fields: { path: '/list' }, at: { destinationService: 'shop/web' } },
    { why: 'no path', fields: { path: '' }, at: {} },
  ])('does not know $why', ({ fields, at }) => {
    const seen = exchange(fields, { destinationService: 'shop/orders', ...at })
    expect(remembered(after).find(seen, after)).toBeUndefined()
  })

  it('forgets what has come back', () => {
    const seen = exchange({ path: '/list' }, { destinationService: 'shop/orders' })
    expect(remembered(after, before).find(seen, before)).toBeUndefined()
    expect(remembered(after, before, after).find(seen, after)?.removedMs).toBe(3_000)
  })

  it('remembers no more than it may', () => {
    const removed = new RemovedApis(0)
    removed.replaced(before, after, 1)
    expect([removed.size, removed.evicted]).toEqual([0, 1])
  })
})
