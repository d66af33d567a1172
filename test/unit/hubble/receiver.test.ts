import { describe, expect, it } from 'vitest'
import { MessageView } from '../../../src/hubble/capture/message-view.ts'
import { SeenFlows } from '../../../src/hubble/capture/seen-flows.ts'
import type { FlowsMessage } from '../../../src/hubble/flow-message.ts'
import { NodeBook } from '../../../src/hubble/node-book.ts'
import { Receiver, type ReceiverOptions } from '../../../src/hubble/receiver.ts'
import { EndpointTable } from '../../../src/model/endpoint.ts'
import type { SourceNotice } from '../../../src/pipeline/contract.ts'
import { httpRequest } from '../../fixtures/hubble-flows.ts'

const T = 1_760_000_000_000

function receiver(options: Partial<ReceiverOptions> = {}) {
  const seen = new SeenFlows()
  const book = new NodeBook(0)
  const view = new MessageView(new EndpointTable(), 'default')
  const made = new Receiver({ book, isNew: (flow) => seen.add(flow), now: () => T, ...options })
  const flows: string[] = []
  const notices: SourceNotice[] = []
  const port = {
    flow: (flow: { uuid(): string; nodeName(): string }) => {
      flows.push(flow.uuid() || flow.nodeName())
    },
    notice: (notice: SourceNotice) => void notices.push(notice),
    ready: () => undefined,
  }
  const take = (...messages: readonly FlowsMessage[]) => {
    for (const message of messages) {
      view.move(message, message.flow ?? {})
      made.flow(view, port)
    }
    return { flows, notices }
  }
  const lose = (node: string, source: number, count: number, resuming = false) => {
    made.lost(node, { source, num_events_lost: count }, port, resuming)
    return notices
  }
  return { receiver: made, book, port, flows, notices, take, lose }
}

describe('Receiver', () => {
  it('hands each flow on once, whatever is read again', () => {
    const one = httpRequest({ atMs: T, uuid: 'a' })
    const { flows, notices } = receiver().take(one, httpRequest({ atMs: T, uuid: 'b' }), one)
    expect(flows).toEqual(['a', 'b'])
    expect(notices).toEqual([{ kind: 'rejected', reason: 'duplicate', count: 1 }])
  })

  it('tells flows without uuid apart by what they say', () => {
    const { flows, notices } = receiver().take(
      httpRequest({ atMs: T }),
      httpRequest({ atMs: T + 1 }),
      httpRequest({ atMs: T, clientPort: 9 }),
      httpRequest({ atMs: T }),
    )
    expect(flows).toHaveLength(3)
    expect(notices).toHaveLength(1)
  })

  it('counts lost events by node and place', () => {
    const { lose, book } = receiver()
    lose('n', 1, 5)
    lose('n', 2, 7)
    lose('n', 3, 2)
    expect(lose('n', 9, 1)).toEqual([
      { kind: 'lost', node: 'n', reason: 'perf_ring', count: 5 },
      { kind: 'lost', node: 'n', reason: 'events_queue', count: 7 },
      { kind: 'lost', node: 'n', reason: 'hubble_ring', count: 2 },
      { kind: 'lost', node: 'n', reason: 'unknown', count: 1 },
    ])
    expect(book.coverage()).toEqual([{ node: 'n', received: 0, missed: 15, heardMs: 0 }])
  })

  it('does not count the mark of a ring that is too short, each node has one a stream', () => {
    const { lose, receiver: made, book } = receiver()
    lose('a', 3, 1, true)
    lose('b', 3, 1, true)
    expect(lose('b', 3, 1, true)).toEqual([
      { kind: 'reopened', reason: 'since_not_covered' },
      { kind: 'lost', node: 'b', reason: 'hubble_ring', count: 1 },
    ])
    expect([...made.notCovered]).toEqual(['a', 'b'])
    expect(book.coverage()).toEqual([{ node: 'b', received: 0, missed: 1, heardMs: 0 }])
  })

  it('keeps to its bounds, both inclusive', () => {
    const at = (ms: number) => httpRequest({ atMs: T + ms, uuid: String(ms) })
    const bounded = receiver({ sinceMs: T + 10, untilMs: T + 20 })
    const { flows, notices } = bounded.take(at(0), at(10), at(20), at(30))
    expect(flows).toEqual(['10', '20'])
    expect(notices).toHaveLength(2)
  })

  it('asks again what was asked of the server: old ones overlook filters', () => {
    const { take } = receiver({ accepts: (flow) => flow.httpMethod() === 'POST' })
    const { flows, notices } = take(
      httpRequest({ atMs: T, uuid: 'a' }),
      httpRequest({ atMs: T, uuid: 'b', method: 'POST' }),
    )
    expect(flows).toEqual(['b'])
    expect(notices).toEqual([{ kind: 'rejected', reason: 'filtered', count: 1 }])
  })

  it.each([
    { why: 'after the year 9999', time: { seconds: 9e15, nanos: 0 } },
    { why: 'before 1970', time: { seconds: -1, nanos: 0 } },
    { why: 'with nanoseconds that are none', time: { seconds: 1, nanos: -5 } },
  ])('counts a flow at a time that does not exist as malformed: $why', ({ time }) => {
    const { flow = {} } = httpRequest({ atMs: T })
    const { flows, notices } = receiver().take({ flow: { ...flow, time } })
    expect([flows, notices]).toEqual([[], [{ kind: 'rejected', reason: 'malformed', count: 1 }]])
  })

  it('tells how many nodes a state is about, and the first few by name', () => {
    const names = Array.from({ length: 5_000 }, (_, i) => `node-${i}`)
    const { receiver: made, port, notices } = receiver()
    made.status({ state_change: 4, node_names: names, message: 'x'.repeat(1e6) }, port)
    expect(notices[0]).toMatchObject({ kind: 'nodes', state: 'error', count: 5_000 })
    expect(JSON.stringify(notices[0]).length).toBeLessThan(1_000)
    expect(made.failed.size).toBe(5_000)
  })

  it('remembers no more names than a cluster has, however many Relay tells', () => {
    const { receiver: made, port, lose } = receiver()
    for (let i = 0; i < 3; i++) {
      const names = Array.from({ length: 5_000 }, (_, j) => `node-${i}-${j}`)
      made.status({ state_change: 1, node_names: [...names, 'n'.repeat(1e6)], message: '' }, port)
      made.status({ state_change: 4, node_names: names, message: '' }, port)
      for (const name of names) lose(name, 3, 1, true)
    }
    const sizes = [made.connected, made.failed, made.notCovered].map(({ size }) => size)
    expect(sizes).toEqual([10_000, 10_000, 10_000])
  })

  it('one absurd number of lost events hid all that were lost after', () => {
    const { lose, book } = receiver()
    lose('n', 1, 2 ** 64)
    const before = book.coverage()[0]?.missed ?? 0
    lose('n', 1, 5)
    expect((book.coverage()[0]?.missed ?? 0) - before).toBe(5)
  })

  it('a node in error is away until it speaks', () => {
    const { receiver: made, port, book, take } = receiver()
    take(httpRequest({ atMs: T, node: 'n', uuid: 'a' }))
    made.status({ state_change: 4, node_names: ['n'], message: 'down' }, port)
    expect(book.known('n')?.isAway).toBe(true)
    take(httpRequest({ atMs: T, node: 'n', uuid: 'b' }))
    expect(book.known('n')?.isAway).toBe(false)
  })
})
