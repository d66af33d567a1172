import { afterEach, describe, expect, it } from 'vitest'
import { type Console, type ConsoleOptions, createConsole } from '../../../src/console/console.ts'
import { createRecent } from '../../../src/console/recent.ts'
import type { ApiCall } from '../../../src/model/api-call.ts'
import { ORDERS, sampleCall, sampleExchange, sampleReport } from '../traces/sample-call.ts'
import { sampleFinding, sampleLimit } from './sample-finding.ts'

const recent = createRecent({ callsMax: 100, findingsMax: 10 })
const opened: Console[] = []
afterEach(async () => {
  for (const console of opened.splice(0)) await console.stop(AbortSignal.timeout(1_000))
})

function open(over: Partial<ConsoleOptions> = {}): Console {
  const console = createConsole({
    host: '127.0.0.1',
    port: 0,
    ready: () => ({ ready: true, waitingFor: [], degraded: [] }),
    metrics: async () => ({
      contentType: 'text/plain; version=0.0.4; charset=utf-8',
      body: 'm 1\n',
    }),
    status: () => ({ uptime_seconds: 1 }),
    apis: () => [],
    discoveries: () => [],
    limits: () => [],
    ledger: () => [],
    recent,
    encodeCall: (call) => ({ id: call.exchange.report.uuid }),
    ...over,
  })
  opened.push(console)
  return console
}

function callOf(
  uuid: string,
  status: number,
  over: Parameters<typeof sampleCall>[0] = {},
): ApiCall {
  const report = sampleReport({ uuid, status })
  return sampleCall({ exchange: sampleExchange({ report }), ...over })
}

/** A console that remembers five calls (`c0` the oldest) and two findings. */
function openFull(over: Partial<ConsoleOptions> = {}): Console {
  const full = createRecent({ callsMax: 100, findingsMax: 10 })
  const mallory = { kind: 'ip', value: '192.0.2.7', addresses: ['192.0.2.7', '192.0.2.8'] } as const
  full.accept(callOf('c0', 200))
  full.accept(callOf('c1', 404, { client: mallory }))
  full.accept(callOf('c2', 401, { client: mallory }))
  full.accept(callOf('c3', 0, { api: null }))
  full.accept(callOf('c4', 200, { api: { ...ORDERS, name: 'Cart', id: 'shop/cart' } }))
  full.finding(sampleFinding())
  full.finding(sampleFinding({ id: 'f2', client: null, api: null }))
  return open({ recent: full, ...over })
}

interface List {
  readonly items: readonly { readonly id: string }[]
  readonly next: string | null
}

async function list(
  console: Console,
  url: string,
): Promise<{ ids: string[]; next: string | null }> {
  const response = await console.inject(url)
  const { items, next } = response.json<List>()
  return { ids: items.map(({ id }) => id), next }
}

describe('probes', () => {
  it('is alive', async () => {
    const response = await open().inject('/livez')
    expect(response.statusCode).toBe(200)
  })

  it.each([
    { ready: true, waitingFor: [], degraded: ['traces'], status: 200 },
    { ready: false, waitingFor: ['relay'], degraded: [], status: 503 },
  ])('says $status when ready is $ready', async ({ status, ...state }) => {
    const response = await open({ ready: () => state }).inject('/readyz')
    expect(response.statusCode).toBe(status)
    expect(response.json()).toEqual(state)
  })

  it('hands out the exposition as it is', async () => {
    const exposition = { contentType: 'text/plain; version=0.0.4; charset=utf-8', body: 'a 1\n' }
    const response = await open({ metrics: async () => exposition }).inject({ url: '/metrics' })
    expect(response.headers['content-type']).toBe(exposition.contentType)
    expect(response.body).toBe(exposition.body)
  })
})

describe('lists', () => {
  it.each([
    { query: '', ids: ['c4', 'c3', 'c2', 'c1', 'c0'] },
    { query: '?api=Orders', ids: ['c2', 'c1', 'c0'] },
    { query: '?api=shop/cart', ids: ['c4'] },
    { query: '?client=ip:192.0.2.7', ids: ['c2', 'c1'] },
    { query: '?client=192.0.2.8', ids: ['c2', 'c1'] },
    { query: '?status=404', ids: ['c1'] },
    { query: '?status=4xx', ids: ['c2', 'c1'] },
    { query: '?status=none', ids: ['c3'] },
    { query: '?status=4xx&client=shop/cart', ids: [] },
  ])('lists calls$query', async ({ query, ids }) => {
    expect(await list(openFull(), `/api/v1/calls${query}`)).toEqual({ ids, next: null })
  })

  it.each([
    { query: '', ids: ['f2', 'f1'] },
    { query: '?client=192.0.2.7', ids: ['f1'] },
    { query: '?api=Orders', ids: ['f1'] },
  ])('lists findings$query', async ({ query, ids }) => {
    expect(await list(openFull(), `/api/v1/findings${query}`)).toEqual({ ids, next: null })
  })

  it('shows findings and limits as they are', async () => {
    const console = openFull({ limits: () => [sampleLimit()] })
    const findings = await console.inject('/api/v1/findings?api=Orders')
    expect(findings.json()).toEqual({ items: [sampleFinding()], next: null })
    const limits = await console.inject('/api/v1/limits')
    expect(limits.json()).toEqual({ items: [sampleLimit()], next: null })
  })

  it('pages through calls, each once, in order', async () => {
    const console = openFull()
    const first = await list(console, '/api/v1/calls?limit=2')
    expect(first.ids).toEqual(['c4', 'c3'])
    const second = await list(console, `/api/v1/calls?limit=2&cursor=${first.next}`)
    expect(second.ids).toEqual(['c2', 'c1'])
    const third = await list(console, `/api/v1/calls?limit=2&cursor=${second.next}`)
    expect(third).toEqual({ ids: ['c0'], next: null })
  })

  it('pages through limits, newest first', async () => {
    const limits = ['2026-01-01T00:00:00Z', '2026-01-03T00:00:00Z', '2026-01-02T00:00:00Z'].map(
      (since, i) => sampleLimit({ id: `l${i}`, since }),
    )
    const console = open({ limits: () => limits })
    const first = await list(console, '/api/v1/limits?limit=2')
    expect(first.ids).toEqual(['l1', 'l2'])
    const second = await list(console, `/api/v1/limits?limit=2&cursor=${first.next}`)
    expect(second).toEqual({ ids: ['l0'], next: null })
    const beyond = await list(console, `/api/v1/limits?cursor=${'9'.repeat(15)}`)
    expect(beyond.ids).toHaveLength(3)
  })

  it('shows APIs in their order, and the ledger with the names of the public face', async () => {
    const account = { stage: 'exchange', in: 3, out: 1, inFlight: 1, unaccounted: 0 }
    const console = open({
      apis: () => [{ id: 'a' }, { id: 'b' }],
      ledger: () => [{ ...account, ended: { joined: 1 } }],
    })
    expect((await list(console, '/api/v1/apis')).ids).toEqual(['a', 'b'])
    const ledger = await console.inject('/api/v1/ledger')
    expect(ledger.json<List>().items).toEqual([
      { stage: 'exchange', in: 3, out: 1, ended: { joined: 1 }, in_flight: 1, unaccounted: 0 },
    ])
  })

  it('shows the status', async () => {
    expect((await open().inject('/api/v1/status')).json()).toEqual({ uptime_seconds: 1 })
  })
})

describe('problems', () => {
  const boom = (): never => {
    throw new Error('a secret')
  }
  it.each([
    { why: 'unknown route', method: 'GET', url: '/api/v2/calls', status: 404 },
    { why: 'a write', method: 'POST', url: '/api/v1/calls?limit=1', status: 405 },
    { why: 'broken escape', method: 'GET', url: '/%zz', status: 400 },
    { why: 'limit too large', method: 'GET', url: '/api/v1/calls?limit=501', status: 400 },
    { why: 'limit no number', method: 'GET', url: '/api/v1/calls?limit=x', status: 400 },
    { why: 'foreign cursor', method: 'GET', url: '/api/v1/calls?cursor=-1', status: 400 },
    { why: 'status no status', method: 'GET', url: '/api/v1/calls?status=4x', status: 400 },
    { why: 'given twice', method: 'GET', url: '/api/v1/calls?api=a&api=b', status: 400 },
    { why: 'unknown filter', method: 'GET', url: '/api/v1/findings?status=200', status: 400 },
    { why: 'our own fault', method: 'GET', url: '/api/v1/status', status: 500 },
    { why: 'our own fault, later', method: 'GET', url: '/metrics', status: 500 },
  ] as const)('answers $status: $why', async ({ method, url, status }) => {
    const console = openFull({ status: boom, metrics: async () => boom() })
    const response = await console.inject({ method, url })
    expect(response.statusCode).toBe(status)
    expect(response.headers['content-type']).toMatch(/^application\/problem\+json/)
    expect(response.json()).toMatchObject({
      type: 'about:blank',
      status,
      title: expect.any(String),
    })
    expect(response.body).not.toMatch(/secret|node_modules/)
  })

  it('names the parameter that is wrong', async () => {
    const response = await open().inject('/api/v1/calls?limit=0&colour=red')
    const { detail } = response.json<{ detail: string }>()
    expect(detail).toMatch(/limit: /)
    expect(detail).toMatch(/colour/)
  })

  it('tells the log of its own faults, and only of those', async () => {
    const lines: string[] = []
    const log = { level: 'info', fatal: () => {}, silent: () => {} }
    const write = (_details: unknown, text?: string): void => void lines.push(text ?? '')
    const quiet = (): void => {}
    const logger = { ...log, error: write, warn: quiet, info: quiet, debug: quiet, trace: quiet }
    const child = { ...logger, child: () => child }
    const console = open({ logger: child, status: boom })
    await console.inject('/api/v1/nothing')
    await console.inject('/api/v1/status')
    expect(lines).toEqual(['Cannot answer'])
  })
})
