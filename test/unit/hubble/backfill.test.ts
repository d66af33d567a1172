import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Backfill } from '../../../src/hubble/backfill.ts'
import type { FlowsRequest, HubbleClient } from '../../../src/hubble/channel.ts'
import type { FlowsMessage } from '../../../src/hubble/flow-message.ts'
import type { Gap } from '../../../src/hubble/live-reader.ts'
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

type Answer = { readonly messages?: readonly Buffer[]; readonly end?: CallEnd }

/** A server that gives these answers, one a request; the last one again and again. */
function start(answers: readonly Answer[], now = () => T + 3_600_000) {
  const book = new NodeBook(T)
  const requests: FlowsRequest[] = []
  const client: Pick<HubbleClient, 'openFlows'> = {
    openFlows: async (request, onMessage) => {
      const { messages = [], end = OK } =
        answers[Math.min(requests.length, answers.length - 1)] ?? {}
      requests.push(request)
      const [only] = (request.whitelist ?? []) as { node_name: string[] }[]
      const known = status(CONNECTED, only?.node_name ?? [])
      for (const bytes of [known, ...messages]) await onMessage(bytes, 0, bytes.length)
      return end
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

/** A gap of `node`, of which the flow at `fromMs` was the last to come. */
function gap(node: string, fromMs: number, toMs: number): Gap {
  const reading = new NodeReading()
  return { node, fromMs: T + fromMs, toMs: T + toMs, reading }
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
    book.node('a', T)
    const missing = gap('a', 1_000, 2_000)
    missing.reading.take(T + 999, 0, 0)
    backfill.add(missing)
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
    expect(book.known('a')?.readToMs).toBe(T + 2_000)
  })

  it('of many nodes is one request', async () => {
    const { backfill, requests, end } = start([{}])
    for (let i = 0; i < 300; i++) backfill.add(gap(`node-${i}`, i, 5_000))
    await passes(400)
    await end()
    expect(requests).toHaveLength(1)
    expect(requests[0]?.since).toEqual({ seconds: T / 1_000 - 1, nanos: 999_000_000 })
  })

  it.each([
    { why: 'fails', state: ERROR },
    { why: 'is not there', state: UNAVAILABLE },
  ])('is tried again where its node $why, and nothing of it comes twice', async ({ state }) => {
    const { backfill, requests, flows, end } = start([
      { messages: [flow('a', 1_100), status(state, ['a'])] },
      { messages: [flow('a', 1_100), flow('a', 1_200)] },
    ])
    backfill.add(gap('a', 1_000, 2_000))
    await passes(400)
    expect(requests).toHaveLength(1)
    await passes(5_000)
    await end()
    expect(requests).toHaveLength(2)
    expect(flows).toEqual(['a-1100', 'a-1200'])
    expect(backfill.givenUp).toBe(0)
  })

  it('is given up in the end, and counted', async () => {
    const { backfill, requests, book, end } = start([{ end: { code: 14, details: '' } }])
    book.node('a', T)
    backfill.add(gap('a', 1_000, 2_000))
    await passes(60_000)
    await end()
    expect([requests.length, backfill.givenUp, backfill.waiting]).toEqual([3, 1, 0])
    expect(book.known('a')?.readToMs).toBe(T)
  })

  it('that grows while it is read brings nothing twice', async () => {
    const { backfill, flows, end } = start([
      { messages: [flow('a', 1_100)], end: { code: 14, details: '' } },
      { messages: [flow('a', 1_100), flow('a', 1_200)] },
      { messages: [flow('a', 1_100), flow('a', 1_200), flow('a', 2_500)] },
    ])
    backfill.add(gap('a', 1_000, 2_000))
    await passes(400)
    backfill.add(gap('a', 1_000, 3_000))
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
