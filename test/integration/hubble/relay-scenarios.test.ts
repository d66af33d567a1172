import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it, onTestFinished } from 'vitest'
import { connectHubble } from '../../../src/hubble/channel.ts'
import { compileFlowFilter } from '../../../src/hubble/filter/flow-filter.ts'
import { createRelaySource, type RelayOptions } from '../../../src/hubble/relay-source.ts'
import { EndpointTable } from '../../../src/model/endpoint.ts'
import {
  type HubbleNode,
  type HubbleNodeOptions,
  type HubbleRelay,
  hubbleObserve,
  startHubbleNode,
  startRelay,
} from '../../services/hubble.ts'
import { need } from '../../services/need.ts'
import { Numbered, readNumbered } from './numbered-flows.ts'

const SECONDS = { timeout: 20_000, interval: 50 }

interface Cluster {
  readonly nodes: readonly [HubbleNode, HubbleNode]
  readonly relay: HubbleRelay
}

/** Two nodes behind a Relay. */
async function startCluster(options: Partial<HubbleNodeOptions> = {}): Promise<Cluster> {
  const first = await startHubbleNode({ name: 'node-1', ...options })
  const second = await startHubbleNode({ name: 'node-2', ...options })
  onTestFinished(() => Promise.all([first.stop(), second.stop()]).then(() => {}))
  await first.command({ do: 'peers', added: [second.peer] })
  const relay = await startRelay({ peerAddress: first.address, nodes: 2 })
  onTestFinished(() => relay.stop())
  return { nodes: [first, second], relay }
}

/** Reads the Relay, asking it often how it is, so that scenarios are short. */
function read(relay: HubbleRelay, options: Partial<RelayOptions> = {}) {
  return readNumbered(
    createRelaySource({
      name: 'relay',
      cluster: 'default',
      connect: () => connectHubble(relay.address),
      endpoints: new EndpointTable(),
      filter: compileFlowFilter({}),
      sinceMs: Date.now() - 60_000,
      backoffMs: () => 200,
      now: Date.now,
      statusEveryMs: 300,
      statusDeadlineMs: 1_000,
      ...options,
    }),
  )
}

const frozen: number[] = []
afterEach(() => {
  for (const pid of frozen.splice(0)) process.kill(pid, 'SIGCONT')
})

describe.skipIf(need('hubble').skip)('two real rings behind the real Relay', () => {
  it('a Relay that is killed and comes back costs nothing and doubles nothing', async () => {
    const { nodes, relay } = await startCluster()
    const flows = new Numbered()
    const reading = await read(relay)
    await flows.make(nodes, 200)
    await expect.poll(() => reading.countOf(nodes[0]), SECONDS).toBe(200)
    await relay.kill()
    await flows.make(nodes, 200)
    await relay.restart()
    await flows.make(nodes, 200)
    for (const node of nodes) {
      await expect.poll(() => reading.missingOf(node, 600), SECONDS).toEqual([])
    }
    expect([reading.doubles, reading.lost]).toEqual([0, 0])
    expect(reading.notices.some(({ kind }) => kind === 'interrupted')).toBe(true)
    const { flows: observed } = await hubbleObserve(relay.address, ['--since', '10m'])
    expect(observed).toHaveLength(1_200)
  })

  it('a node that is killed and starts anew loses what its ring held, no more, and that shows', async () => {
    const { nodes, relay } = await startCluster()
    const [, second] = nodes
    const flows = new Numbered()
    const reading = await read(relay)
    await flows.make(nodes, 2_000, 1_000)
    await expect.poll(() => reading.countOf(second), SECONDS).toBe(2_000)
    await second.kill()
    await sleep(3_000)
    const before = reading.coverage()
    await second.restart()
    await flows.make(nodes, 200)
    await expect.poll(() => reading.missingOf(second, 2_200), SECONDS).toEqual([])
    expect(reading.missingOf(nodes[0], 2_200)).toEqual([])
    expect(reading.doubles).toBe(0)
    expect(before).toBeLessThan(1)
  })

  it('a node that joins while the stream is open is read from its first flow on', async () => {
    const { nodes, relay } = await startCluster()
    const flows = new Numbered()
    const reading = await read(relay)
    const third = await startHubbleNode({ name: 'node-3' })
    onTestFinished(() => third.stop())
    await flows.make([third], 100)
    await nodes[0].command({ do: 'peers', added: [third.peer] })
    await flows.make([third], 100)
    await expect.poll(() => reading.missingOf(third, 200), SECONDS).toEqual([])
    expect(reading.doubles).toBe(0)
  })

  it('a node that was registered anew, to which the stream is blind, is found and read', async () => {
    const { nodes, relay } = await startCluster()
    const [first, second] = nodes
    const flows = new Numbered()
    const reading = await read(relay)
    await flows.make(nodes, 100)
    await expect.poll(() => reading.countOf(second), SECONDS).toBe(100)
    await first.command({ do: 'peers', deleted: [second.peer] })
    await sleep(2_500)
    await first.command({ do: 'peers', added: [second.peer] })
    await flows.make(nodes, 2_000, 400)
    await expect.poll(() => reading.missingOf(second, 2_100), SECONDS).toEqual([])
    expect(reading.reopenedFor()).toContain('blind_node')
    expect([reading.doubles, reading.lost]).toEqual([0, 0])
  })

  it('a node that hangs half-open does not keep the others, and nothing of it is missing after', async () => {
    const { nodes, relay } = await startCluster()
    const [first, second] = nodes
    const flows = new Numbered()
    const reading = await read(relay)
    await flows.make(nodes, 1_000, 500)
    await expect.poll(() => reading.countOf(second), SECONDS).toBe(1_000)
    process.kill(second.pid, 'SIGSTOP')
    frozen.push(second.pid)
    await flows.make([first], 4_000, 400)
    await expect.poll(() => reading.countOf(first), SECONDS).toBe(5_000)
    process.kill(second.pid, 'SIGCONT')
    await flows.make(nodes, 100)
    await expect.poll(() => reading.missingOf(second, 1_100), SECONDS).toEqual([])
    await expect.poll(() => reading.missingOf(first, 5_100), SECONDS).toEqual([])
    expect([reading.doubles, reading.lost]).toEqual([0, 0])
  })

  it('all nodes away, and then back with their rings: the end with OK is no end', async () => {
    const { nodes, relay } = await startCluster()
    const flows = new Numbered()
    const reading = await read(relay)
    await flows.make(nodes, 100)
    await expect.poll(() => reading.countOf(nodes[1]), SECONDS).toBe(100)
    await Promise.all(nodes.map((node) => node.stopServer()))
    await flows.make(nodes, 100)
    const isAway = () => reading.notices.some(({ kind }) => kind === 'interrupted')
    await expect.poll(isAway, SECONDS).toBe(true)
    await Promise.all(nodes.map((node) => node.startServer()))
    for (const node of nodes) {
      await expect.poll(() => reading.missingOf(node, 200), { timeout: 40_000 }).toEqual([])
    }
    expect([reading.doubles, reading.lost]).toEqual([0, 0])
  })

  it('a Relay that knows no nodes is waited for, at the pace of the backoff', async () => {
    const relay = await startRelay({ peerAddress: '127.0.0.1:1', nodes: 0 })
    onTestFinished(() => relay.stop())
    const attempts: number[] = []
    const backoffMs = (attempt: number) => {
      attempts.push(attempt)
      return 100 * attempt
    }
    const reading = await read(relay, { backoffMs })
    await expect.poll(() => attempts.length, SECONDS).toBeGreaterThan(4)
    expect(attempts.slice(0, 4)).toEqual([1, 2, 3, 4])
    const connected = reading.notices.filter(({ kind }) => kind === 'connected')
    expect(connected.every((n) => n.kind === 'connected' && n.nodes === 0)).toBe(true)
  })

  it('a gap that is older than the new stream is filled by a read of that node alone', async () => {
    const { nodes, relay } = await startCluster()
    const [first, second] = nodes
    const flows = new Numbered()
    const reading = await read(relay, { reopenAfterMs: 2_000 })
    await flows.make(nodes, 100)
    await expect.poll(() => reading.countOf(second), SECONDS).toBe(100)
    await second.stopServer()
    await flows.make([second], 500)
    // The streams that are opened meanwhile begin after what the node holds.
    await flows.make([first], 4_000, 500)
    await second.startServer()
    await flows.make(nodes, 100)
    await expect.poll(() => reading.missingOf(second, 700), { timeout: 40_000 }).toEqual([])
    expect(reading.missingOf(first, 4_200)).toEqual([])
    expect(reading.reopenedFor()).toContain('backfill')
    expect([reading.doubles, reading.lost]).toEqual([0, 0])
  })

  it('the newest flow of a quiet node, which cannot be read yet, was passed over when the stream was reopened', async () => {
    const { nodes, relay } = await startCluster()
    const [first, second] = nodes
    const flows = new Numbered()
    const reading = await read(relay, { reopenAfterMs: 2_000 })
    // Streams are opened every two seconds, and begin three seconds before the busy node's newest.
    await Promise.all([flows.make([first], 3_200, 400), flows.make([second], 2, 0.125)])
    await flows.make([second], 10)
    await expect.poll(() => reading.missingOf(second, 12), SECONDS).toEqual([])
    expect([reading.doubles, reading.lost]).toEqual([0, 0])
  })

  it('a ring that does not reach back to where it was asked for is no loss', async () => {
    const { nodes, relay } = await startCluster({ ringCapacity: 255 })
    const flows = new Numbered()
    await flows.make(nodes, 2_000)
    const reading = await read(relay)
    await expect.poll(() => reading.countOf(nodes[0]), SECONDS).toBeGreaterThan(200)
    // Hubble tells losses once a second, and before the next flow.
    await sleep(1_500)
    await flows.make(nodes, 2)
    await expect.poll(() => reading.reopenedFor(), SECONDS).toContain('since_not_covered')
    await expect.poll(() => reading.missingOf(nodes[0], 2_002).length, SECONDS).toBeLessThan(1_800)
    expect(reading.lost).toBe(0)
  })

  it.each([
    { what: 'mask', request: { field_mask: { paths: ['foo.bar'] } }, says: 'filter.fields' },
    { what: 'filter', request: { whitelist: [{ http_path: ['('] }] }, says: "the source's filter" },
  ])('a $what that the nodes refuse is told as ours', async ({ request, says }) => {
    const { relay } = await startCluster()
    const filter = { ...compileFlowFilter({}), request: () => request }
    const reading = await read(relay, { filter })
    const refusals = () => reading.notices.flatMap((n) => (n.kind === 'refused' ? [n.reason] : []))
    await expect.poll(() => refusals().length, SECONDS).toBeGreaterThan(0)
    expect(refusals()[0]).toContain(says)
  })

  it('a bounded read takes what the rings hold between its bounds, once, and ends', async () => {
    const { nodes, relay } = await startCluster()
    const flows = new Numbered()
    await flows.make(nodes, 1_000)
    const untilMs = Date.now()
    await sleep(5)
    await flows.make(nodes, 1_000)
    const reading = await read(relay, { untilMs })
    await reading.ended
    for (const node of nodes) {
      expect(reading.missingOf(node, 1_000)).toEqual([])
      expect(reading.countOf(node)).toBe(1_000)
    }
    expect(reading.doubles).toBe(0)
  })

  it('a trickle of flows comes without the wait of a sort queue', async () => {
    const { nodes, relay } = await startCluster()
    const reading = await read(relay)
    const flows = new Numbered()
    await flows.make(nodes, 20, 4)
    await expect.poll(() => reading.countOf(nodes[0]), { timeout: 2_000 }).toBeGreaterThan(15)
  })
})
