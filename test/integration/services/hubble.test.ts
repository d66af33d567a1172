import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { recordsOfCall } from '../../services/access-log.ts'
import {
  type HubbleNode,
  type HubbleRelay,
  hubbleObserve,
  startHubbleNode,
  startRelay,
} from '../../services/hubble.ts'
import { need } from '../../services/need.ts'

const TCP_FLOW = {
  verdict: 'FORWARDED',
  IP: { source: '10.0.0.1', destination: '10.0.0.2', ipVersion: 'IPv4' },
  l4: { TCP: { source_port: 40000, destination_port: 5432, flags: { SYN: true } } },
  Type: 'L3_L4',
}

describe.skipIf(need('hubble').skip)('hubble', () => {
  let node: HubbleNode
  let other: HubbleNode
  let relay: HubbleRelay

  beforeAll(async () => {
    other = await startHubbleNode({ name: 'node-2' })
    node = await startHubbleNode({ name: 'node-1' })
    await node.command({ do: 'peers', added: [{ name: 'node-2', address: other.address }] })
    relay = await startRelay({ peerAddress: node.address, nodes: 2 })
  })
  afterAll(async () => {
    await Promise.all([relay?.stop(), node?.stop(), other?.stop()])
  })

  it('makes flows of access-log records, which a reader gets through Relay', async () => {
    await node.command({
      do: 'names',
      pods: {
        '10.0.0.1': { namespace: 'shop', pod: 'web-1' },
        '10.0.0.2': {
          namespace: 'shop',
          pod: 'checkout-7d9c5b8f6d-abcde',
          workload: { kind: 'Deployment', name: 'checkout' },
        },
      },
      services: { '10.0.0.2:8080': { namespace: 'shop', name: 'checkout' } },
    })
    const records = recordsOfCall({
      from: { IPv4: '10.0.0.1', Port: 40000, Identity: 1001, Labels: ['k8s:app=web'] },
      to: { IPv4: '10.0.0.2', Port: 8080, Identity: 1002 },
      method: 'GET',
      host: 'shop.example.com',
      path: '/orders/7?full=1',
      status: 429,
      requestHeaders: { 'X-Request-Id': ['call-1'] },
      responseHeaders: { 'X-Request-Id': ['call-1'], 'X-Weir': ['enforce'] },
      latencyMs: 12,
    })
    await node.feedRecords(records)

    const { flows } = await hubbleObserve(relay.address, ['--last', '10', '--type', 'l7'])
    expect(flows).toMatchObject([
      {
        node_name: 'node-1',
        source: { pod_name: 'web-1', identity: 1001, labels: ['k8s:app=web'] },
        destination: { pod_name: expect.any(String), workloads: [{ name: 'checkout' }] },
        destination_service: { namespace: 'shop', name: 'checkout' },
        l7: {
          type: 'REQUEST',
          http: { method: 'GET', url: 'http://shop.example.com/orders/7?full=1' },
        },
      },
      {
        destination: { pod_name: 'web-1' },
        l7: { type: 'RESPONSE', latency_ns: '12000000', http: { code: 429 } },
      },
    ])
  })

  it('takes ready-made flows and losses, and refuses what is neither', async () => {
    const since = new Date().toISOString()
    await other.feedFlows([TCP_FLOW, { ...TCP_FLOW, uuid: 'mine' }])
    await other.command({
      do: 'lost',
      lost: [{ source: 'OBSERVER_EVENTS_QUEUE', num_events_lost: 5 }],
    })
    await other.command({ do: 'perfLost', count: 3 })
    const { flows, lostEvents } = await hubbleObserve(relay.address, ['--since', since])
    expect(flows).toHaveLength(2)
    expect(flows[1]).toMatchObject({ uuid: 'mine', node_name: 'node-2' })
    expect(lostEvents).toMatchObject([
      { source: 'OBSERVER_EVENTS_QUEUE', num_events_lost: '5' },
      { source: 'PERF_EVENT_RING_BUFFER', num_events_lost: '3' },
    ])
    await expect(other.feedFlows([{ verdikt: 'FORWARDED' }])).rejects.toThrow(/verdikt/)
  })

  it('loses events to a full queue and tells how many', async () => {
    const small = await startHubbleNode({ name: 'node-4', queueCapacity: 63, peers: [] })
    try {
      await small.command({ do: 'generate', n: 200_000, kind: 'l4', lossy: true })
      await sleep(1_100) // A loss is told at most once a second, with the next event.
      await small.command({ do: 'filler', n: 1 })
      const { lostEvents } = await hubbleObserve(small.address, ['--last', '10'])
      expect(lostEvents).toMatchObject([{ source: 'OBSERVER_EVENTS_QUEUE' }])
      expect(Number(lostEvents[0]?.['num_events_lost'])).toBeGreaterThan(1_000)
    } finally {
      await small.stop()
    }
  })

  it('keeps the ring over a stop of the server, and loses it with the process', async () => {
    const fresh = await startHubbleNode({ name: 'node-3', ringCapacity: 255, peers: [] })
    try {
      await fresh.command({ do: 'generate', n: 40, rate: 1_000, kind: 'http' })
      await fresh.stopServer()
      await expect(hubbleObserve(fresh.address, ['--last', '1'])).rejects.toThrow(/observe/)
      await fresh.startServer()
      expect((await hubbleObserve(fresh.address, ['--last', '255'])).flows).toHaveLength(40)
      await fresh.restart()
      expect((await hubbleObserve(fresh.address, ['--last', '255'])).flows).toEqual([])
    } finally {
      await fresh.stop()
    }
  })

  it('comes back at the same address after Relay crashed', async () => {
    await relay.kill()
    await expect(hubbleObserve(relay.address, ['--last', '1'])).rejects.toThrow(/observe/)
    await relay.restart()
    await other.feedFlows([{ ...TCP_FLOW, uuid: 'after the crash' }])
    const { flows } = await hubbleObserve(relay.address, ['--last', '1', '--node-name', 'node-2'])
    expect(flows).toMatchObject([{ uuid: 'after the crash' }])
  })
})
