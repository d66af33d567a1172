import { setImmediate as turn } from 'node:timers/promises'
import * as grpc from '@grpc/grpc-js'
import { expect, it, onTestFinished, vi } from 'vitest'
import { DemoNode } from '../../../src/demo/demo-node.ts'
import { EGRESS, podEnd, tcpTrace } from '../../../src/demo/flow-messages.ts'
import { createRandom } from '../../../src/demo/random.ts'
import { createDemoRelay } from '../../../src/demo/relay.ts'
import { workload } from '../../../src/demo/shop.ts'
import { observerService } from '../../../src/hubble/proto.ts'
import { createObserverClient } from '../../fixtures/observer-client.ts'

interface Response {
  flow?: object
  lost_events?: { source: number; num_events_lost: number }
}

const RING_MAX = 127

async function startRelay() {
  const node = new DemoNode({
    name: 'demo/node-a',
    address: '',
    ringMax: RING_MAX,
    random: createRandom(1),
  })
  const options = { nodes: [node], namespaces: [], cluster: 'demo', now: () => 0 }
  const relay = createDemoRelay({ service: observerService(), ...options })
  const signal = AbortSignal.timeout(30_000)
  await relay.start(signal)
  const client = createObserverClient(relay.address, grpc.credentials.createInsecure())
  onTestFinished(async () => {
    client.close()
    await relay.stop(signal)
  })
  const view = {
    client: podEnd(workload('shop/web').pods[0], 40_000),
    server: podEnd(workload('shop/orders').pods[0], 8_081),
    direction: EGRESS,
    node: 0,
  } as const
  let nowMs = 0
  const addFlow = (): void => {
    nowMs += 10
    node.handle(tcpTrace(view, { SYN: true }, false), nowMs, nowMs)
    relay.flush()
  }
  return { relay, client, addFlow }
}

/** A loaded machine takes its time. */
const SOON = { timeout: 10_000 }

it('tells a reader that is too slow exactly how much it lost', async () => {
  const { client, relay, addFlow } = await startRelay()
  const stream = client.GetFlows({ follow: true })
  const responses: Response[] = []
  await new Promise((resolve) => stream.once('readable', resolve))
  await vi.waitUntil(() => relay.streams === 1, SOON)
  for (let i = 0; i < 5_000; i++) {
    addFlow()
    if (i % 50 === 0) await turn()
  }
  stream.on('data', (response) => responses.push(response as Response))
  const flows = (): number => responses.filter((r) => r.flow !== undefined).length
  const lost = (): number =>
    responses.reduce((sum, r) => sum + Number(r.lost_events?.num_events_lost ?? 0), 0)
  await vi.waitUntil(
    () => {
      addFlow()
      return lost() > 0
    },
    { timeout: 10_000 },
  )
  for (let i = 0; i < 200; i++) addFlow()
  const { seen_flows } = await new Promise<{ seen_flows: number }>((resolve, reject) =>
    client.ServerStatus({}, new grpc.Metadata(), {}, (error, answer) =>
      error ? reject(error) : resolve(answer as { seen_flows: number }),
    ),
  )
  await vi.waitUntil(() => flows() + lost() >= seen_flows, { timeout: 10_000 })
  expect(flows() + lost()).toBe(seen_flows)
  expect(lost()).toBeGreaterThan(RING_MAX)
  expect(responses.find((r) => r.lost_events)?.lost_events?.source).toBe(3)
  stream.cancel()
  stream.on('error', () => {})
})

it('says that a full ring does not reach back to `since`, before the first flow', async () => {
  const { client, addFlow } = await startRelay()
  for (let i = 0; i < 2 * RING_MAX; i++) addFlow()
  const stream = client.GetFlows({ since: { seconds: 0 } })
  const responses: Response[] = []
  for await (const response of stream) responses.push(response as Response)
  expect(responses.filter((r) => r.flow !== undefined)).toHaveLength(RING_MAX)
  expect(responses[1]?.lost_events).toMatchObject({ source: 3, num_events_lost: 1 })
})

it('turns away more streams than it can serve', async () => {
  const { client, relay } = await startRelay()
  const streams = Array.from({ length: 65 }, () => client.GetFlows({ follow: true }))
  const errors: grpc.ServiceError[] = []
  for (const stream of streams) {
    stream.on('error', (error: grpc.ServiceError) => errors.push(error))
    stream.on('data', () => {})
  }
  await vi.waitUntil(() => errors.length > 0, SOON)
  expect(errors.map(({ code }) => code)).toEqual([grpc.status.RESOURCE_EXHAUSTED])
  expect(relay.streams).toBe(64)
  for (const stream of streams) stream.cancel()
  await vi.waitUntil(() => relay.streams === 0, SOON)
})
