import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { ConfigError } from '../../../src/errors.ts'
import type { ApiCall } from '../../../src/model/api-call.ts'
import type { ExchangeFields } from '../../../src/model/exchange.ts'
import { Direction } from '../../../src/model/flow-view.ts'
import {
  createSpanSink,
  type SpanSink,
  type SpanSinkOptions,
  TRACES_OUTCOMES,
} from '../../../src/traces/span-sink.ts'
import { sampleCall, sampleExchange, sampleReport } from '../../unit/traces/sample-call.ts'
import { startEndpoint } from './otlp-endpoint.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'
const SOON = { timeout: 10_000, interval: 20 }

interface Setup {
  readonly sink: SpanSink
  readonly counts: Record<string, number>
  readonly log: string[]
}

async function setUp(endpoint: string, over: Partial<SpanSinkOptions> = {}): Promise<Setup> {
  const counts: Record<string, number> = { exported: 0, sampled_out: 0, dropped: 0 }
  const log: string[] = []
  const sink = createSpanSink({
    endpoint,
    sampleRatio: 1,
    serviceName: 'weir',
    cluster: 'test',
    queueMax: 1_000,
    batchMax: 100,
    delayMs: 10,
    // Shorter than the exporter's own retry delay: what repeats here is Weir.
    timeoutMs: 500,
    backoffMs: () => 50,
    onOutcome: (outcome, count) => {
      counts[outcome] = (counts[outcome] ?? 0) + count
    },
    onError: (text) => log.push(text),
    onRecovered: () => log.push('recovered'),
    ...over,
  })
  await sink.start(AbortSignal.timeout(30_000))
  onTestFinished(() => sink.stop(AbortSignal.timeout(100)))
  return { sink, counts, log }
}

function callOf(number: number, over: Partial<ExchangeFields> = {}): ApiCall {
  const report = sampleReport({ uuid: `uuid-${number}` })
  return sampleCall({ exchange: sampleExchange({ report, ...over }) })
}

/** One call that both proxies reported, inside the trace of its sender. */
function callOfBoth(): ApiCall {
  const twin = sampleReport({ direction: Direction.egress, uuid: 'uuid-2', durationMs: 14 })
  return callOf(1, { twin, traceParent: `00-${TRACE}-${SPAN}-01` })
}

describe('createSpanSink()', () => {
  it('exports a CLIENT span under the sender, and the SERVER span under that', async () => {
    const endpoint = await startEndpoint()
    const { sink, counts } = await setUp(endpoint.url, { headers: { 'x-tenant': 'shop' } })
    expect(TRACES_OUTCOMES[sink.accept(callOfBoth())]).toBe('kept')
    await vi.waitFor(() => expect(counts['exported']).toBe(2), SOON)
    const client = endpoint.spans.find(({ kind }) => kind === 3)
    const server = endpoint.spans.find(({ kind }) => kind === 2)
    expect(client).toMatchObject({ traceId: TRACE, parentId: SPAN, serviceName: 'cart' })
    expect(server).toMatchObject({
      traceId: TRACE,
      parentId: client?.spanId,
      name: 'GET /orders-api/1.0.0/orders/{id}',
      serviceName: 'orders',
      startNs: 1_700_000_000_123_500_000n,
      endNs: 1_700_000_000_136_000_000n,
      attributes: { 'weir.api.name': 'Orders', 'http.response.status_code': '200' },
    })
    expect(endpoint.requests[0]).toMatchObject({
      path: '/v1/traces',
      headers: { 'content-type': 'application/x-protobuf', 'x-tenant': 'shop' },
    })
    expect(sink.waiting).toBe(0)
  })

  it('sends the same ids again when the same call is replayed', async () => {
    const endpoint = await startEndpoint()
    const { sink, counts } = await setUp(endpoint.url)
    sink.accept(callOfBoth())
    await vi.waitFor(() => expect(counts['exported']).toBe(2), SOON)
    sink.accept(callOfBoth())
    await vi.waitFor(() => expect(counts['exported']).toBe(4), SOON)
    expect(new Set(endpoint.spans.map(({ spanId }) => spanId)).size).toBe(2)
  })

  it('keeps errors, limited, denied and unanswered calls when it samples nothing else', async () => {
    const endpoint = await startEndpoint()
    const { sink, counts } = await setUp(endpoint.url, { sampleRatio: 0 })
    const failed = sampleReport({ uuid: 'failed', status: 502 })
    const outcomes = [
      sink.accept(callOf(1)),
      sink.accept(sampleCall({ exchange: sampleExchange({ report: failed }) })),
      sink.accept(sampleCall({ outcome: 'limited' })),
      sink.accept(sampleCall({ outcome: 'denied' })),
      sink.accept(sampleCall({ outcome: 'unanswered' })),
    ].map((outcome) => TRACES_OUTCOMES[outcome])
    expect(outcomes).toEqual(['filtered:sampled_out', 'kept', 'kept', 'kept', 'kept'])
    await sink.stop(AbortSignal.timeout(5_000))
    expect(counts).toEqual({ exported: 4, sampled_out: 1, dropped: 0 })
  })

  it('holds spans while the endpoint is away, and delivers them when it is back', async () => {
    const gone = await startEndpoint()
    await gone.close()
    const { sink, counts, log } = await setUp(gone.url)
    for (let i = 0; i < 250; i++) sink.accept(callOf(i))
    await vi.waitFor(() => expect(sink.degraded).toBe(true), SOON)
    expect(log[0]).toContain('ECONNREFUSED')
    expect(sink.ready()).toBeUndefined()
    const back = await startEndpoint(gone.port)
    await vi.waitFor(() => expect(counts['exported']).toBe(250), SOON)
    expect(new Set(back.spans.map(({ spanId }) => spanId)).size).toBe(250)
    expect(counts['dropped']).toBe(0)
    expect(log.slice(1)).toEqual(['recovered'])
    expect(sink.degraded).toBe(false)
  })

  it('drops beyond its bound, and accounts for every span', async () => {
    const gone = await startEndpoint()
    await gone.close()
    const { sink, counts } = await setUp(gone.url)
    const outcomes = Array.from({ length: 3_000 }, (_, i) => sink.accept(callOf(i)))
    expect(outcomes.filter((outcome) => TRACES_OUTCOMES[outcome] === 'kept')).toHaveLength(1_000)
    expect(sink.waiting).toBe(1_000)
    expect(counts['dropped']).toBe(2_000)
    await vi.waitFor(() => expect(sink.degraded).toBe(true), SOON)
    await sink.stop(AbortSignal.timeout(5_000))
    expect(counts).toEqual({ exported: 0, sampled_out: 0, dropped: 3_000 })
    expect(sink.waiting).toBe(0)
  })

  it('makes a paced source wait while half of the queue is taken', async () => {
    const endpoint = await startEndpoint()
    const { sink, counts } = await setUp(endpoint.url)
    expect(sink.ready()).toBeUndefined()
    for (let i = 0; i < 900; i++) sink.accept(callOf(i))
    await sink.ready()
    expect(counts['exported']).toBeGreaterThanOrEqual(400)
    expect(counts['dropped']).toBe(0)
  })

  it('gives up at the deadline when the endpoint does not answer', async () => {
    const silent = await startEndpoint(0, () => {})
    const { sink, counts } = await setUp(silent.url, { timeoutMs: 30_000 })
    sink.accept(callOf(1))
    await vi.waitFor(() => expect(silent.requests).toHaveLength(1), SOON)
    await sink.stop(AbortSignal.timeout(200))
    expect(counts['dropped']).toBe(1)
    expect(TRACES_OUTCOMES[sink.accept(callOf(2))]).toBe('shed:queue_full')
    expect(counts['dropped']).toBe(2)
  })

  it('loses what the endpoint refuses, says so once, and goes on', async () => {
    let refused = 0
    const endpoint = await startEndpoint(0, (response) => {
      response.statusCode = refused++ < 2 ? 400 : 200
      response.end()
    })
    const { sink, counts, log } = await setUp(endpoint.url)
    for (const lost of [1, 2]) {
      sink.accept(callOf(lost))
      await vi.waitFor(() => expect(counts['dropped']).toBe(lost), SOON)
    }
    sink.accept(callOf(3))
    await vi.waitFor(() => expect(counts['exported']).toBe(1), SOON)
    expect(log).toEqual(['Bad Request (400)', 'recovered'])
  })

  it.each([
    { given: '/', path: '/v1/traces' },
    { given: '/otlp', path: '/otlp/v1/traces' },
    { given: '/otlp/v1/traces', path: '/otlp/v1/traces' },
  ])('posts to $path when told $given', async ({ given, path }) => {
    const endpoint = await startEndpoint()
    const { sink } = await setUp(`${endpoint.url}${given}`)
    sink.accept(callOf(1))
    await vi.waitFor(() => expect(endpoint.requests[0]?.path).toBe(path), SOON)
  })

  it.each(['', 'collector:4318', 'ftp://collector/', 'http://'])(
    'refuses the endpoint "%s"',
    async (endpoint) => {
      await expect(setUp(endpoint)).rejects.toThrow(ConfigError)
    },
  )
})
