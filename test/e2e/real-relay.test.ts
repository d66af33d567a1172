import { Readable, Writable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createApp } from '../../src/app.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { ApiCall } from '../../src/model/api-call.ts'
import type { SourceNotice } from '../../src/pipeline/contract.ts'
import { recordsOfCall } from '../services/access-log.ts'
import {
  type HubbleNode,
  type HubbleRelay,
  hubbleObserve,
  startHubbleNode,
  startRelay,
} from '../services/hubble.ts'
import { need } from '../services/need.ts'

const CALLS_A_BATCH = 50

/** Calls as one node's proxy logs them, with addresses that tell the node and the call apart. */
function recordsOf(node: number, batch: number) {
  return Array.from({ length: CALLS_A_BATCH }, (_, n) =>
    recordsOfCall({
      from: { IPv4: `10.${node}.${batch}.${n + 1}`, Port: 40_000 + n, Identity: 1_001 },
      to: { IPv4: '10.0.0.2', Port: 8_080, Identity: 1_002 },
      method: 'GET',
      host: 'orders.shop:8080',
      path: `/orders/${n}`,
      status: 200,
      requestHeaders: { 'X-Request-Id': [`call-${node}-${batch}-${n}`] },
      responseHeaders: { 'X-Request-Id': [`call-${node}-${batch}-${n}`] },
      latencyMs: 3,
    }),
  ).flat()
}

/** Weir in this process: what it takes in, what it tells, what it says of its source. */
function startWeir(address: string) {
  const { config } = loadConfig({
    file: undefined,
    environment: {},
    overrides: {
      hubble: { sources: [{ relay: address, since: '1m' }] },
      exchange: { mergeWindow: '200ms' },
      log: { level: 'silent' },
    },
  })
  const uuids: string[] = []
  const calls: ApiCall[] = []
  const notices: SourceNotice[] = []
  const nothing = new Writable({ write: (_, __, done) => done() })
  const app = createApp(config, {
    stdin: Readable.from([]),
    stdout: nothing,
    stderr: nothing,
    version: 'test',
    nodeVersion: 'test',
    headless: true,
    onFlow: (view) => uuids.push(view.uuid()),
    onCall: (call) => calls.push(call),
    onNotice: (notice) => notices.push(notice),
  })
  const stop = new AbortController()
  const running = app.run(stop.signal)
  const end = async () => {
    stop.abort()
    await running
  }
  onTestFinished(end)
  return { app, uuids, calls, notices, end }
}

describe.skipIf(need('hubble').skip)('two Hubble nodes behind the real Relay', () => {
  let nodes: HubbleNode[] = []
  let relay: HubbleRelay

  beforeAll(async () => {
    const other = await startHubbleNode({ name: 'node-2' })
    const first = await startHubbleNode({ name: 'node-1' })
    nodes = [first, other]
    await first.command({ do: 'peers', added: [{ name: 'node-2', address: other.address }] })
    relay = await startRelay({ peerAddress: first.address, nodes: 2 })
  })
  afterAll(async () => {
    await Promise.all([relay?.stop(), ...nodes.map((node) => node.stop())])
  })

  const feed = (batch: number) =>
    Promise.all(nodes.map((node, i) => node.feedRecords(recordsOf(i + 1, batch))))

  /** What the independent reader sees: `hubble observe`, over everything so far. */
  const observed = async () => {
    const { flows } = await hubbleObserve(relay.address, ['--since', '10m', '--type', 'l7'])
    return flows.map((flow) => String(flow['uuid'])).toSorted()
  }

  it('every flow comes out once, with the uuids that `hubble observe` reads, through a restart of Relay', async () => {
    const weir = startWeir(relay.address)
    await feed(1)
    await expect.poll(() => weir.uuids.length, { timeout: 20_000 }).toBe(4 * CALLS_A_BATCH)

    await relay.kill()
    await feed(2)
    await relay.restart()
    await feed(3)
    const all = 3 * 4 * CALLS_A_BATCH
    await expect.poll(() => weir.uuids.length, { timeout: 30_000 }).toBeGreaterThanOrEqual(all)
    expect(weir.uuids.toSorted()).toEqual(await observed())
    expect(new Set(weir.uuids).size).toBe(all)
    expect(weir.notices.some(({ kind }) => kind === 'interrupted')).toBe(true)

    await weir.end()
    expect(weir.calls).toHaveLength(all / 2)
    expect(weir.calls.every(({ outcome }) => outcome === 'answered')).toBe(true)
    expect(weir.app.ledger.unaccounted()).toBe(0)
  })

  it('takes up a node that comes back, without a double', async () => {
    const weir = startWeir(relay.address)
    const before = await observed()
    await expect.poll(() => weir.uuids.length, { timeout: 20_000 }).toBe(before.length)
    const [, second] = nodes
    await second?.stopServer()
    await second?.feedRecords(recordsOf(2, 9))
    await second?.startServer()
    const wanted = before.length + 2 * CALLS_A_BATCH
    await expect.poll(() => weir.uuids.length, { timeout: 40_000 }).toBe(wanted)
    expect(weir.uuids.toSorted()).toEqual(await observed())
  })
})
