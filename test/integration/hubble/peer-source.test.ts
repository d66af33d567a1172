import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { connectHubble } from '../../../src/hubble/channel.ts'
import { compileFlowFilter } from '../../../src/hubble/filter/flow-filter.ts'
import { createPeerSource, type PeerOptions } from '../../../src/hubble/peer-source.ts'
import { EndpointTable } from '../../../src/model/endpoint.ts'
import { directoryOf } from '../../fixtures/directory.ts'
import { makeCertificates } from '../../services/certificates.ts'
import { type HubbleNode, type HubbleNodeOptions, startHubbleNode } from '../../services/hubble.ts'
import { need } from '../../services/need.ts'
import { forwarderTo } from './forwarder.ts'
import { Numbered, readNumbered } from './numbered-flows.ts'

const SECONDS = { timeout: 20_000, interval: 50 }

async function startNode(name: string, options: Partial<HubbleNodeOptions> = {}) {
  const node = await startHubbleNode({ name, ...options })
  onTestFinished(() => node.stop())
  return node
}

/** Reads the agents that the peer service of `first` names. */
function read(first: HubbleNode, options: Partial<PeerOptions> = {}) {
  return readNumbered(
    createPeerSource({
      name: 'agents',
      cluster: 'default',
      connect: () => connectHubble(first.address),
      connectAgent: (address) => connectHubble(address),
      endpoints: new EndpointTable(),
      filter: compileFlowFilter({}),
      sinceMs: Date.now() - 60_000,
      backoffMs: () => 200,
      now: Date.now,
      statusEveryMs: 300,
      statusDeadlineMs: 1_000,
      settleMs: 1_000,
      ...options,
    }),
  )
}

const nodesConnected = ({ notices }: Awaited<ReturnType<typeof read>>) =>
  notices.flatMap((n) => (n.kind === 'connected' ? [n.nodes] : [])).at(-1)

describe.skipIf(need('hubble').skip)('real agents that are read directly', () => {
  it('one stream each: peers come, go and come back, and nothing is missed or doubled', async () => {
    const first = await startNode('node-1')
    const second = await startNode('node-2')
    const flows = new Numbered()
    const reading = await read(first)
    await flows.make([first, second], 100)
    await expect.poll(() => reading.missingOf(first, 100), SECONDS).toEqual([])
    expect(reading.countOf(second)).toBe(0)

    await first.command({ do: 'peers', added: [second.peer] })
    await expect.poll(() => reading.missingOf(second, 100), SECONDS).toEqual([])
    expect(nodesConnected(reading)).toBe(2)

    await first.command({ do: 'peers', deleted: [second.peer] })
    await expect.poll(() => nodesConnected(reading), SECONDS).toBe(1)
    await flows.make([second], 100)
    await sleep(500)
    expect(reading.countOf(second)).toBe(100)

    await first.command({ do: 'peers', added: [second.peer] })
    await flows.make([first, second], 100)
    await expect.poll(() => reading.missingOf(second, 300), SECONDS).toEqual([])
    expect([reading.doubles, reading.lost]).toEqual([0, 0])
  })

  it('goes on at the new address of a peer that changed it', async () => {
    const first = await startNode('node-1')
    const second = await startNode('node-2')
    const flows = new Numbered()
    await first.command({ do: 'peers', added: [second.peer] })
    const reading = await read(first)
    await flows.make([second], 100)
    await expect.poll(() => reading.missingOf(second, 100), SECONDS).toEqual([])
    const moved = await forwarderTo(second.address)
    await first.command({ do: 'peers', updated: [{ ...second.peer, address: moved.address }] })
    await flows.make([second], 100)
    await expect.poll(() => reading.missingOf(second, 200), SECONDS).toEqual([])
    await expect.poll(() => moved.connections(), SECONDS).toBeGreaterThan(0)
    expect([reading.doubles, reading.lost]).toEqual([0, 0])
  })

  it('a node that was cut off resumes exactly where it was, while the others go on', async () => {
    const first = await startNode('node-1')
    const second = await startNode('node-2')
    const flows = new Numbered()
    await first.command({ do: 'peers', added: [second.peer] })
    const reading = await read(first)
    await flows.make([first, second], 100)
    await expect.poll(() => reading.missingOf(second, 100), SECONDS).toEqual([])
    await second.stopServer()
    await flows.make([first, second], 500, 500)
    await expect.poll(() => reading.missingOf(first, 600), SECONDS).toEqual([])
    expect(nodesConnected(reading)).toBe(1)
    await second.startServer()
    await expect.poll(() => reading.missingOf(second, 600), SECONDS).toEqual([])
    expect([reading.doubles, reading.lost]).toEqual([0, 0])
  })

  it('reads on while the peer service is away, and drops whom its next list does not name', async () => {
    const first = await startNode('node-1')
    const second = await startNode('node-2')
    const flows = new Numbered()
    await first.command({ do: 'peers', added: [second.peer] })
    const reading = await read(first)
    await expect.poll(() => nodesConnected(reading), SECONDS).toBe(2)
    await first.kill()
    await flows.make([second], 100)
    await expect.poll(() => reading.missingOf(second, 100), SECONDS).toEqual([])
    await first.restart()
    await expect
      .poll(() => reading.notices.some((n) => n.kind === 'nodes' && n.state === 'gone'), SECONDS)
      .toBe(true)
    await flows.make([first], 100)
    await expect.poll(() => reading.missingOf(first, 100), SECONDS).toEqual([])
  })

  it('a bounded read takes what all of them hold, and ends', async () => {
    const first = await startNode('node-1')
    const second = await startNode('node-2')
    const flows = new Numbered()
    await first.command({ do: 'peers', added: [second.peer] })
    await flows.make([first, second], 1_000)
    const reading = await read(first, { untilMs: Date.now() })
    await reading.ended
    for (const node of [first, second]) expect(reading.missingOf(node, 1_000)).toEqual([])
    expect(reading.doubles).toBe(0)
  })

  it('speaks mutual TLS with each, by the name that the peer service gives, and takes up new certificates', async () => {
    const certificates = makeCertificates(directoryOf({}))
    const tls = { certificates }
    const first = await startNode('node-1', { tls })
    const second = await startNode('node-2', { tls })
    await first.command({ do: 'peers', added: [second.peer] })
    const flows = new Numbered()
    const reading = await read(first, {
      connect: () =>
        connectHubble(first.address, {
          tls: certificates.clientOf('hubble-peer.default.hubble-grpc.cilium.io'),
        }),
      connectAgent: (address, serverName = '') =>
        connectHubble(address, { tls: certificates.clientOf(serverName) }),
    })
    await flows.make([first, second], 100)
    for (const node of [first, second]) {
      await expect.poll(() => reading.missingOf(node, 100), SECONDS).toEqual([])
    }
    certificates.renew({ authority: true })
    // Cilium's servers look for new files every five seconds.
    await sleep(6_000)
    for (const node of [first, second]) {
      await node.stopServer()
      await node.startServer()
    }
    await flows.make([first, second], 100)
    for (const node of [first, second]) {
      await expect.poll(() => reading.missingOf(node, 200), SECONDS).toEqual([])
    }
    expect([reading.doubles, reading.lost]).toEqual([0, 0])
  })
})
