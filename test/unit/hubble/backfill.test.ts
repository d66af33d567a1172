import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Backfill } from '../../../src/hubble/backfill.ts'
import type { FlowsRequest, HubbleClient } from '../../../src/hubble/channel.ts'
import type { FlowsMessage } from '../../../src/hubble/flow-message.ts'
import { type Gap, gapOf } from '../../../src/hubble/live-reader.ts'
import { NodeBook } from '../../../src/hubble/node-book.ts'
import { NodeReading } from '../../../src/hubble/node-reading.ts'
import { observerService } from '../../../src/hubble/proto.ts'
import type { CallEnd } from '../../../src/hubble/transport/transport.ts'
import { WireView } from '../../../src/hubble/wire/wire-view.ts'
import { EndpointTable } from '../../../src/model/endpoint.ts'
import type { SourceNotice } from '../../../src/pipeline/contract.ts'
import { httpRequest } from '../../fixtures/hubble-flows.ts'

const T = 1_760_000_000_000
const OK: CallEnd = { code: 0, details: '' }
const encode = (message: FlowsMessage) =>
  observerService()['GetFlows']?.responseSerialize(message) ?? Buffer.alloc(0)
const flow = (node: string, ms: number) =>
  encode(httpRequest({ node, atMs: T + ms, uuid: `${node}-${ms}` }))
const CONNECTED = 1
const UNAVAILABLE = 2
const ERROR = 4
const status = (state: number, nodes: readonly string[]) =>
  encode({ node_status: { state_change: state, node_names: nodes, message: '' } })

interface Answer {
  readonly messages?: readonly Buffer[]
  /** Default OK; null: it hangs. */
  readonly end?: CallEnd | null
  /** Nodes that the server knows; default all that it is asked for. */
  readonly nodes?: readonly string[]
}

/** A server that gives these answers, one a request; the last one again and again. */
function start(answers: readonly Answer[], now = () => T + 3_600_000) {
  const book = new NodeBook(T)
  const requests: FlowsRequest[] = []
  const client: Pick<HubbleClient, 'openFlows'> = {
    openFlows: async (request, onMessage, signal) => {
      const answer = answers[Math.min(requests.length, answers.length - 1)] ?? {}
      requests.push(request)
      const [only] = (request.whitelist ?? []) as { node_name: string[] }[]
      const known = status(CONNECTED, answer.nodes ?? only?.node_name ?? [])
      for (const bytes of [known, ...(answer.messages ?? [])]) {
        await onMessage(bytes, 0, bytes.length)
      }
      if (answer.end !== null) return answer.end ?? OK
      await new Promise((resolve) => signal.addEventListener('abort', resolve))
      return { code: 1, details: '' }
    },
  }
  const backfill = new Backfill({
    view: new WireView(new EndpointTable(), 'default'),
    book,
    now,
    client: () => client as HubbleClient,
    requestFor: (nodes) => ({ whitelist: [{ node_name: nodes }] }),
  })
  const flows: string[] = []
  const notices: SourceNotice[] = []
  const stop = new AbortController()
  const port = {
    flow: (view: { uuid(): string }) => void flows.push(view.uuid()),
    notice: (notice: SourceNotice) => void notices.push(notice),
    ready: () => undefined,
  }
  const running = backfill.run(port, stop.signal)
  const end = async () => {
    stop.abort()
    await running
  }
  return { backfill, book, requests, flows, notices, end }
}

/** A gap of a node that has spoken since, or that the book does not know. */
function gap(node: string, fromMs: number, toMs: number): Gap {
  return { node, fromMs: T + fromMs, toMs: T + toMs, reading: new NodeReading() }
}

/** Timers stand in for time; what hangs on them runs in between. */
async function passes(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms)
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('a gap', () => {
  it('is read from where the node was to where the stream takes over, and only of that node', async () => {
    const messages = [flow('a', 999), flow('a', 1_500), flow('a', 2_000), flow('b', 1_500)]
    const { backfill, requests, flows, book, end } = start([{ messages }])
    const node = book.node('a', T)
    node.readToMs = T + 1_000
    backfill.add(gapOf(node, T + 2_000))
    await passes(400)
    await end()
    expect(requests).toEqual([
      {
        whitelist: [{ node_name: ['a'] }],
        since: { seconds: T / 1_000, nanos: 999_000_000 },
        until: { seconds: T / 1_000 + 2, nanos: 0 },
      },
    ])
    // Its flow at 2 s is the stream's, and b is no concern of it.
    expect(flows).toEqual(['a-999', 'a-1500'])
    // What a ring holds back, and what a slow clock still stamps, comes after.
    expect(node.readToMs).toBe(T + 1_500)
  })

  it('of many nodes is one request', async () => {
    const { backfill, requests, end } = start([{}])
    for (let i = 0; i < 300; i++) backfill.add(gap(`node-${i}`, i, 5_000))
    await passes(400)
    await end()
    expect(requests).toHaveLength(1)
    expect(requests[0]?.since).toEqual({ seconds: T / 1_000 - 1, nanos: 999_000_000 })
  })

  it('of a day made every node that was silent for seconds read its whole ring again', async () => {
    const { backfill, requests, end } = start([{}])
    backfill.add(gap('new', -86_400_000, 5_000))
    for (let i = 0; i < 300; i++) backfill.add(gap(`node-${i}`, i, 5_000))
    await passes(1_000)
    await end()
    const names = requests.map(
      ({ whitelist }) => (whitelist as [{ node_name: string[] }])[0].node_name,
    )
    expect(names.map(({ length }) => length)).toEqual([1, 300])
  })

  it.each([
    { why: 'fails', state: ERROR },
    { why: 'is not there', state: UNAVAILABLE },
  ])('waits where its node $why, and then brings nothing twice', async ({ state }) => {
    const { backfill, requests, flows, book, end } = start([
      { messages: [flow('a', 1_100), status(state, ['a'])] },
      { messages: [flow('a', 1_100), flow('a', 1_200)] },
    ])
    backfill.add(gap('a', 1_000, 2_000))
    await passes(60_000)
    expect(requests).toHaveLength(1)
    book.node('a', T).isAway = false
    await passes(6_000)
    await end()
    expect(requests).toHaveLength(2)
    expect(flows).toEqual(['a-1100', 'a-1200'])
    expect(backfill.givenUp).toBe(0)
  })

  it('was given up after three tries within ten seconds, while Relay was restarted', async () => {
    const away = { end: { code: 14, details: '' } }
    const answers = [...Array.from({ length: 20 }, () => away), { messages: [flow('a', 1_100)] }]
    const { backfill, flows, end } = start(answers)
    backfill.add(gap('a', 1_000, 2_000))
    await passes(120_000)
    await end()
    expect([flows, backfill.givenUp, backfill.waiting]).toEqual([['a-1100'], 0, 0])
  })

  it('is given up in the end where no node of that name can be read, and counted', async () => {
    const { backfill, requests, end } = start([{ nodes: [] }])
    backfill.add(gap('a', 1_000, 2_000))
    await passes(60_000)
    await end()
    expect([requests.length, backfill.givenUp, backfill.waiting]).toEqual([3, 1, 0])
  })

  it('that was given up for another node that hung brought its flows again with the next stream', async () => {
    const messages = [flow('a', 1_100)]
    const { backfill, flows, book, end } = start([{ messages, end: null }])
    const node = book.node('a', T)
    for (let round = 1; round <= 8; round++) {
      backfill.add(gapOf(node, T + round * 20_000))
      await passes(120_000)
    }
    await end()
    expect([flows, backfill.givenUp]).toEqual([['a-1100'], 0])
  })

  it('of a node that says nothing until the deadline waits for it, and the others are read', async () => {
    const { backfill, requests, book, end } = start([
      { messages: [flow('a', 1_100)], end: null },
      {},
    ])
    book.node('stuck', T)
    backfill.add(gap('a', 1_000, 2_000))
    backfill.add(gap('stuck', 1_000, 2_000))
    await passes(60_000)
    await end()
    const names = requests.map(
      ({ whitelist }) => (whitelist as [{ node_name: string[] }])[0].node_name,
    )
    expect(names).toEqual([['a', 'stuck'], ['a']])
    expect([backfill.waiting, backfill.givenUp]).toEqual([1, 0])
  })

  it('that grows while it is read brings nothing twice', async () => {
    const { backfill, flows, end } = start([
      { messages: [flow('a', 1_100)], end: { code: 14, details: '' } },
      { messages: [flow('a', 1_100), flow('a', 1_200)] },
      { messages: [flow('a', 1_100), flow('a', 1_200), flow('a', 2_500)] },
    ])
    const first = gap('a', 1_000, 2_000)
    backfill.add(first)
    await passes(400)
    backfill.add({ ...first, toMs: T + 3_000 })
    await passes(60_000)
    backfill.add({ ...first, toMs: T + 4_000 })
    await passes(60_000)
    await end()
    expect(flows).toEqual(['a-1100', 'a-1200', 'a-2500'])
  })

  it('of a node that has another one is read after it', async () => {
    const { backfill, requests, end } = start([{}])
    backfill.add(gap('a', 1_000, 2_000))
    backfill.add(gap('a', 5_000, 6_000))
    await passes(2_000)
    await end()
    expect(requests.map(({ until }) => until?.seconds)).toEqual([T / 1_000 + 2, T / 1_000 + 6])
  })
})
