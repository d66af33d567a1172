import { describe, expect, it } from 'vitest'
import { DemoNode, type StoredFlow } from '../../../src/demo/demo-node.ts'
import { type FlowFilter, flowTest } from '../../../src/demo/flow-filter.ts'
import {
  EGRESS,
  httpRequest,
  httpResponse,
  INGRESS,
  podEnd,
  policyDrop,
} from '../../../src/demo/flow-messages.ts'
import { createRandom } from '../../../src/demo/random.ts'
import { workload } from '../../../src/demo/shop.ts'

const node = new DemoNode({
  name: 'demo/node-a',
  address: '',
  ringMax: 15,
  random: createRandom(1),
})
const client = podEnd(workload('shop/web').pods[0], 40_000)
const server = podEnd(workload('shop/orders').pods[0], 8_081)
const record = { method: 'GET', url: 'http://o/', protocol: 'HTTP/1.1', headers: [] }
const view = { client, server, direction: EGRESS, node: 0 } as const
node.handle(httpRequest(view, record), 1, 1)
node.handle(httpResponse(view, { ...record, code: 404 }), 2, 2)
for (const drop of policyDrop({ ...view, direction: INGRESS })) node.handle(drop, 3, 3)

/** Request, response, policy verdict, drop. */
const FLOWS = Array.from({ length: 4 }, (_, i) => node.at(i)).filter(
  (flow): flow is StoredFlow => flow !== undefined,
)
const indexes = (whitelist: FlowFilter[], blacklist: FlowFilter[] = []): number[] => {
  const test = flowTest(whitelist, blacklist)
  return FLOWS.flatMap((flow, index) => (test(flow) ? [index] : []))
}

describe('flowTest()', () => {
  it.each<{ why: string; filter: FlowFilter; passes: number[] }>([
    { why: 'an empty filter', filter: {}, passes: [0, 1, 2, 3] },
    { why: 'layer 7', filter: { event_type: [{ type: 129 }] }, passes: [0, 1] },
    {
      why: 'one of several types',
      filter: { event_type: [{ type: 1 }, { type: 5 }] },
      passes: [2, 3],
    },
    {
      why: 'a sub type',
      filter: { event_type: [{ type: 1, match_sub_type: true, sub_type: 133 }] },
      passes: [3],
    },
    {
      why: 'another sub type',
      filter: { event_type: [{ type: 1, match_sub_type: true, sub_type: 1 }] },
      passes: [],
    },
    { why: 'a verdict', filter: { verdict: [2] }, passes: [2, 3] },
    { why: 'two fields', filter: { verdict: [2], event_type: [{ type: 5 }] }, passes: [2] },
    { why: 'status', filter: { http_status_code: ['404'] }, passes: [1] },
    { why: 'status by its beginning', filter: { http_status_code: ['4+'] }, passes: [1] },
    { why: 'another status', filter: { http_status_code: ['5+'] }, passes: [] },
    { why: 'protocol', filter: { protocol: ['http'] }, passes: [0, 1] },
    { why: 'replies', filter: { reply: [true] }, passes: [1] },
    { why: 'direction', filter: { traffic_direction: [INGRESS] }, passes: [2, 3] },
    { why: 'source pod', filter: { source_pod: ['shop/web'] }, passes: [0, 2, 3] },
    { why: 'namespace', filter: { destination_pod: ['shop/'] }, passes: [0, 1, 2, 3] },
    { why: 'pod of the namespace default', filter: { source_pod: ['web'] }, passes: [] },
    { why: 'node', filter: { node_name: ['node-a'] }, passes: [0, 1, 2, 3] },
    { why: 'node by glob', filter: { node_name: ['demo/node-*'] }, passes: [0, 1, 2, 3] },
    { why: 'cluster', filter: { node_name: ['demo/'] }, passes: [0, 1, 2, 3] },
    { why: 'another node', filter: { node_name: ['demo/node-b'] }, passes: [] },
    { why: 'uuid', filter: { uuid: [FLOWS[2]?.uuid ?? ''] }, passes: [2] },
  ])('$why', ({ filter, passes }) => {
    expect(indexes([filter])).toEqual(passes)
    expect(indexes([], [filter])).toEqual([0, 1, 2, 3].filter((i) => !passes.includes(i)))
  })

  it('takes what one of several filters takes', () => {
    expect(indexes([{ verdict: [2] }, { reply: [true] }])).toEqual([1, 2, 3])
    expect(indexes([{ verdict: [2] }], [{ event_type: [{ type: 1 }] }])).toEqual([2])
  })
})
