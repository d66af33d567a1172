import { describe, expect, it } from 'vitest'
import { DemoNode } from '../../../src/demo/demo-node.ts'
import { EGRESS, httpRequest, httpResponse, podEnd } from '../../../src/demo/flow-messages.ts'
import { createRandom } from '../../../src/demo/random.ts'
import { workload } from '../../../src/demo/shop.ts'

function nodeOf(ringMax = 7): DemoNode {
  return new DemoNode({ name: 'demo/node-a', address: '', ringMax, random: createRandom(1) })
}
const view = {
  client: podEnd(workload('shop/web').pods[0], 40_000),
  server: podEnd(workload('shop/orders').pods[0], 8_081),
  direction: EGRESS,
  node: 0,
} as const
const record = (id: string, traceId = '') => ({
  method: 'GET',
  url: 'http://orders.shop:8080/orders',
  protocol: 'HTTP/1.1',
  headers: [
    { key: 'X-Request-Id', value: id },
    ...(traceId === '' ? [] : [{ key: 'Traceparent', value: `00-${traceId}-b-01` }]),
  ],
})

describe('latency and trace of an answer', () => {
  it('are those of the request with the same id', () => {
    const node = nodeOf()
    node.handle(httpRequest(view, record('a', 'f00')), 1_000.5, 1_000)
    node.handle(httpResponse(view, { ...record('a'), code: 200 }), 1_013, 1_012.25)
    expect(node.at(1)).toMatchObject({
      l7: { latency_ns: 12_250_000 },
      trace_context: { parent: { trace_id: 'f00' } },
      time: { seconds: 1, nanos: 13_000_000 },
      node_name: 'demo/node-a',
    })
  })
  it('go to the inner call where two share an id, and the outer one has none', () => {
    const node = nodeOf()
    node.handle(httpRequest(view, record('a', 'f00')), 1_000, 1_000)
    node.handle(httpRequest(view, record('a')), 1_002, 1_002)
    node.handle(httpResponse(view, { ...record('a'), code: 200 }), 1_005, 1_005)
    node.handle(httpResponse(view, { ...record('a'), code: 201 }), 1_009, 1_009)
    expect(node.at(2)?.l7?.latency_ns).toBe(3_000_000)
    expect(node.at(3)?.l7).not.toHaveProperty('latency_ns')
    expect(node.at(3)).not.toHaveProperty('trace_context')
  })
})

it('keeps the last flows only, and numbers them from the start', () => {
  const node = nodeOf(3)
  for (let i = 0; i < 5; i++) node.handle(httpRequest(view, record(`${i}`)), i, i)
  expect([node.seen, node.oldest]).toEqual([5, 2])
  expect([1, 2, 4, 5].map((number) => node.at(number)?.time.nanos)).toEqual([
    undefined,
    2_000_000,
    4_000_000,
    undefined,
  ])
})
