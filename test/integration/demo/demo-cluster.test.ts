import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import * as grpc from '@grpc/grpc-js'
import { expect, it, onTestFinished, vi } from 'vitest'
import { createDemoCluster, type DemoCluster } from '../../../src/demo/demo-cluster.ts'
import { FLOODER, workload } from '../../../src/demo/shop.ts'
import { observerService } from '../../../src/hubble/proto.ts'
import { createObserverClient, type ObserverClient } from '../../fixtures/observer-client.ts'
import { cecFixture } from '../../unit/demo/cec-fixture.ts'

interface Flow {
  uuid: string
  node_name: string
  time: { seconds: number; nanos?: number }
  IP: { source: string; destination: string }
  l4: { TCP?: { source_port: number; destination_port: number } }
  l7?: { type: number; http?: { code?: number; headers: { key: string; value: string }[] } }
  traffic_direction: number
}
interface Response {
  flow?: Flow
  node_status?: { state_change: number; node_names: string[]; message?: string }
  lost_events?: { source: number; num_events_lost: number }
  node_name?: string
}

/** The cluster's clock runs this much faster than ours. */
const SPEED = 10

async function startCluster(onStory?: (line: string) => void) {
  const cecDirectory = await mkdtemp(join(tmpdir(), 'weir-demo-'))
  const startMs = Date.now()
  const cluster = createDemoCluster({
    service: observerService(),
    cecDirectory,
    now: () => startMs + (Date.now() - startMs) * SPEED,
    ...(onStory === undefined ? {} : { onStory }),
  })
  const signal = AbortSignal.timeout(60_000)
  await cluster.start(signal)
  const client = createObserverClient(cluster.relayAddress, grpc.credentials.createInsecure())
  onTestFinished(async () => {
    client.close()
    await cluster.stop(signal)
    await rm(cecDirectory, { recursive: true })
  })
  return { cluster, client, cecDirectory }
}

/** Reads to the end of the stream, or for `forMs`. */
async function read(client: ObserverClient, request: object, forMs = 10_000): Promise<Response[]> {
  const stream = client.GetFlows(request)
  const responses: Response[] = []
  stream.on('data', (response) => responses.push(response as Response))
  const ended = new Promise<void>((resolve, reject) => {
    stream.on('end', resolve)
    stream.on('error', (error: grpc.ServiceError) =>
      error.code === grpc.status.CANCELLED ? resolve() : reject(error),
    )
  })
  await Promise.race([ended, sleep(forMs)])
  stream.cancel()
  await ended
  return responses
}

const flowsOf = (responses: readonly Response[]): Flow[] => responses.flatMap((r) => r.flow ?? [])
const timeOf = (flow: Flow): number => flow.time.seconds * 1e9 + (flow.time.nanos ?? 0)
const headerOf = (flow: Flow, name: string): string =>
  flow.l7?.http?.headers.find(({ key }) => key === name)?.value ?? ''
function exchangeOf(flow: Flow): string {
  const ends = [
    `${flow.IP.source}:${flow.l4.TCP?.source_port}`,
    `${flow.IP.destination}:${flow.l4.TCP?.destination_port}`,
  ]
  if (flow.l7?.type === 2) ends.reverse()
  return [flow.node_name, flow.traffic_direction, headerOf(flow, 'X-Request-Id'), ...ends].join()
}

async function unary(call: ObserverClient['ServerStatus']): Promise<Record<string, unknown>> {
  return new Promise((resolve, reject) => {
    call({}, new grpc.Metadata(), { deadline: Date.now() + 3_000 }, (error, answer) =>
      error ? reject(error) : resolve(answer as Record<string, unknown>),
    )
  })
}

async function putCec(directory: string, cec: object): Promise<void> {
  await writeFile(join(directory, '.weir-catalog.tmp'), JSON.stringify(cec))
  await rename(join(directory, '.weir-catalog.tmp'), join(directory, 'weir-catalog.yaml'))
}

it('streams flows live from three nodes, each once, requests with their answers', async () => {
  const { client } = await startCluster()
  const responses = await read(client, { follow: true, number: 1 }, 1_500)
  expect(responses[0]?.node_status).toEqual({
    state_change: 1,
    node_names: ['demo/node-a', 'demo/node-b', 'demo/node-c'],
  })
  const flows = flowsOf(responses)
  expect(flows.length).toBeGreaterThan(500)
  expect(new Set(flows.map(({ node_name }) => node_name)).size).toBe(3)
  expect(new Set(flows.map(({ uuid }) => uuid)).size).toBe(flows.length)
  const open = new Set<string>()
  let answers = 0
  for (const flow of flows.filter((f) => f.l7?.http !== undefined)) {
    if (flow.l7?.type === 1) open.add(exchangeOf(flow))
    else if (open.delete(exchangeOf(flow))) answers++
  }
  expect(answers).toBeGreaterThan(200)
  // Those of which no answer comes, and those that were on their way at the end.
  expect(open.size).toBeLessThan(answers / 10)
})

it('replays from a moment on, the last few, and up to a moment, with the same uuids', async () => {
  const { client } = await startCluster()
  const live = flowsOf(await read(client, { follow: true }, 1_000))
  const middle = live[Math.floor(live.length / 2)]
  const last = live.at(-1)
  if (middle === undefined || last === undefined) throw new Error('no flows')
  const span = live.filter((f) => timeOf(f) >= timeOf(middle) && timeOf(f) <= timeOf(last))
  const between = { since: middle.time, until: last.time }
  const replayed = flowsOf(await read(client, between))
  expect(replayed.map(({ uuid }) => uuid).toSorted()).toEqual(span.map((f) => f.uuid).toSorted())
  expect(replayed.map(timeOf)).toEqual(replayed.map(timeOf).toSorted((a, b) => a - b))
  const followed = flowsOf(await read(client, { ...between, follow: true }))
  expect(followed.map(({ uuid }) => uuid)).toEqual(replayed.map(({ uuid }) => uuid))

  const five = flowsOf(await read(client, { number: 5 }))
  expect(five).toHaveLength(15)
  const oneNode = [{ node_name: ['demo/node-b'], event_type: [{ type: 129 }] }]
  const filtered = flowsOf(await read(client, { number: 5, whitelist: oneNode }))
  expect(filtered).toHaveLength(5)
  expect(filtered.every((f) => f.node_name === 'demo/node-b' && f.l7 !== undefined)).toBe(true)
  const resumed = await read(client, { follow: true, since: middle.time, number: 1 }, 500)
  expect(flowsOf(resumed).slice(0, 5)).toEqual(replayed.slice(0, 5))
  expect(flowsOf(resumed).length).toBeGreaterThan(replayed.length)
})

it('tells a bad request as Relay does: a node error, and an end that is OK', async () => {
  const { client } = await startCluster()
  const responses = await read(client, { follow: true, first: true })
  expect(responses.map((r) => r.node_status?.state_change)).toEqual([1, 4])
  expect(responses[1]?.node_status?.message).toContain('follow')
})

it('answers for its nodes, its namespaces and its health', async () => {
  const { client, cluster } = await startCluster()
  await vi.waitUntil(() => cluster.summary().flows > 200, { timeout: 10_000 })
  const status = await unary(client.ServerStatus.bind(client))
  expect(status).toMatchObject({ num_connected_nodes: { value: 3 }, max_flows: 3 * 4_095 })
  expect(status['seen_flows']).toBeGreaterThan(100)
  expect(status['flows_rate']).toBeGreaterThan(50)
  const { nodes } = await unary(client.GetNodes.bind(client))
  expect(nodes).toMatchObject([
    { name: 'demo/node-a', state: 1 },
    { name: 'demo/node-b', state: 1 },
    { name: 'demo/node-c', state: 1 },
  ])
  const { namespaces } = await unary(client.GetNamespaces.bind(client))
  expect(namespaces).toContainEqual({ cluster: 'demo', namespace: 'shop' })
  expect(cluster.relayAddress).toMatch(/^127\.0\.0\.1:\d+$/)
})

const ADDRESS = workload(FLOODER).pods[0].ip
const RULE = {
  method: 'GET',
  pathRegex: '^/products(\\?.*)?$',
  slug: 'listProducts',
  address: ADDRESS,
  max: 5,
  perSecond: 5,
}
const CATALOG = { service: 'catalog', port: 8080 }

function flooder(cluster: DemoCluster) {
  return cluster.summary().callers[FLOODER] ?? { calls: 0, limited: 0, marked: 0 }
}

it('lets a CiliumEnvoyConfig limit the named client, as its bucket says, and nobody else', async () => {
  const stories: string[] = []
  const { client, cluster, cecDirectory } = await startCluster((line) => stories.push(line))
  await vi.waitUntil(() => flooder(cluster).calls > 100, { timeout: 20_000 })
  const reading = read(client, { follow: true, whitelist: [{ http_status_code: ['429'] }] }, 2_500)
  await putCec(cecDirectory, cecFixture({ ...CATALOG, enforce: [RULE] }))
  await vi.waitUntil(() => flooder(cluster).limited > 0, { timeout: 10_000, interval: 5 })
  const before = flooder(cluster)
  await vi.waitUntil(() => flooder(cluster).calls > before.calls + 450, { timeout: 20_000 })
  const after = flooder(cluster)
  const passed = after.calls - after.limited - (before.calls - before.limited)
  // It calls 30 times a second, so its calls are a clock that no slow machine disturbs.
  const seconds = (after.calls - before.calls) / 30
  expect(passed).toBeGreaterThan(RULE.perSecond * seconds - RULE.max)
  expect(passed).toBeLessThan(RULE.perSecond * seconds + 2 * RULE.max)
  const { limitedByClient, othersLimited, callers } = cluster.summary()
  expect(Object.keys(limitedByClient)).toEqual([ADDRESS])
  expect(othersLimited).toBe(0)
  expect(Object.values(callers).every((caller) => caller.marked === 0)).toBe(true)
  expect(stories).toContain('The proxies take up CiliumEnvoyConfig shop/weir-catalog.')

  const flows = flowsOf(await reading)
  expect(flows.length).toBeGreaterThan(100)
  for (const flow of flows) {
    expect(flow.IP.destination).toBe(ADDRESS)
    expect(headerOf(flow, 'X-Weir')).toBe(`enforce; r=9c41d07e; c=${ADDRESS}`)
  }

  await rm(join(cecDirectory, 'weir-catalog.yaml'))
  await vi.waitUntil(() => stories.at(-1) === 'CiliumEnvoyConfig shop/weir-catalog is gone.', {
    timeout: 10_000,
  })
  const { limited } = flooder(cluster)
  await sleep(300)
  expect(flooder(cluster).limited).toBe(limited)
})

it('lets a shadow limit mark, and refuse nothing; a broken file changes nothing', async () => {
  const stories: string[] = []
  const { cluster, cecDirectory } = await startCluster((line) => stories.push(line))
  await vi.waitUntil(() => flooder(cluster).calls > 100, { timeout: 10_000 })
  await putCec(cecDirectory, cecFixture({ ...CATALOG, shadow: [RULE] }))
  await vi.waitUntil(() => flooder(cluster).marked > 50, { timeout: 20_000 })
  const { callers, limitedByClient } = cluster.summary()
  expect(limitedByClient).toEqual({})
  const marked = Object.entries(callers).filter(([, caller]) => caller.marked > 0)
  expect(marked.map(([name]) => name)).toEqual([FLOODER])

  await writeFile(join(cecDirectory, 'weir-catalog.yaml'), 'kind: CiliumEnvoyConfig\nspec: [')
  await vi.waitUntil(() => stories.at(-1)?.startsWith('Cannot read weir-catalog.yaml'), {
    timeout: 10_000,
  })
  const before = flooder(cluster).marked
  await vi.waitUntil(() => flooder(cluster).marked > before + 50, { timeout: 20_000 })
})

it('stops at once, unstarted, and twice', async () => {
  const { cluster, client } = await startCluster()
  const reading = read(client, { follow: true }).catch((error: grpc.ServiceError) => error.code)
  await sleep(100)
  const deadline = AbortSignal.timeout(3_000)
  await cluster.stop(deadline)
  await cluster.stop(deadline)
  expect(deadline.aborted).toBe(false)
  expect(await reading).toBe(grpc.status.UNAVAILABLE)
  const unstarted = createDemoCluster({ service: observerService(), cecDirectory: '/nowhere' })
  await unstarted.stop(deadline)
})
