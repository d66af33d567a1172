import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { CatalogueApi } from '../../../src/identity/catalogue.ts'
import { createDiscovery, DISCOVERY_OUTCOMES } from '../../../src/identity/discovery.ts'
import type { DiscoveryOptions } from '../../../src/identity/discovery-options.ts'
import { LearnedOperations } from '../../../src/identity/learned-operations.ts'
import type { RemovedApi } from '../../../src/identity/removed-apis.ts'
import type { Api, Operation } from '../../../src/model/api.ts'
import { ApiCall, type ApiCallFields } from '../../../src/model/api-call.ts'
import type { Discovery } from '../../../src/model/discovery.ts'
import type { ExchangeFields, Report } from '../../../src/model/exchange.ts'
import { PLAIN_CALL } from '../../fixtures/plain-call.ts'
import { endpoint, exchange } from './records.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
/** 2026-03-01T12:00:00Z */
const T0 = 1_772_366_400_000

const ORDERS: Api = {
  name: 'Orders',
  version: 'v1',
  context: '/orders',
  type: 'REST',
  organization: 'acme',
  environment: 'production',
  namespace: 'shop',
  id: 'shop/orders',
}
const LIST: Operation = { method: 'GET', template: '/' }
const REFUND: Operation = { method: 'POST', template: '/{id}/refund' }
const CATALOGUE: readonly CatalogueApi[] = [{ api: ORDERS, operations: [LIST, REFUND] }]

const pod = endpoint({ namespace: 'shop', pod: 'orders-1', workload: 'orders' })
const web = endpoint({ namespace: 'shop', pod: 'web-1', workload: 'web' })
const node = endpoint({ identity: 1, reserved: 'host' })
const outside = endpoint({ identity: 2, reserved: 'world' })
const gateway = endpoint({ identity: 8, reserved: 'ingress' })

interface Shape {
  readonly path?: string
  readonly status?: number
  readonly atMs?: number
  readonly call?: Partial<ApiCallFields>
  readonly exchange?: Partial<Omit<ExchangeFields, 'report'>>
  readonly report?: Partial<Report>
}

const BY_SERVICE: Partial<ApiCallFields> = { api: ORDERS, confidence: 'low', how: 'service' }
const DECLARED: Partial<ApiCallFields> = {
  api: ORDERS,
  operation: LIST,
  confidence: 'high',
  how: 'service+path',
}

/** Discovery with its learned templates; calls are of no API, to shop/orders:8080, answered 200. */
class World {
  readonly told: Discovery[] = []
  readonly outcomes: Record<string, number> = {}
  readonly discovery
  catalogue = CATALOGUE
  nowMs = T0

  constructor(options: Partial<DiscoveryOptions> = {}) {
    const facts = { apis: () => this.catalogue, servicesOf: () => ['shop/orders'] }
    const all = { learned: new LearnedOperations(), ...facts, ...options }
    this.discovery = createDiscovery(all, (discovery) => this.told.push(discovery))
    this.discovery.advance(T0, T0)
  }

  call({ path = '/carts/1', status = 200, atMs = this.nowMs, ...shape }: Shape = {}): string {
    const seen = exchange(
      { path, ...shape.exchange },
      {
        startMs: atMs,
        durationMs: 0,
        status,
        source: web,
        destination: pod,
        destinationPort: 8_080,
        ...shape.report,
      },
    )
    const outcome = this.discovery.accept(
      new ApiCall({ ...PLAIN_CALL, how: 'no-api', ...shape.call, exchange: seen }),
    )
    const name = DISCOVERY_OUTCOMES[outcome] ?? 'unknown'
    this.outcomes[name] = (this.outcomes[name] ?? 0) + 1
    return name
  }

  calls(count: number, shape: Shape = {}): void {
    for (let i = 0; i < count; i++) this.call(shape)
  }

  pass(ms: number): void {
    this.nowMs += ms
    this.discovery.advance(this.nowMs, this.nowMs)
  }

  /** Twenty calls in two windows: enough for anything. */
  enough(shape: Shape = {}): void {
    this.calls(10, shape)
    this.pass(MINUTE)
    this.calls(10, shape)
  }

  get kinds(): string[] {
    return this.told.map(({ kind, state }) => `${kind} ${state}`)
  }
}

describe('createDiscovery(): shadow', () => {
  it('tells what a workload answers and no API declares', () => {
    const world = new World()
    world.enough()
    expect(world.told).toEqual([
      {
        id: expect.stringMatching(/^[0-9a-f]{32}$/),
        kind: 'shadow',
        state: 'open',
        cluster: 'default',
        api: null,
        operation: { method: 'GET', template: '/carts/{int}' },
        workload: 'shop/orders',
        port: 8_080,
        first: '2026-03-01T12:00:00.000Z',
        last: '2026-03-01T12:01:00.000Z',
        counts: {
          requests: 20,
          windows: 2,
          clients: 1,
          succeeded: 20,
          not_found: 0,
          refused: 0,
          failed: 0,
          unanswered: 0,
        },
        evidence:
          'shop/orders:8080 answers GET /carts/{int}, which no API declares: ' +
          '20 requests in 2 windows, 20 of them answered below 400, from ip:192.0.2.1.',
      },
    ])
    expect(world.discovery.list()).toEqual(world.told)
    expect(world.discovery.open().shadow).toBe(1)
  })

  it.each<{ why: string; run: (world: World) => void }>([
    { why: 'in one window', run: (world) => world.calls(100) },
    {
      why: 'fewer than 20 times',
      run: (world) => {
        world.calls(18)
        world.pass(MINUTE)
        world.call()
      },
    },
    {
      why: 'where 404s would have to be counted',
      run: (world) => {
        world.enough({ status: 404 })
        world.calls(15)
        world.pass(MINUTE)
        world.calls(4)
      },
    },
    { why: 'answered 500 only', run: (world) => world.enough({ status: 500 }) },
    { why: 'unanswered', run: (world) => world.enough({ status: 0 }) },
    {
      why: 'outside of the cluster',
      run: (world) => world.enough({ report: { destination: outside } }),
    },
    { why: 'as a correction', run: (world) => world.enough({ exchange: { revises: true } }) },
    { why: 'and limited by us', run: (world) => world.enough({ call: { limitedBy: 'weir' } }) },
    {
      why: 'as a probe of the kubelet',
      run: (world) =>
        world.enough({ exchange: { userAgent: 'kube-probe/1.31' }, report: { source: node } }),
    },
    { why: 'as a scrape', run: (world) => world.enough({ path: '/metrics' }) },
    {
      why: 'while several APIs are possible',
      run: (world) => world.enough({ call: { confidence: 'ambiguous', candidates: [ORDERS] } }),
    },
  ])('tells nothing of what was called $why', ({ run }) => {
    const world = new World()
    run(world)
    expect(world.told).toEqual([])
  })

  it('tells it where labels name an API that nobody declared', () => {
    const world = new World()
    const api = { ...ORDERS, name: 'By label', id: 'shop/by-label' }
    world.enough({ call: { ...BY_SERVICE, api, how: 'service+labels' } })
    expect(world.told).toMatchObject([{ kind: 'shadow', api }])
  })

  it('takes a probe by name alone for a caller like any other', () => {
    const world = new World()
    world.enough({ exchange: { userAgent: 'kube-probe/1.31' } })
    expect(world.kinds).toEqual(['shadow open'])
  })

  it('tells each once, again after a day while it goes on, and when it is over', () => {
    const world = new World()
    world.enough()
    world.calls(50)
    expect(world.kinds).toEqual(['shadow open'])
    world.pass(23 * HOUR)
    world.call()
    expect(world.kinds).toEqual(['shadow open'])
    world.pass(HOUR)
    world.call()
    expect(world.kinds).toEqual(['shadow open', 'shadow open'])
    expect(world.told[1]?.counts['requests']).toBe(72)
    world.pass(25 * HOUR)
    expect(world.kinds.at(-1)).toBe('shadow closed')
    expect(world.told[2]?.evidence).toContain('not seen since 2026-03-02T12:01:00.000Z')
    expect(new Set(world.told.map(({ id }) => id)).size).toBe(1)
    expect(world.discovery.list()).toHaveLength(1)
    expect(world.discovery.open().shadow).toBe(0)
    world.pass(10 * DAY)
    expect(world.told).toHaveLength(3)
  })

  it('has the same id in another run, and another for another port, method, path or cluster', () => {
    const idOf = (shape: Shape = {}, afterMs = 0): string => {
      const world = new World()
      world.pass(afterMs)
      world.enough(shape)
      return world.told[0]?.id ?? ''
    }
    const ids = [
      idOf(),
      idOf({ path: '/other' }),
      idOf({ report: { destinationPort: 9_090 } }),
      idOf({ report: { cluster: 'east' } }),
      idOf({ exchange: { method: 'POST' } }),
    ]
    expect(new Set(ids).size).toBe(5)
    expect(ids).not.toContain('')
    expect(idOf({}, 5 * DAY)).toBe(ids[0])
  })
})

describe('createDiscovery(): a scanner', () => {
  it('creates nothing with 100,000 paths, and is counted as one', () => {
    const world = new World({ pendingMax: 10 })
    for (let i = 0; i < 100_000; i++) {
      if (i % 10_000 === 0) world.pass(MINUTE)
      const client = { kind: 'ip', value: '203.0.113.9', addresses: [] } as const
      const path = `/${i.toString(36)}/admin/${i}`
      world.call({ path, status: [404, 405, 404, 401][i % 4] ?? 0, call: { client } })
    }
    expect(world.told).toEqual([])
    expect(world.outcomes).toEqual({ 'filtered:scan': 75_000, 'filtered:unconfirmed': 25_000 })
    expect(world.discovery.scanners(5)).toEqual([
      { client: 'ip:203.0.113.9', requests: 75_000, lastMs: world.nowMs },
    ])
    expect(world.discovery.evictions()['discovery_evidence']).toBe(0)
  })

  it('does not hide what real callers use', () => {
    const world = new World()
    for (let minute = 0; minute < 3; minute++) {
      for (let i = 0; i < 5_000; i++) world.call({ path: `/x${minute}-${i}`, status: 404 })
      world.calls(10, { path: '/carts/7' })
      world.pass(MINUTE)
    }
    expect(world.told.map(({ operation }) => operation?.template)).toEqual(['/carts/{int}'])
  })

  it('creates a bounded number where everything is answered', () => {
    const world = new World()
    for (let i = 0; i < 50_000; i++) {
      if (i % 5_000 === 0) world.pass(MINUTE)
      world.call({ path: `/${(i * 7_919) % 50_021}x/${i % 97}y` })
    }
    expect(world.told.length).toBeGreaterThan(0)
    expect(world.told.length).toBeLessThanOrEqual(100)
  })

  it('counts the busiest, and forgets who came least recently', () => {
    const world = new World({ scannersMax: 2 })
    for (const value of ['a', 'b', 'a', 'c']) {
      const client = { kind: 'ip', value, addresses: [] } as const
      world.call({ path: '/nothing', status: 404, call: { client } })
    }
    expect(world.discovery.scanners(9).map(({ client }) => client)).toEqual(['ip:a', 'ip:c'])
    expect(world.discovery.evictions()['scanners']).toBe(1)
  })
})

describe('createDiscovery(): undocumented, zombie, bypass', () => {
  it('tells an operation that its API does not declare', () => {
    const world = new World()
    world.enough({ path: '/orders/debug', call: BY_SERVICE })
    expect(world.told).toMatchObject([
      {
        kind: 'undocumented',
        api: ORDERS,
        operation: { method: 'GET', template: '/debug' },
        workload: 'shop/orders',
        evidence: expect.stringContaining('which is no operation of Orders v1'),
      },
    ])
  })

  it('knows it by a learned operation, too, as the stage names it then', () => {
    const world = new World()
    const operation = { method: 'GET', template: '/debug' }
    const call = { ...BY_SERVICE, operation, how: 'service+learned' }
    world.enough({ path: '/orders/debug', call })
    expect(world.kinds).toEqual(['undocumented open'])
  })

  it('tells nothing where two declared operations look the same', () => {
    const world = new World()
    world.enough({ call: { ...BY_SERVICE, how: 'service+path' } })
    expect(world.told).toEqual([])
  })

  it('tells a removed API that is still called, but not the calls that were on their way', () => {
    const removed: RemovedApi = { api: ORDERS, operation: LIST, removedMs: T0 }
    const world = new World({ removedApi: () => removed })
    world.calls(30)
    world.pass(30_000)
    world.calls(30)
    expect(world.told).toEqual([])
    world.pass(MINUTE)
    world.enough()
    expect(world.told).toMatchObject([
      {
        kind: 'zombie',
        api: ORDERS,
        operation: null,
        counts: { requests: 20 },
        evidence: expect.stringContaining('Orders v1, removed at 2026-03-01T12:00:00.000Z'),
      },
    ])
  })

  it.each([
    { who: 'a workload', source: web },
    { who: 'somebody outside', source: outside },
  ])('tells that $who goes past the gateway', ({ source }) => {
    const world = new World()
    world.enough({ call: DECLARED, report: { source } })
    expect(world.told).toMatchObject([
      {
        kind: 'bypass',
        api: ORDERS,
        operation: null,
        workload: 'shop/orders',
        evidence: expect.stringContaining('behind Orders v1 is called past the gateway'),
      },
    ])
  })

  it.each<{ why: string; options?: Partial<DiscoveryOptions>; shape: Shape }>([
    { why: 'through the gateway', shape: { call: { ...DECLARED, via: 'gateway' } } },
    { why: 'to the gateway', shape: { call: { ...DECLARED, via: 'client' } } },
    { why: 'from nobody knows where', shape: { call: DECLARED, report: { source: endpoint({}) } } },
    {
      why: 'from a node, as a gateway there would',
      shape: { call: DECLARED, report: { source: node } },
    },
    { why: 'from an ingress', shape: { call: DECLARED, report: { source: gateway } } },
    { why: 'in vain', shape: { call: DECLARED, status: 404 } },
    { why: 'by a likeness of names', shape: { call: { ...DECLARED, confidence: 'low' } } },
    {
      why: 'where no gateway stands',
      options: { isManaged: () => false },
      shape: { call: DECLARED },
    },
  ])('takes it for no bypass $why', ({ options, shape }) => {
    const world = new World(options)
    world.enough(shape)
    expect(world.told).toEqual([])
  })
})

/** Lets days pass, with calls each minute as `each` says. */
function days(world: World, count: number, each: (world: World) => void): void {
  for (let minute = 0; minute < count * 24 * 60; minute++) {
    each(world)
    world.pass(MINUTE)
  }
}

describe('createDiscovery(): orphans', () => {
  const via = 'gateway'
  const listed = (world: World): string => world.call({ call: { ...DECLARED, via } })
  const orphanMs = DAY

  it('tells a declared operation that nobody called for so long, once', () => {
    const world = new World({ orphanMs })
    days(world, 0.999, listed)
    expect(world.told).toEqual([])
    days(world, 2, listed)
    expect(world.told).toMatchObject([
      {
        kind: 'orphan',
        state: 'open',
        api: ORDERS,
        operation: REFUND,
        workload: 'shop/orders',
        port: null,
        first: '2026-03-01T12:00:00.000Z',
        last: '2026-03-02T12:00:00.000Z',
        counts: { requests: 0, api_requests: 1_440 },
        evidence:
          'POST /{id}/refund of Orders v1 had no request in 1.0 watched days; ' +
          'its API had 1440 since Weir watches.',
      },
    ])
    expect(world.discovery.open().orphan).toBe(1)
  })

  it('takes it back when it is called', () => {
    const world = new World({ orphanMs })
    days(world, 1.1, listed)
    world.call({ status: 404, call: { ...DECLARED, operation: REFUND, via } })
    expect(world.kinds).toEqual(['orphan open'])
    world.call({ call: { ...DECLARED, operation: REFUND, via } })
    expect(world.kinds).toEqual(['orphan open', 'orphan closed'])
    expect(world.told[1]?.id).toBe(world.told[0]?.id)
    expect(world.discovery.open().orphan).toBe(0)
  })

  it('knows the operation again in another catalogue, and takes back what is gone from it', () => {
    const world = new World({ orphanMs })
    days(world, 0.6, listed)
    const api = { ...ORDERS }
    const list = { ...LIST }
    world.catalogue = [{ api, operations: [list, { ...REFUND }] }]
    days(world, 0.5, () => world.call({ call: { ...DECLARED, api, operation: list, via } }))
    expect(world.kinds).toEqual(['orphan open'])
    world.catalogue = [{ api, operations: [list] }]
    world.pass(MINUTE)
    expect(world.kinds).toEqual(['orphan open', 'orphan closed'])
    expect(world.told[1]?.evidence).toContain('no longer declared')
  })

  it.each<{ why: string; options?: Partial<DiscoveryOptions>; each: (world: World) => void }>([
    { why: 'an API of which nothing is seen', each: () => {} },
    { why: 'while too little is seen', options: { coverage: () => 0.5 }, each: listed },
    {
      why: 'where any operation may have been called',
      each: (world) => {
        listed(world)
        world.call({ call: { ...DECLARED, operation: null, via } })
      },
    },
    {
      why: 'where it may have been another API of that backend',
      each: (world) => {
        listed(world)
        const call = { confidence: 'ambiguous', candidates: [ORDERS], more: 0 } as const
        world.call({ call })
      },
    },
    {
      why: 'where more APIs are possible than are named',
      each: (world) => {
        listed(world)
        const other = { ...ORDERS, name: 'Other' }
        world.call({ call: { confidence: 'ambiguous', candidates: [other], more: 3 } })
      },
    },
  ])('judges nothing: $why', ({ options, each }) => {
    const world = new World({ orphanMs, ...options })
    days(world, 2, each)
    expect(world.told).toEqual([])
  })

  it('does not count a silence of everything as watched', () => {
    const world = new World({ orphanMs })
    listed(world)
    world.pass(5 * DAY)
    listed(world)
    world.pass(MINUTE)
    expect(world.told).toEqual([])
  })

  it('watches no more operations than it may, and counts the others', () => {
    const world = new World({ orphanMs, operationsMax: 1 })
    days(world, 1.1, (w) => w.call({ call: { ...DECLARED, operation: null, via, how: 'x' } }))
    expect(world.discovery.evictions()['watched_operations']).toBe(1)
  })
})

describe('createDiscovery(): bounds', () => {
  it('forgets the evidence that was seen least recently', () => {
    const world = new World({ pendingMax: 2 })
    for (const path of ['/a', '/b', '/c']) world.call({ path })
    world.pass(MINUTE)
    world.calls(30, { path: '/a' })
    world.calls(30, { path: '/c' })
    expect(world.discovery.evictions()['discovery_evidence']).toBeGreaterThan(0)
    expect(world.told.map(({ operation }) => operation?.template)).toEqual(['/c'])
  })

  it('tells no more than may be open, and counts those once', () => {
    const world = new World({ openMax: 1 })
    world.enough({ path: '/a' })
    world.enough({ path: '/b' })
    world.calls(5, { path: '/b' })
    expect(world.kinds).toEqual(['shadow open'])
    expect(world.discovery.evictions()['discoveries']).toBe(1)
  })

  it('lists the newest, at most so many', () => {
    const world = new World({ listMax: 2 })
    for (const path of ['/a', '/b', '/c']) world.enough({ path })
    const listed = world.discovery.list().map(({ operation }) => operation?.template)
    expect(listed).toEqual(['/c', '/b'])
  })

  it('is not kept alive by a node whose clock is years ahead', () => {
    const world = new World()
    world.enough()
    world.call({ atMs: T0 + 1_000 * DAY })
    world.pass(2 * DAY)
    expect(world.kinds).toEqual(['shadow open', 'shadow closed'])
  })

  it('tells nothing more at the end of the input', () => {
    const world = new World()
    world.enough()
    world.discovery.advance(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)
    expect(world.kinds).toEqual(['shadow open'])
  })

  it('takes any text for a path, a name and a time, and says the same of the same calls', () => {
    const shape = fc.record({
      path: fc.oneof(fc.string({ unit: 'binary' }), fc.webPath()).map((text) => `/${text}`),
      status: fc.constantFrom(0, 200, 404, 500, -1),
      atMs: fc.oneof(fc.double(), fc.integer({ min: T0, max: T0 + HOUR })),
      call: fc.constantFrom({}, BY_SERVICE, DECLARED),
      exchange: fc.record({ method: fc.string() }),
    })
    const property = fc.property(fc.array(shape, { maxLength: 60 }), (shapes) => {
      const [first, second] = [1, 2].map(() => {
        const world = new World({ requestsMin: 1, windowsMin: 1 })
        for (const one of shapes) {
          world.call(one)
          world.pass(20_000)
        }
        return world
      })
      expect(second?.told).toEqual(first?.told)
      expect(first?.outcomes['unknown']).toBeUndefined()
      for (const { evidence } of first?.told ?? []) expect(evidence).not.toMatch(/[\p{Cc}]/u)
    })
    fc.assert(property, { numRuns: 60 })
  })
})
