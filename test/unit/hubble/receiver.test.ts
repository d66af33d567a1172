import { describe, expect, it } from 'vitest'
import type { FlowsMessage } from '../../../src/hubble/flow-message.ts'
import { Receiver, type ReceiverOptions } from '../../../src/hubble/receiver.ts'
import { EndpointTable } from '../../../src/model/endpoint.ts'
import type { SourceNotice } from '../../../src/pipeline/contract.ts'
import { httpRequest } from '../../fixtures/hubble-flows.ts'

const T = 1_760_000_000_000

function receive(
  messages: readonly FlowsMessage[],
  options: ReceiverOptions = {},
  resuming = false,
) {
  const receiver = new Receiver(new EndpointTable(), options)
  const flows: string[] = []
  const notices: SourceNotice[] = []
  const port = {
    flow: (view: { uuid(): string; nodeName(): string }) => {
      flows.push(view.uuid() || view.nodeName())
    },
    notice: (notice: SourceNotice) => {
      notices.push(notice)
    },
    ready: () => undefined,
  }
  for (const message of messages) receiver.receive(message, port, resuming)
  return { receiver, flows, notices }
}

describe('Receiver', () => {
  it('hands each flow on once, whatever is read again', () => {
    const one = httpRequest({ atMs: T, uuid: 'a' })
    const { flows, notices } = receive([one, httpRequest({ atMs: T, uuid: 'b' }), one])
    expect(flows).toEqual(['a', 'b'])
    expect(notices).toEqual([{ kind: 'rejected', reason: 'duplicate', count: 1 }])
  })

  it('tells flows without uuid apart by what they say', () => {
    const { flows, notices } = receive([
      httpRequest({ atMs: T }),
      httpRequest({ atMs: T + 1 }),
      httpRequest({ atMs: T, clientPort: 9 }),
      httpRequest({ atMs: T }),
    ])
    expect(flows).toHaveLength(3)
    expect(notices).toHaveLength(1)
  })

  it('counts lost events by node and place, but not the mark of a ring that is too short', () => {
    const lost = (source: number, count: number): FlowsMessage => ({
      lost_events: { source, num_events_lost: count },
      node_name: 'n',
    })
    expect(receive([lost(1, 5), lost(2, 7), lost(3, 2), lost(9, 1)]).notices).toEqual([
      { kind: 'lost', node: 'n', reason: 'perf_ring', count: 5 },
      { kind: 'lost', node: 'n', reason: 'events_queue', count: 7 },
      { kind: 'lost', node: 'n', reason: 'hubble_ring', count: 2 },
      { kind: 'lost', node: 'n', reason: 'unknown', count: 1 },
    ])
    expect(receive([lost(3, 1)], {}, true).notices).toEqual([
      { kind: 'reopened', reason: 'since_not_covered' },
    ])
  })

  it('keeps to its bounds, both inclusive', () => {
    const at = (ms: number) => httpRequest({ atMs: T + ms, uuid: String(ms) })
    const { flows, notices } = receive([at(0), at(10), at(20), at(30)], {
      sinceMs: T + 10,
      untilMs: T + 20,
    })
    expect(flows).toEqual(['10', '20'])
    expect(notices).toHaveLength(2)
  })

  it('resumes from the node that was read least far, unless it is far behind', () => {
    const from = (node: string, ms: number) => httpRequest({ atMs: T + ms, node, uuid: node + ms })
    const live = { now: () => T + 1_000_000 }
    const { receiver } = receive([from('a', 5_000), from('b', 9_000), from('a', 4_000)], live)
    expect(receiver.positions.resumeFrom(2)).toEqual({ seconds: T / 1_000 + 3, nanos: 0 })
    const late = receive([from('a', 0), from('b', 600_000)], live)
    expect(late.receiver.positions.resumeFrom(2)).toEqual({ seconds: T / 1_000 + 598, nanos: 0 })
  })

  it('a node whose clock is ahead moved the resume of all others into the future', () => {
    const from = (node: string, ms: number) => httpRequest({ atMs: T + ms, node, uuid: node + ms })
    const messages = [from('ahead', 3_600_000), from('right', 4_000)]
    const { receiver } = receive(messages, { now: () => T + 5_000 })
    expect(receiver.positions.resumeFrom(2)).toEqual({ seconds: T / 1_000 + 2, nanos: 0 })
  })

  it("every node's mark of a ring that is too short counted as a loss, but for the first", () => {
    const lost = (node: string, count: number): FlowsMessage => ({
      lost_events: { source: 3, num_events_lost: count },
      node_name: node,
    })
    const flow = httpRequest({ atMs: T, uuid: 'a' })
    const { notices } = receive([lost('a', 1), flow, lost('b', 1), lost('b', 1)], {}, true)
    expect(notices).toEqual([
      { kind: 'reopened', reason: 'since_not_covered' },
      { kind: 'lost', node: 'b', reason: 'hubble_ring', count: 1 },
    ])
  })

  it.each([
    { why: 'after the year 9999', time: { seconds: 9e15, nanos: 0 } },
    { why: 'before 1970', time: { seconds: -1, nanos: 0 } },
    { why: 'with nanoseconds that are none', time: { seconds: 1, nanos: -5 } },
  ])('counts a flow at a time that does not exist as malformed: $why', ({ time }) => {
    const { flow = {} } = httpRequest({ atMs: T })
    const { flows, notices } = receive([{ flow: { ...flow, time } }])
    expect([flows, notices]).toEqual([[], [{ kind: 'rejected', reason: 'malformed', count: 1 }]])
  })

  it('tells how many nodes a state is about, and the first few by name', () => {
    const names = Array.from({ length: 5_000 }, (_, i) => `node-${i}`)
    const status = { state_change: 4, node_names: names, message: 'x'.repeat(1e6) }
    const [notice] = receive([{ node_status: status }]).notices
    expect(notice).toMatchObject({ kind: 'nodes', state: 'error', count: 5_000 })
    expect(JSON.stringify(notice).length).toBeLessThan(1_000)
  })

  it('passes a message of an unknown kind over', () => {
    expect(receive([{ node_name: 'n' }]).notices).toEqual([
      { kind: 'rejected', reason: 'unsupported', count: 1 },
    ])
  })
})
