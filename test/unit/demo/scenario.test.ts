import { describe, expect, it } from 'vitest'
import { CALLS_PER_SECOND } from '../../../src/demo/callers.ts'
import { DemoNode, msOf, type StoredFlow } from '../../../src/demo/demo-node.ts'
import { DemoEnvoy } from '../../../src/demo/envoy.ts'
import { EventQueue } from '../../../src/demo/event-queue.ts'
import { RESPONSE } from '../../../src/demo/flow-messages.ts'
import { createRandom } from '../../../src/demo/random.ts'
import { startScenario } from '../../../src/demo/scenario.ts'
import { FLOODER, nodeName, PASSWORD_GUESSER, service, workload } from '../../../src/demo/shop.ts'
import { type CallMade, Traffic } from '../../../src/demo/traffic.ts'
import { cecFixture } from './cec-fixture.ts'

const START_MS = 1_800_000_000_000

/** A minute of the cluster's life, without waiting for it. `cecs` are there from the start. */
function play(seed: number, cecs: object[] = []) {
  const random = createRandom(seed)
  const queue = new EventQueue()
  const nodes = [0, 1, 2].map(
    (index) =>
      new DemoNode({
        name: nodeName(index),
        address: '',
        ringMax: 65_535,
        random: createRandom(seed + index),
      }),
  )
  const envoy = new DemoEnvoy(createRandom(seed))
  expect(envoy.apply(cecs).map(({ change }) => change)).toEqual(cecs.map(() => 'applied'))
  const calls: CallMade[] = []
  const stories: string[] = []
  const traffic = new Traffic({ random, queue, nodes, envoy, onCall: (call) => calls.push(call) })
  const callsPerSecond = CALLS_PER_SECOND
  const onStory = (line: string): number => stories.push(line)
  startScenario({ random, queue, traffic, callsPerSecond, onStory }, START_MS)
  queue.runUntil(START_MS + 60_000)
  const flows = nodes.flatMap((node) =>
    Array.from({ length: node.seen }, (_, i) => node.at(i)).filter((f) => f !== undefined),
  )
  return { calls, flows, stories }
}

const http = (flows: readonly StoredFlow[]): StoredFlow[] =>
  flows.filter((flow) => flow.l7?.http !== undefined)
const isResponse = (flow: StoredFlow): boolean => flow.l7?.type === RESPONSE
const headerOf = (flow: StoredFlow, key: string): string =>
  flow.l7?.http?.headers.find((h) => h.key === key)?.value ?? ''
const idOf = (flow: StoredFlow): string => headerOf(flow, 'X-Request-Id')
/** The same for both flows of an exchange, as one proxy reports it. */
const exchangeOf = (flow: StoredFlow): string => {
  const ends = [
    `${flow.IP.source}:${flow.l4.TCP?.source_port}`,
    `${flow.IP.destination}:${flow.l4.TCP?.destination_port}`,
  ]
  if (isResponse(flow)) ends.reverse()
  return [flow.node_name, flow.traffic_direction, idOf(flow), ...ends].join(' ')
}

const minute = play(1)

describe('a minute of the shop', () => {
  it('is the same for the same seed, and another for another', () => {
    expect(play(1)).toEqual(minute)
    expect(play(2).calls).not.toEqual(minute.calls)
  })

  it('has 60 to 100 calls a second once both abusers are there', () => {
    const last = minute.calls.filter(({ atMs }) => atMs >= START_MS + 20_000)
    expect(last.length / 40).toBeGreaterThan(60)
    expect(last.length / 40).toBeLessThan(100)
  })

  it('tells each flow once, in the order of each node', () => {
    expect(new Set(minute.flows.map(({ uuid }) => uuid)).size).toBe(minute.flows.length)
    const lastMs = new Map<string, number>()
    for (const flow of minute.flows) {
      expect(msOf(flow.time)).toBeGreaterThanOrEqual(lastMs.get(flow.node_name) ?? 0)
      lastMs.set(flow.node_name, msOf(flow.time))
    }
  })

  it('answers all but a few requests; an answer goes the other way', () => {
    const open = new Set<string>()
    let requests = 0
    for (const flow of http(minute.flows)) {
      if (isResponse(flow)) {
        expect(open.delete(exchangeOf(flow))).toBe(true)
        expect(flow.is_reply).toEqual({ value: true })
      } else {
        requests++
        open.add(exchangeOf(flow))
      }
    }
    expect(open.size).toBeGreaterThan(0)
    expect(open.size / requests).toBeLessThan(0.01)
  })

  it('has all that makes reading hard: no latency, two reporters, drops, denials, names, packets', () => {
    const responses = http(minute.flows).filter(isResponse)
    const blind = responses.filter((flow) => flow.l7?.latency_ns === undefined)
    expect(blind.length).toBeGreaterThan(5)
    expect(blind.length).toBeLessThan(responses.length / 4)
    const byDirection = (direction: number): Set<string> =>
      new Set(responses.filter((f) => f.traffic_direction === direction).map(idOf))
    const byServers = byDirection(1)
    const twice = [...byDirection(2)].filter((id) => byServers.has(id))
    expect(twice.length).toBeGreaterThan(100)
    const denied = http(minute.flows).filter(({ verdict }) => verdict === 2)
    expect(denied.length).toBeGreaterThan(0)
    for (const flow of denied) {
      const answer = responses.find((r) => exchangeOf(r) === exchangeOf(flow))
      expect(answer).toMatchObject({ verdict: 1, l7: { http: { code: 403 } } })
    }
    const types = new Set(minute.flows.map(({ event_type }) => event_type.type))
    expect([...types].toSorted((a, b) => a - b)).toEqual([1, 4, 5, 129])
    expect(minute.flows.some((flow) => flow.l7?.dns?.rcode === 3)).toBe(true)
  })

  it('lets nobody who behaves look like an abuser', () => {
    const innocent = minute.calls.filter(
      ({ caller }) => caller !== PASSWORD_GUESSER && caller !== FLOODER,
    )
    const counts = new Map<string, number>()
    for (const { caller, service: name } of innocent) {
      const key = `${caller} ${name}`
      counts.set(key, (counts.get(key) ?? 0) + 1)
    }
    expect(Math.max(...counts.values())).toBeLessThan(180)
    const objects = new Map<string, Set<string>>()
    for (const flow of http(minute.flows)) {
      const { pathname } = new URL(flow.l7?.http?.url ?? 'x:')
      const key = `${flow.source.pod_name} ${pathname.slice(0, pathname.lastIndexOf('/'))}`
      if (!isResponse(flow)) objects.set(key, (objects.get(key) ?? new Set()).add(pathname))
    }
    expect(Math.max(...[...objects.values()].map((paths) => paths.size))).toBeLessThan(20)
  })

  it('has two who do not, and says so', () => {
    const of = (caller: string, status: number): number[] =>
      minute.calls
        .filter((c) => c.caller === caller && c.status === status)
        .map(({ atMs }) => (atMs - START_MS) / 1_000)
    const failures = of(PASSWORD_GUESSER, 401)
    expect(failures[0]).toBeGreaterThan(8)
    expect(failures[7]).toBeLessThan(8 + 4)
    const flood = [...of(FLOODER, 200), ...of(FLOODER, 503)].filter((s) => s > 14)
    expect(flood.toSorted((a, b) => a - b)[239]).toBeLessThan(14 + 10)
    // It does harm, to itself as to others; before it there was none.
    const overloaded = minute.calls.filter((c) => c.service === 'catalog' && c.status === 503)
    expect(overloaded[0]?.atMs).toBeGreaterThan(START_MS + 14_000)
    expect(of(FLOODER, 503).length).toBeGreaterThan(flood.length / 10)
    expect(minute.stories).toEqual([
      'A job in `labs` starts guessing passwords at POST /login.',
      '`partners/partner-sync` runs wild and starts to flood GET /products: more than the catalog can serve.',
    ])
  })
})

describe('a minute with a CiliumEnvoyConfig on catalog', () => {
  const address = workload(FLOODER).pods[0].ip
  const rule = {
    method: 'GET',
    pathRegex: '^/products(\\?.*)?$',
    slug: 'listProducts',
    address,
    max: 5,
    perSecond: 5,
  }
  const fixture = { service: 'catalog', port: 8080 }
  const catalog = service('catalog')

  it('limits the named client as its bucket says, at the Service itself, and nobody else', () => {
    const { calls, flows } = play(1, [cecFixture({ ...fixture, enforce: [rule] })])
    const limited = calls.filter((call) => call.limited)
    expect(new Set(limited.map((call) => call.address))).toEqual(new Set([address]))
    const flood = calls.filter((c) => c.address === address && c.atMs > START_MS + 14_000)
    const passed = flood.filter((call) => !call.limited).length
    expect(passed).toBeGreaterThanOrEqual(5 * 46 - 2)
    expect(passed).toBeLessThanOrEqual(5 + 5 * 46)
    expect(calls.filter((c) => c.service === 'catalog' && c.status === 503)).toEqual([])
    const answers = http(flows).filter((flow) => flow.l7?.http?.code === 429)
    expect(answers).toHaveLength(limited.length)
    for (const flow of answers) {
      expect(flow).toMatchObject({
        traffic_direction: 2,
        IP: { source: catalog.clusterIp, destination: address },
        source_service: { name: 'catalog', namespace: 'shop' },
        l4: { TCP: { source_port: 8080 } },
      })
      expect(headerOf(flow, 'X-Weir')).toBe(`enforce; r=9c41d07e; c=${address}`)
      expect(headerOf(flow, 'Retry-After')).toBe('5')
    }
  })

  it('marks the requests of the named client that a shadow limit would refuse, and refuses none', () => {
    const { calls, flows } = play(1, [cecFixture({ ...fixture, shadow: [rule] })])
    expect(calls.filter((call) => call.limited)).toEqual([])
    const marked = http(flows).filter((flow) => headerOf(flow, 'X-Weir-Would-Limit') !== '')
    const clients = new Set(
      marked.map((flow) => flow.IP[isResponse(flow) ? 'destination' : 'source']),
    )
    expect(clients).toEqual(new Set([address]))
    expect(marked.filter((flow) => flow.traffic_direction === 2)).toHaveLength(
      calls.filter((call) => call.marked).length,
    )
    expect(marked.every((flow) => !isResponse(flow))).toBe(true)
  })

  it('is reported from both ends: the chosen pod by the client’s proxy, and by the server’s', () => {
    const { flows } = play(1, [cecFixture(fixture)])
    const pods = new Set(catalog.workload.pods.map(({ ip }) => ip))
    const requests = http(flows).filter(
      (f) => !isResponse(f) && f.l7?.http?.url.includes('//catalog.shop') && f.verdict === 1,
    )
    for (const flow of requests) expect(pods).toContain(flow.IP.destination)
    const ids = (direction: number): Set<string> =>
      new Set(requests.filter((f) => f.traffic_direction === direction).map(idOf))
    expect(ids(2).size).toBeGreaterThan(1_000)
    // At the end some of the second reports are still to come.
    const byServers = ids(1)
    expect([...ids(2)].filter((id) => !byServers.has(id)).length).toBeLessThan(3)
  })
})
