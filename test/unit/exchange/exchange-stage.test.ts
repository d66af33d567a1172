import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  createExchangeStage,
  EXCHANGE_OUTCOMES,
  type ExchangeOptions,
} from '../../../src/exchange/exchange-stage.ts'
import type { FlowsMessage } from '../../../src/hubble/flow-message.ts'
import type { Exchange } from '../../../src/model/exchange.ts'
import { reportersOf } from '../../../src/model/exchange.ts'
import {
  DROPPED,
  EGRESS,
  type HttpFlow,
  httpRequest,
  httpResponse,
  INGRESS,
  viewer,
} from '../../fixtures/hubble-flows.ts'

const T = 1_760_000_000_000

function run(options: Partial<ExchangeOptions> = {}) {
  const stage = createExchangeStage({
    unansweredAfterMs: 30_000,
    mergeWindowMs: 1_000,
    pendingMax: 1_000,
    identityHeaders: ['x-api-key'],
    ...options,
  })
  const told: Exchange[] = []
  const show = viewer()
  const emit = (exchange: Exchange) => told.push(exchange)
  return {
    stage,
    told,
    feed: (...messages: FlowsMessage[]) =>
      messages.map((message) => {
        const flow = show(message)
        stage.advance(flow.timeSeconds * 1_000, flow.timeSeconds * 1_000, emit)
        return EXCHANGE_OUTCOMES[stage.accept(flow, emit)]
      }),
    pass: (ms: number) => stage.advance(T + ms, T + ms, emit),
    drain: () => stage.advance(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, emit),
  }
}

const id = (value: string) => ({ headers: { 'X-Request-Id': value } })

describe('pairing', () => {
  it('joins request and response, with the latency that Hubble measured', () => {
    const { feed, told } = run()
    const outcomes = feed(
      httpRequest({ atMs: T, uuid: 'u1' }),
      httpResponse({ atMs: T + 50, code: 200, latencyMs: 42 }),
    )
    expect(outcomes).toEqual(['kept', 'joined'])
    expect(told).toMatchObject([
      {
        outcome: 'answered',
        method: 'GET',
        path: '/orders/7',
        host: 'orders.shop:8080',
        attempts: 1,
        report: { status: 200, durationMs: 42, estimated: false, startMs: T + 8, seenMs: T },
        twin: null,
      },
    ])
  })

  it('estimates a latency that Hubble does not know from the flows', () => {
    const { feed, told } = run()
    feed(httpRequest({ atMs: T }), httpResponse({ atMs: T + 12, code: 200 }))
    expect(told).toMatchObject([{ report: { durationMs: 12, estimated: true, startMs: T } }])
  })

  it('pairs answers that overtake each other on one connection by x-request-id', () => {
    const { feed, told, drain } = run()
    feed(
      httpRequest({ atMs: T, ...id('a') }),
      httpRequest({ atMs: T + 1, ...id('b') }),
      httpResponse({ atMs: T + 2, code: 201, ...id('b') }),
      httpResponse({ atMs: T + 3, code: 404, ...id('a') }),
    )
    drain()
    const byId = Object.fromEntries(told.map((e) => [e.requestId, e.status]))
    expect(byId).toEqual({ a: 404, b: 201 })
  })

  it('falls back to first in, first out where every id is redacted', () => {
    const { feed, told } = run()
    const redacted = id('HUBBLE_REDACTED')
    feed(
      httpRequest({ atMs: T, url: 'http://h/one', ...redacted }),
      httpRequest({ atMs: T + 1, url: 'http://h/two', ...redacted }),
      httpResponse({ atMs: T + 2, code: 200, url: 'http://h/one', ...redacted }),
      httpResponse({ atMs: T + 3, code: 500, url: 'http://h/two', ...redacted }),
    )
    expect(told.map((e) => [e.path, e.status, e.requestId])).toEqual([
      ['/one', 200, ''],
      ['/two', 500, ''],
    ])
  })

  it('does not pair across connections, nodes or reporters', () => {
    const { feed, told } = run()
    feed(
      httpRequest({ atMs: T, clientPort: 1 }),
      httpRequest({ atMs: T, clientPort: 2, node: 'node-2' }),
      httpResponse({ atMs: T + 1, code: 200, clientPort: 2 }),
      httpResponse({ atMs: T + 1, code: 200, clientPort: 1, direction: EGRESS }),
    )
    expect(told).toEqual([])
  })

  it('joins an answer that came before its request', () => {
    const { feed, told, drain } = run()
    const outcomes = feed(
      httpResponse({ atMs: T + 5, code: 200, ...id('a') }),
      httpRequest({ atMs: T, uuid: 'u1', ...id('a') }),
    )
    drain()
    expect(outcomes).toEqual(['kept', 'joined'])
    expect(told).toMatchObject([{ report: { uuid: 'u1', durationMs: 5, status: 200 } }])
  })

  it('tells an answer whose request was lost, with no duration of its own', () => {
    const { feed, told, drain } = run()
    feed(httpResponse({ atMs: T, code: 200 }))
    drain()
    expect(told).toMatchObject([{ outcome: 'answered', report: { durationMs: -1, status: 200 } }])
  })
})

it('a bare response that came before its request hid the call from the other proxy', () => {
  const { feed, told, drain } = run()
  const bare = { ...id('r-1'), direction: EGRESS, method: '', url: '' }
  const outcomes = feed(
    httpResponse({ ...bare, atMs: T + 1, code: 200, uuid: 'b' }),
    httpRequest({ ...id('r-1'), direction: EGRESS, atMs: T, uuid: 'a' }),
    httpRequest({ ...id('r-1'), direction: INGRESS, atMs: T, uuid: 'c' }),
    httpResponse({ ...id('r-1'), direction: INGRESS, atMs: T + 1, code: 200, uuid: 'd' }),
  )
  drain()
  expect(outcomes).toEqual(['kept', 'joined', 'merged:second_reporter', 'merged:second_reporter'])
  expect(told.map(reportersOf)).toEqual([['ingress', 'egress']])
})

it('does not take an answer without a request for that of a later request on its connection', () => {
  const { feed, told, drain } = run()
  feed(httpResponse({ atMs: T, code: 500 }), httpRequest({ atMs: T + 200 }))
  drain()
  expect(told.map(({ outcome, status }) => [outcome, status])).toEqual([
    ['answered', 500],
    ['unanswered', 0],
  ])
})

it('keeps the end of X-Forwarded-For, which the proxies wrote, however it is padded', () => {
  const { feed, told, drain } = run()
  const padded = `${'1.1.1.1, '.repeat(1_000)}203.0.113.7`
  feed(httpRequest({ atMs: T, headers: { 'X-Forwarded-For': padded } }))
  drain()
  expect(told[0]?.forwardedFor.endsWith(', 203.0.113.7')).toBe(true)
  expect(told[0]?.forwardedFor.length).toBeLessThan(1_024)
})

it('takes what the headers of a request say of its API, once', () => {
  const claim = { id: 'a-1', name: '', version: '', token: null }
  const asked: string[] = []
  const { feed, told, drain } = run({
    claimOf: (header) => {
      asked.push(header('x-api-id'))
      return header('x-api-id') === '' ? null : claim
    },
  })
  feed(
    httpRequest({ atMs: T, headers: { 'X-API-Id': 'a-1' } }),
    httpResponse({ atMs: T + 1, code: 200, headers: { 'X-API-Id': 'spoofed' } }),
  )
  drain()
  expect(told.map(({ apiClaim }) => apiClaim)).toEqual([claim])
  expect(asked).toEqual(['a-1'])
})

describe('unanswered and late', () => {
  it('tells a request without an answer after its time, and not before', () => {
    const { feed, told, pass } = run()
    feed(httpRequest({ atMs: T, ...id('a') }))
    pass(29_999)
    expect(told).toEqual([])
    pass(30_000)
    expect(told).toMatchObject([{ outcome: 'unanswered', report: { status: 0, durationMs: -1 } }])
  })

  it("does not take a late call's answer for another path's, where the client chose one id for all", () => {
    const { feed, told, pass, drain } = run()
    feed(httpRequest({ atMs: T, url: 'http://h/slow', ...id('a') }))
    pass(30_000)
    feed(httpResponse({ atMs: T + 40_000, code: 200, url: 'http://h/other', ...id('a') }))
    drain()
    expect(told.map((e) => [e.path, e.outcome, e.revises])).toEqual([
      ['/slow', 'unanswered', false],
      ['/other', 'answered', false],
    ])
  })

  it('tells a late answer again, under the same id', () => {
    const { feed, told, pass } = run()
    feed(httpRequest({ atMs: T, ...id('a') }))
    pass(30_000)
    feed(httpResponse({ atMs: T + 40_000, code: 200, latencyMs: 40_000, ...id('a') }))
    expect(told.map((e) => [e.outcome, e.revises])).toEqual([
      ['unanswered', false],
      ['answered', true],
    ])
    expect(told[1]?.id).toBe(told[0]?.id)
  })

  it('our clock was set back by an hour, and no call was told for that hour', () => {
    const { feed, told, pass } = run()
    feed(httpRequest({ atMs: T, ...id('a') }), httpResponse({ atMs: T, code: 200, ...id('a') }))
    feed(httpRequest({ atMs: T, clientPort: 2, ...id('b') }))
    for (let ms = -3_600_000; ms <= -3_569_000; ms += 500) pass(ms)
    expect(told.map((e) => [e.requestId, e.outcome])).toEqual([
      ['a', 'answered'],
      ['b', 'unanswered'],
    ])
  })

  it('lets the oldest go when it holds too many, and counts it', () => {
    const { feed, told, stage } = run({ pendingMax: 2 })
    feed(
      httpRequest({ atMs: T, clientPort: 1, url: 'http://h/1' }),
      httpRequest({ atMs: T, clientPort: 2, url: 'http://h/2' }),
      httpRequest({ atMs: T, clientPort: 3, url: 'http://h/3' }),
    )
    expect(told.map((e) => e.path)).toEqual(['/1'])
    expect([stage.evicted, stage.held]).toEqual([1, 2])
  })
})

describe('denied', () => {
  it('is one call: the dropped request and the 403 that echoes it', () => {
    const { feed, told } = run()
    feed(httpRequest({ atMs: T, verdict: DROPPED }), httpResponse({ atMs: T + 1, code: 403 }))
    expect(told).toMatchObject([{ outcome: 'denied', report: { status: 403 } }])
  })
})

describe('two reporters', () => {
  const egress = { direction: EGRESS, node: 'node-1', clientPort: 1_000, ...id('a') }
  const ingress = { direction: INGRESS, node: 'node-2', clientPort: 2_000, ...id('a') }

  it.each([
    { why: 'nested, as the kernel sees them', order: ['eq', 'iq', 'is', 'es'] },
    { why: 'the server side first, as a relay may sort them', order: ['iq', 'is', 'eq', 'es'] },
    { why: 'the client side whole before the server side', order: ['eq', 'es', 'iq', 'is'] },
  ])('are one call with both sides kept: $why', ({ order }) => {
    const { feed, told, stage } = run()
    const flows: Record<string, FlowsMessage> = {
      eq: httpRequest({ atMs: T, uuid: 'e', ...egress }),
      iq: httpRequest({ atMs: T + 1, uuid: 'i', ...ingress }),
      is: httpResponse({ atMs: T + 9, code: 200, latencyMs: 7, ...ingress }),
      es: httpResponse({ atMs: T + 10, code: 200, latencyMs: 9, ...egress }),
    }
    const outcomes = feed(...order.map((key) => flows[key] ?? {}))
    expect(told).toHaveLength(1)
    expect(told).toMatchObject([
      { report: { uuid: 'i', durationMs: 7 }, twin: { uuid: 'e', durationMs: 9 } },
    ])
    expect(told.map(reportersOf)).toEqual([['ingress', 'egress']])
    const count = (wanted: string) => outcomes.filter((outcome) => outcome === wanted).length
    expect([count('kept'), count('joined'), count('merged:second_reporter')]).toEqual([1, 1, 2])
    expect(stage.held).toBe(0)
  })

  it('are two calls when the client, the id, or the time differs', () => {
    const { feed, told, drain } = run()
    const other: Partial<HttpFlow>[] = [
      { client: '10.0.0.9' },
      { headers: { 'x-request-id': 'b' } },
      { atMs: T + 5_000 },
    ]
    for (const difference of other) {
      feed(
        httpRequest({ atMs: T, ...egress }),
        httpRequest({ atMs: T + 1, ...ingress, ...difference }),
      )
      drain()
    }
    expect(told).toHaveLength(6)
    expect(told.every((e) => e.twin === null)).toBe(true)
  })

  it("was told as unanswered where a quiet server's node held the answer back, and the client had one", () => {
    const { feed, told, pass } = run()
    feed(
      httpRequest({ atMs: T, uuid: 'e', ...egress }),
      httpRequest({ atMs: T + 1, uuid: 'i', ...ingress }),
      httpResponse({ atMs: T + 10, code: 200, latencyMs: 9, ...egress }),
    )
    pass(2_000)
    expect(told).toMatchObject([
      { outcome: 'answered', report: { uuid: 'e', status: 200 }, twin: { uuid: 'i', status: 0 } },
    ])
    const late = feed(httpResponse({ atMs: T + 20_000, code: 200, ...ingress }))
    expect([late, told.length]).toEqual([['merged:second_reporter'], 1])
  })

  it.each([
    { first: 'the server', order: ['is', 'es'] },
    { first: 'the client', order: ['es', 'is'] },
  ])('were never corrected when both were answered late, $first first', ({ order }) => {
    const { feed, told, pass } = run()
    feed(
      httpRequest({ atMs: T, uuid: 'e', ...egress }),
      httpRequest({ atMs: T + 1, uuid: 'i', ...ingress }),
    )
    pass(31_000)
    const flows: Record<string, FlowsMessage> = {
      is: httpResponse({ atMs: T + 40_000, code: 200, ...ingress }),
      es: httpResponse({ atMs: T + 40_001, code: 200, ...egress }),
    }
    feed(...order.map((key) => flows[key] ?? {}))
    expect(told.map((e) => [e.outcome, e.status, e.revises, e.report.uuid])).toEqual([
      ['unanswered', 0, false, 'i'],
      ['answered', 200, true, 'i'],
    ])
    expect(told[1]?.id).toBe(told[0]?.id)
  })

  it('is denied as soon as the server says so, whatever the client got', () => {
    const { feed, told, pass } = run()
    feed(
      httpRequest({ atMs: T, ...egress }),
      httpRequest({ atMs: T + 1, ...ingress, verdict: DROPPED }),
      httpResponse({ atMs: T + 2, code: 403, ...egress }),
    )
    pass(2_000)
    expect(told.map((e) => e.outcome)).toEqual(['denied'])
  })

  it('does not wait for a twin longer than the window', () => {
    const { feed, told, pass } = run()
    feed(httpRequest({ atMs: T, ...ingress }), httpResponse({ atMs: T, code: 200, ...ingress }))
    expect(told).toHaveLength(0)
    pass(1_000)
    expect(told).toMatchObject([{ twin: null, outcome: 'answered' }])
  })
})

describe('behind a load balancer (EGRESS, as with a CiliumEnvoyConfig)', () => {
  it('counts tries, not calls, and names the pod that answered', () => {
    const { feed, told, drain } = run()
    const flow = { direction: EGRESS, ...id('a') }
    const outcomes = feed(
      httpRequest({ atMs: T, server: '10.0.1.1', ...flow }),
      httpRequest({ atMs: T + 5, server: '10.0.1.2', ...flow }),
      httpResponse({ atMs: T + 9, server: '10.0.1.2', code: 200, ...flow }),
    )
    drain()
    expect(outcomes).toEqual(['kept', 'merged:retry', 'joined'])
    expect(told).toMatchObject([
      { attempts: 2, report: { destinationIp: '10.0.1.2', status: 200, seenMs: T } },
    ])
  })

  it("keeps a local 429, which shows the Service's own address, and its mark", () => {
    const { feed, told, drain } = run()
    const service = { direction: EGRESS, server: '10.96.0.10', service: 'orders', ...id('a') }
    const headers = { 'X-Request-Id': 'a', 'x-weir': 'enforce; r=9c41d07e; c=10.0.0.1' }
    feed(
      httpRequest({ atMs: T, ...service }),
      httpResponse({ atMs: T + 1, code: 429, ...service, headers }),
    )
    drain()
    expect(told).toMatchObject([
      {
        weirMark: 'enforce; r=9c41d07e; c=10.0.0.1',
        report: { status: 429, destinationService: 'shop/orders', destinationIp: '10.96.0.10' },
      },
    ])
  })
})

describe('bad input', () => {
  it.each([
    { why: 'an access log entry that was never filled', flow: { client: '', server: '' } },
    { why: 'no client address', flow: { client: '' } },
  ])('leaves with a reason: $why', ({ flow }) => {
    const { feed, stage } = run()
    expect(feed(httpRequest({ atMs: T, ...flow }))).toEqual(['dropped:no_peer'])
    expect(stage.held).toBe(0)
  })

  it('takes an empty URL and method', () => {
    const { feed, told } = run()
    feed(
      httpRequest({ atMs: T, url: '', method: '' }),
      httpResponse({ atMs: T, url: '', method: '', code: 200 }),
    )
    expect(told).toMatchObject([{ path: '', method: '', host: '' }])
  })

  it.each([
    { why: 'an id and a path of each', url: (i: number) => `http://h/${i}`, id: String },
    { why: 'one id for all', url: (i: number) => `http://h/${i}`, id: () => 'same' },
    { why: 'no id', url: () => 'http://h/x', id: () => '' },
  ])('a connection that is never answered is bounded, and stays cheap: $why', ({ url, id: of }) => {
    const { stage, told } = run({ pendingMax: 100_000 })
    const show = viewer()
    const emit = (exchange: Exchange) => void told.push(exchange)
    const tail = 'x'.repeat(3_000)
    const started = process.threadCpuUsage()
    for (let i = 0; i < 5_000; i++) {
      const flow = { atMs: T, direction: EGRESS, url: url(i) + tail, ...id(of(i)) }
      stage.accept(show(httpRequest(flow)), emit)
    }
    expect(stage.held).toBeLessThanOrEqual(1_024)
    expect(stage.held + told.length).toBe(5_000)
    expect(stage.evicted).toBe(told.length)
    // It was 10 ms a flow. CPU time, so that what else runs on the machine does not count.
    const { user, system } = process.threadCpuUsage(started)
    expect((user + system) / 1_000 / 5_000).toBeLessThan(1)
  })

  it('counts what a late flow cannot find any more', () => {
    const { stage } = run({ pendingMax: 100 })
    const show = viewer()
    const ask = (i: number, requestId: string) => {
      const flow = { atMs: T, clientPort: 1_024 + i, ...id(requestId) }
      stage.accept(show(httpRequest(flow)), () => {})
    }
    for (let i = 0; i < 100; i++) ask(i, 'same')
    expect(stage.forgotten).toBe(100 - 64)
    for (let i = 0; i < 10_010; i++) ask(i, `id-${i}`)
    // Of 10,110 calls 100 are held; 10,000 of those that were told are remembered, by connection and id.
    expect(stage.forgotten).toBe(100 - 64 + 10)
  })

  it('a client that is heard by both proxies is bounded as well', () => {
    const { stage } = run({ pendingMax: 100_000 })
    const show = viewer()
    for (let i = 0; i < 10_000; i++) {
      const direction = i % 2 === 0 ? INGRESS : EGRESS
      const call = { atMs: T, direction, clientPort: direction, ...id(String(i >> 1)) }
      stage.accept(show(httpRequest(call)), () => {})
    }
    expect(stage.held).toBeLessThanOrEqual(1_024)
  })

  it('kept the query alive in memory with the path that was cut from it', () => {
    const { stage } = run({ pendingMax: 100_000 })
    const show = viewer()
    const query = 'q'.repeat(100_000)
    setFlagsFromString('--expose-gc')
    const collectGarbage = runInNewContext('gc') as () => void
    collectGarbage()
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 2_000; i++) {
      // Parsed, as a decoder makes it: a string of its own.
      const url = Buffer.from(`http://orders.shop/orders/${i}?${query}`).toString()
      stage.accept(show(httpRequest({ atMs: T, clientPort: i, url })), () => {})
    }
    collectGarbage()
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(50e6)
  })

  it('keeps no query and no secret: identity headers leave hashed', () => {
    const { feed, told } = run()
    feed(
      httpRequest({
        atMs: T,
        url: 'http://u:p@h/x?token=s3cret#f',
        headers: { 'X-API-Key': 's3cret', Authorization: 'Bearer s3cret' },
      }),
      httpResponse({ atMs: T, url: 'http://u:p@h/x?token=s3cret', code: 200 }),
    )
    expect(told[0]?.identityValues).toHaveLength(1)
    expect(told[0]?.identityValues[0]).toMatch(/^[0-9a-f]{16}$/)
    expect(JSON.stringify(told)).not.toContain('s3cret')
  })
})

it('accounts for every flow, whatever comes in whatever order', () => {
  const flow = fc.record({
    isRequest: fc.boolean(),
    atMs: fc.integer({ min: 0, max: 60_000 }).map((ms) => T + ms),
    requestId: fc.constantFrom('', 'a', 'b', 'HUBBLE_REDACTED'),
    clientPort: fc.constantFrom(1, 2),
    direction: fc.constantFrom(INGRESS, EGRESS, 0),
    url: fc.constantFrom('http://h/1', 'http://h/2', ''),
    client: fc.constantFrom('10.0.0.1', '10.0.0.2', ''),
  })
  const property = fc.property(fc.array(flow, { maxLength: 60 }), (flows) => {
    const { feed, told, stage, drain } = run({ pendingMax: 8 })
    let ended = 0
    for (const { isRequest, requestId, ...rest } of flows) {
      const message = { ...rest, ...(requestId === '' ? {} : id(requestId)) }
      const [outcome] = feed(
        isRequest ? httpRequest(message) : httpResponse({ ...message, code: 200 }),
      )
      if (outcome !== 'kept') ended++
      expect(flows.length).toBeGreaterThanOrEqual(told.length + ended)
    }
    expect(told.length + ended + stage.held).toBe(flows.length)
    drain()
    expect(stage.held).toBe(0)
    expect(told.length + ended).toBe(flows.length)
  })
  fc.assert(property, { numRuns: 300 })
})
