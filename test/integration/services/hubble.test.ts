import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { observerService } from '../../../src/hubble/proto.ts'
import { directoryOf } from '../../fixtures/directory.ts'
import { httpRequest, httpResponse } from '../../fixtures/hubble-flows.ts'
import { recordsOfCall } from '../../services/access-log.ts'
import {
  type Certificates,
  type ClientTls,
  makeCertificates,
  RELAY_SERVER_NAME,
} from '../../services/certificates.ts'
import {
  type HubbleNode,
  type HubbleRelay,
  hubbleObserve,
  startHubbleNode,
  startRelay,
} from '../../services/hubble.ts'
import { objectAt, textAt } from '../../services/json-object.ts'
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
    await node.command({ do: 'peers', added: [other.peer] })
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

  it('numbers what it generates, on through several commands, so that a gap would show', async () => {
    const counting = await startHubbleNode({ name: 'node-5', peers: [] })
    onTestFinished(() => counting.stop())
    await counting.command({ do: 'generate', kind: 'http', n: 30 })
    await counting.command({ do: 'generate', kind: 'http', n: 30, first: 30 })
    await counting.command({ do: 'generate', kind: 'l4', n: 50, first: 79_980 })
    const l7 = await hubbleObserve(counting.address, ['--since', '1m', '--type', 'l7'])
    const calls = l7.flows.map((flow) => {
      const http = objectAt(objectAt(flow, 'l7'), 'http')
      const id = (http['headers'] as { value: string }[])[0]?.value
      return `${textAt(http, 'url')} ${id}`
    })
    const wanted = (call: number) => `http://generated.test/items/${call} generated-node-5-${call}`
    expect(calls).toEqual(Array.from({ length: 60 }, (_, i) => wanted(i >> 1)))

    const l4 = await hubbleObserve(counting.address, ['--since', '1m', '--type', 'trace'])
    const numbers = l4.flows.map((flow) => {
      const [a = 0, b = 0, c = 0, d = 0] = textAt(objectAt(flow, 'IP'), 'source')
        .split('.')
        .map(Number)
      const { source_port: port } = objectAt(objectAt(flow, 'l4'), 'TCP')
      return (((a - 10) * 256 + b - 1) * 65_536 + c * 256 + d) * 40_000 + Number(port) - 20_000
    })
    expect(numbers).toEqual(Array.from({ length: 50 }, (_, i) => 79_980 + i))
  })

  it('loads the flows of a file, as they are or as new ones', async () => {
    const loading = await startHubbleNode({ name: 'node-6', peers: [] })
    onTestFinished(() => loading.stop())
    const at = { atMs: Date.now() - 5_000, uuid: 'mine', node: 'elsewhere' }
    const file = flowFile([
      httpRequest(at),
      { lost_events: {} },
      httpResponse({ ...at, code: 204 }),
    ])
    const read = async () => (await hubbleObserve(loading.address, ['--since', '1m'])).flows
    await loading.command({ do: 'load', file })
    expect(await read()).toMatchObject([
      { uuid: 'mine', node_name: 'node-6', l7: { type: 'REQUEST' } },
      { uuid: 'mine', node_name: 'node-6', l7: { type: 'RESPONSE', http: { code: 204 } } },
    ])
    const startMs = Date.now()
    await loading.command({ do: 'load', file, n: 7, loop: true, renumber: true, rate: 100 })
    expect(Date.now() - startMs).toBeGreaterThanOrEqual(59)
    const renumbered = (await read()).slice(2)
    expect(new Set(renumbered.map(({ uuid }) => uuid)).size).toBe(7)
    expect(renumbered.every(({ time }) => Date.parse(String(time)) >= startMs)).toBe(true)
  })

  it.each([
    { why: 'is not there', content: undefined, told: /no such file/ },
    { why: 'is cut off', content: [0, 0, 0, 9, 1], told: /unexpected EOF/ },
    { why: 'holds no flow', content: [], told: /no flow/ },
    {
      why: 'is something else',
      content: Buffer.from('{"flow":{}}'),
      told: /a message of \d+ bytes/,
    },
  ])('does not load a file that $why', async ({ content, told }) => {
    const file = join(directoryOf({}), 'flows')
    if (content !== undefined) writeFileSync(file, Buffer.from(content))
    await expect(node.command({ do: 'load', file })).rejects.toThrow(told)
  })

  it('comes back at the same address after Relay crashed', async () => {
    const { pid } = relay
    await relay.kill()
    await expect(hubbleObserve(relay.address, ['--last', '1'])).rejects.toThrow(/observe/)
    await relay.restart()
    expect(relay.pid).not.toBe(pid)
    await other.feedFlows([{ ...TCP_FLOW, uuid: 'after the crash' }])
    const { flows } = await hubbleObserve(relay.address, ['--last', '1', '--node-name', 'node-2'])
    expect(flows).toMatchObject([{ uuid: 'after the crash' }])
  })
})

describe.skipIf(need('hubble').skip)('hubble, by TLS', () => {
  it.each([
    { clients: 'plaintext', why: 'as Cilium installs it' },
    { clients: 'tls', why: 'whoever they are' },
    { clients: 'mutual', why: 'if they show a certificate' },
  ] as const)('speaks it from node to node; to clients $clients: $why', async ({ clients }) => {
    const certificates = makeCertificates(directoryOf({}))
    const { node, relay } = await startTls(certificates, clients)
    await node.feedFlows([TCP_FLOW])
    const all = ['--since', '1m']
    const tls = certificates.clientOf(RELAY_SERVER_NAME)
    const anonymous = { ca: certificates.ca, serverName: RELAY_SERVER_NAME }
    const misnamed = certificates.clientOf('hubble-relay.kube-system')
    const stranger = makeCertificates(directoryOf({})).clientOf(RELAY_SERVER_NAME)
    const isRead = async (how?: ClientTls) => {
      const reading = hubbleObserve(relay.address, all, how)
      return reading.then(({ flows }) => flows.length === 1).catch(() => false)
    }
    expect({
      plaintext: await isRead(),
      anonymous: await isRead(anonymous),
      known: await isRead(tls),
      misnamed: await isRead(misnamed),
      stranger: await isRead(stranger),
    }).toEqual({
      plaintext: clients === 'plaintext',
      anonymous: clients === 'tls',
      known: clients !== 'plaintext',
      misnamed: false,
      stranger: false,
    })
    await expect(hubbleObserve(node.address, all)).rejects.toThrow(/observe/)
    const direct = certificates.clientOf(node.peer.serverName ?? '')
    expect((await hubbleObserve(node.address, all, direct)).flows).toHaveLength(1)
  })

  it('goes on when all certificates, and their authority, are renewed in place', async () => {
    const certificates = makeCertificates(directoryOf({}))
    const { node, relay } = await startTls(certificates, 'mutual')
    certificates.renew({ authority: true })
    const renewed = certificates.clientOf(RELAY_SERVER_NAME)
    const read = () => hubbleObserve(relay.address, ['--since', '1m'], renewed)
    await expect(read()).rejects.toThrow(/Unavailable/) // Relay has not looked yet.
    await expect.poll(() => read().then(() => 'read', String), { timeout: 15_000 }).toBe('read')
    await node.restart()
    await node.feedFlows([TCP_FLOW])
    const count = async () => (await read()).flows.length
    await expect.poll(count, { timeout: 15_000, interval: 500 }).toBe(1)
  })
})

/** A node and Relay in front of it, for this test. */
async function startTls(
  certificates: Certificates,
  clients: 'plaintext' | 'tls' | 'mutual',
): Promise<{ node: HubbleNode; relay: HubbleRelay }> {
  const node = await startHubbleNode({ name: 'node-1', tls: { certificates } })
  onTestFinished(() => node.stop())
  const relay = await startRelay({ peerAddress: node.address, tls: { certificates, clients } })
  onTestFinished(() => relay.stop())
  return { node, relay }
}

/** Writes observer.GetFlowsResponse messages, each behind its length, and returns the path. */
function flowFile(messages: readonly object[]): string {
  const encode = observerService()['GetFlows']?.responseSerialize
  const parts = messages.flatMap((message) => {
    const bytes = encode?.(message) ?? Buffer.alloc(0)
    const length = Buffer.alloc(4)
    length.writeUInt32BE(bytes.length)
    return [length, bytes]
  })
  const path = join(directoryOf({}), 'flows')
  writeFileSync(path, Buffer.concat(parts))
  return path
}
