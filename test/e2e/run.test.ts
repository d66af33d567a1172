import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { text } from 'node:stream/consumers'
import * as grpc from '@grpc/grpc-js'
import { describe, expect, it, onTestFinished } from 'vitest'
import type { FlowsMessage } from '../../src/hubble/flow-message.ts'
import { observerService } from '../../src/hubble/proto.ts'
import { directoryOf } from '../fixtures/directory.ts'
import { httpRequest, httpResponse } from '../fixtures/hubble-flows.ts'
import { captureOf, SHOP_MANIFESTS } from '../fixtures/shop.ts'
import { poll, runWeir, spawnWeir, startWeir } from './weir.ts'

const T = Date.now() - 60_000

/** Three calls to the shop's Orders API, as its gateway makes them, and one that nobody answers. */
function calls(atMs: number): FlowsMessage[] {
  const flow = (n: number, path: string, method = 'GET') => ({
    atMs: atMs + n * 100,
    clientPort: 40_000 + n,
    uuid: `request-${atMs}-${n}`,
    method,
    url: `http://orders.shop:8080${path}`,
    service: 'orders',
    server: '10.96.0.10',
  })
  const answer = (of: ReturnType<typeof flow>, code: number) =>
    httpResponse({ ...of, atMs: of.atMs + 5, uuid: `${of.uuid}-answer`, code, latencyMs: 4 })
  const [get, login, other, lost] = [
    flow(0, '/orders/7'),
    flow(1, '/login', 'POST'),
    flow(2, '/orders/8?secret=s3cret'),
    flow(3, '/orders/9'),
  ]
  return [get, login, other, lost].flatMap((request, i) =>
    i === 3 ? [httpRequest(request)] : [httpRequest(request), answer(request, i === 1 ? 401 : 200)],
  )
}

/** A Hubble Relay on loopback that serves what is in `flows`, then stays silent. */
async function startRelay(flows: readonly FlowsMessage[], port = 0): Promise<number> {
  const server = new grpc.Server()
  onTestFinished(() => server.forceShutdown())
  server.addService(observerService(), {
    GetFlows: (call: grpc.ServerWritableStream<unknown, unknown>) => {
      for (const message of flows) call.write(message)
    },
    ServerStatus: (_: unknown, reply: grpc.sendUnaryData<unknown>) =>
      reply(null, { num_connected_nodes: { value: 1 } }),
  })
  return new Promise((resolve, reject) => {
    server.bindAsync(
      `127.0.0.1:${port}`,
      grpc.ServerCredentials.createInsecure(),
      (error, bound) => (error ? reject(error) : resolve(bound)),
    )
  })
}

/** The lines of the log. */
function logOf(stderr: string): Record<string, unknown>[] {
  return stderr
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

const textOf = async (url: string) => (await fetch(url)).text()
const jsonOf = async (url: string): Promise<Record<string, unknown>> =>
  (await (await fetch(url)).json()) as Record<string, unknown>

describe('weir run', () => {
  it('streams a relay: metrics, lists and events; SIGTERM flushes and ends with 0', async () => {
    const directory = directoryOf({ 'shop.yaml': SHOP_MANIFESTS })
    const relay = await startRelay(calls(T))
    const weir = await startWeir(
      ['run', '--relay', `127.0.0.1:${relay}`, '--since', '5m', '--manifests', directory],
      directory,
    )
    const requests = /^weir_api_requests_total\{.*operation="\/orders\/\{[^"]*".* 2$/m
    const metrics = await poll(
      () => textOf(`${weir.url}/metrics`),
      (body) => requests.test(body),
    )
    expect(metrics).toMatch(requests)
    expect(metrics).toMatch(/api="Orders API",namespace="shop",version="1.0",operation="\/login"/)
    expect(metrics).toMatch(/weir_flows_received_total\{source="[^"]+",type="http"\} 7/)
    expect(metrics).not.toContain('s3cret')
    expect((await fetch(`${weir.url}/readyz`)).status).toBe(200)
    const { items } = await jsonOf(`${weir.url}/api/v1/calls`)
    expect(items).toContainEqual(
      expect.objectContaining({
        method: 'POST',
        status: 401,
        operation: { method: 'POST', template: '/login' },
        api: expect.objectContaining({ name: 'Orders API', id: 'shop/orders-api' }),
        client: expect.objectContaining({ kind: 'workload', value: 'shop/web' }),
      }),
    )
    const { code } = await weir.stop()
    expect(code).toBe(0)
    const events = new DatabaseSync(join(directory, 'data', 'events.db'), { readOnly: true })
    const rows = events.prepare('SELECT topic, count(*) AS n FROM events GROUP BY topic').all()
    // The request that waits for its answer is told as it stands when Weir ends.
    expect(rows).toEqual([{ topic: 'weir.calls', n: 4 }])
  })

  it('is not ready while the relay is away, and is once it comes', async () => {
    const port = await startRelay([])
    const free = port + 1
    const weir = await startWeir(['run', '--relay', `127.0.0.1:${free}`], directoryOf({}))
    const before = await fetch(`${weir.url}/readyz`)
    expect(before.status).toBe(503)
    expect(await before.json()).toMatchObject({
      ready: false,
      waitingFor: [expect.stringContaining(`127.0.0.1:${free}`)],
    })
    expect((await fetch(`${weir.url}/livez`)).status).toBe(200)
    await startRelay(calls(Date.now()), free)
    const ready = await poll(
      async () => (await fetch(`${weir.url}/readyz`)).status,
      (s) => s === 200,
    )
    expect(ready).toBe(200)
    const items = await poll(
      async () => (await jsonOf(`${weir.url}/api/v1/calls`))['items'] as unknown[],
      (list) => list.length >= 3,
    )
    expect(items.length).toBeGreaterThanOrEqual(3)
  })

  it('works on, degraded, while Kafka and the collector are away', async () => {
    const relay = await startRelay(calls(T))
    const weir = await startWeir(
      [
        'run',
        '--relay',
        `127.0.0.1:${relay}`,
        '--since',
        '5m',
        '--kafka',
        '127.0.0.1:9',
        '--otlp',
        'http://127.0.0.1:9',
      ],
      directoryOf({}),
    )
    const state = await poll(
      () => jsonOf(`${weir.url}/readyz`),
      ({ degraded }) => (degraded as string[]).length === 2,
      30_000,
    )
    expect(state).toMatchObject({ ready: true, waitingFor: [] })
    expect(state['degraded']).toEqual([
      expect.stringMatching(/^events: /),
      expect.stringMatching(/^traces: /),
    ])
    const { items } = await jsonOf(`${weir.url}/api/v1/ledger`)
    expect(items).toContainEqual(expect.objectContaining({ stage: 'publish', unaccounted: 0 }))
  })

  it('runs a capture to its end, publishes to standard output, and exits 0', async () => {
    const directory = directoryOf({ 'capture.jsonl': captureOf(calls(T)) })
    const config = 'events: {publisher: stdout}\nconsole: {listen: "127.0.0.1:0"}\n'
    const withConfig = directoryOf({ 'weir.yaml': config })
    const file = join(directory, 'capture.jsonl')
    const { code, stdout } = await runWeir(['run', '--file', file], '', withConfig)
    expect(code).toBe(0)
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object)
    expect(events).toHaveLength(4)
    expect(events[0]).toMatchObject({
      type: 'dev.weir.call.v1',
      source: '/weir/default',
      specversion: '1.0',
    })
    expect(stdout).not.toContain('s3cret')
  })

  it('reads standard input', async () => {
    const config = 'events: {publisher: stdout}\nconsole: {listen: "127.0.0.1:0"}\n'
    const cwd = directoryOf({ 'weir.yaml': config })
    const { code, stdout } = await runWeir(['run', '--file', '-'], captureOf(calls(T)), cwd)
    expect([code, stdout.trim().split('\n').length]).toEqual([0, 4])
  })

  it('ends at once, with 130, at a second signal', async () => {
    const relay = await startRelay(calls(T))
    const weir = await startWeir(
      ['run', '--relay', `127.0.0.1:${relay}`, '--kafka', '127.0.0.1:9', '--since', '5m'],
      directoryOf({}),
    )
    await poll(
      async () => ((await jsonOf(`${weir.url}/api/v1/calls`))['items'] as unknown[]).length,
      (n) => n > 0,
    )
    weir.child.kill('SIGTERM')
    await new Promise((resolve) => setTimeout(resolve, 300))
    weir.child.kill('SIGINT')
    expect((await weir.ended).code).toBe(130)
  })

  it('SIGTERM while Kafka is away ends with 0 when its time is over, in few lines', async () => {
    const relay = await startRelay(calls(T))
    const weir = await startWeir(
      ['run', '--relay', `127.0.0.1:${relay}`, '--kafka', '127.0.0.1:9', '--since', '5m'],
      directoryOf({}),
      { WEIR_SHUTDOWN_TIMEOUT: '1s' },
    )
    await poll(
      async () => ((await jsonOf(`${weir.url}/api/v1/calls`))['items'] as unknown[]).length,
      (n) => n > 0,
    )
    const { code, stderr } = await weir.stop()
    expect(code).toBe(0)
    const lines = logOf(stderr).filter(({ msg }) => msg === 'Events not delivered')
    expect(lines.reduce((sum, { count }) => sum + Number(count), 0)).toBe(4)
    expect(lines.length).toBeLessThanOrEqual(2)
    expect(logOf(stderr).at(-1)).toMatchObject({ msg: 'Stopped', unaccounted: 0 })
  })

  it('a collector that never answers does not hold the ended process', async () => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1')
    onTestFinished(() => silent.closeAllConnections())
    onTestFinished(() => void silent.close())
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    const cwd = directoryOf({ 'capture.jsonl': captureOf(calls(T)) })
    const args = ['run', '--file', 'capture.jsonl', '--listen', '127.0.0.1:0']
    const environment = { WEIR_SHUTDOWN_TIMEOUT: '1s' }
    const startedMs = Date.now()
    const otlp = `http://127.0.0.1:${port}`
    const { code } = await runWeir([...args, '--otlp', otlp], '', cwd, environment)
    expect(code).toBe(0)
    // The export itself would wait for its answer for ten seconds.
    expect(Date.now() - startedMs).toBeLessThan(8_000)
  })

  it('a state directory that cannot be written costs a line, not one a call', async () => {
    const cwd = directoryOf({ 'capture.jsonl': captureOf(calls(T)), file: '' })
    const args = ['run', '--file', 'capture.jsonl', '--listen', '127.0.0.1:0']
    const { code, stderr } = await runWeir(args, '', cwd, { WEIR_STATE_DIR: 'file/state' })
    expect(code).toBe(0)
    const messages = logOf(stderr).map(({ msg }) => msg)
    expect(messages.filter((msg) => msg === 'Degraded')).toHaveLength(1)
    expect(messages.filter((msg) => msg === 'Events not delivered').length).toBeLessThanOrEqual(2)
  })

  it('says what it does in one line each, and speaks of no recovery at the start', async () => {
    const cwd = directoryOf({ 'capture.jsonl': captureOf(calls(T)) })
    const args = ['run', '--file', 'capture.jsonl', '--listen', '127.0.0.1:0']
    const { stderr } = await runWeir(args, '', cwd)
    expect(logOf(stderr).map(({ msg }) => msg)).toEqual([
      'Weir starts',
      'Catalogue loaded',
      'Console listens',
      'Stopped',
    ])
  })

  it('reads on when nobody reads its standard output any more', async () => {
    const capture = captureOf(Array.from({ length: 500 }, (_, n) => calls(T + n * 1_000)).flat())
    const cwd = directoryOf({ 'capture.jsonl': capture })
    const environment = { WEIR_EVENTS_PUBLISHER: 'stdout' }
    const args = ['run', '--file', 'capture.jsonl', '--listen', '127.0.0.1:0']
    const child = spawnWeir(args, cwd, environment)
    child.stdout?.once('data', () => child.stdout?.destroy())
    const [stderr, [code]] = await Promise.all([
      child.stderr === null ? '' : text(child.stderr),
      once(child, 'exit'),
    ])
    expect(code).toBe(0)
    const messages = logOf(stderr).map(({ msg }) => msg)
    expect(messages.filter((msg) => msg === 'Degraded')).toHaveLength(1)
    expect(messages).not.toContain('Well again')
  })

  it('shows no secret of its configuration, whatever is away', async () => {
    const config = `
hubble: {sources: [{relay: "127.0.0.1:9"}]}
traces: {endpoint: "http://user:s3cret@127.0.0.1:9", headers: {authorization: s3cret}}
events:
  publisher: kafka
  kafka: {brokers: ["127.0.0.1:9"], sasl: {mechanism: plain, username: weir, password: s3cret}}
shutdownTimeout: 1s
log: {level: debug}
`
    const weir = await startWeir(['run'], directoryOf({ 'weir.yaml': config }))
    const state = await poll(
      () => textOf(`${weir.url}/readyz`),
      (body) => body.includes('events: '),
    )
    expect(state).toContain('events: ')
    const pages = ['readyz', 'metrics', 'api/v1/status', 'api/v1/ledger']
    const bodies = await Promise.all(pages.map((page) => textOf(`${weir.url}/${page}`)))
    const { stderr, stdout } = await weir.stop()
    expect([...bodies, stderr, stdout].join('\n')).not.toContain('s3cret')
  })

  it('bounds the sources of the configuration by --until', async () => {
    const config = 'hubble: {sources: [{file: capture.jsonl}]}\nevents: {publisher: stdout}\n'
    const cwd = directoryOf({ 'weir.yaml': config, 'capture.jsonl': captureOf(calls(T)) })
    const until = new Date(T + 150).toISOString()
    const args = ['run', '--until', until, '--listen', '127.0.0.1:0']
    const { code, stdout } = await runWeir(args, '', cwd)
    expect([code, stdout.trim().split('\n').length]).toEqual([0, 2])
  })

  it('a defect ends it with 70', async () => {
    // Once Weir listens for defects; before that Node itself would end the process, with 1.
    const defect = `import { isMainThread } from 'node:worker_threads'
      setInterval(() => {
        if (isMainThread && process.listenerCount('uncaughtException') > 0) throw new Error('a defect')
      }, 100)`
    const args = ['run', '--relay', '127.0.0.1:9', '--listen', '127.0.0.1:0']
    const cwd = directoryOf({ 'defect.mjs': defect })
    const { code, stderr } = await runWeir(args, '', cwd, { NODE_OPTIONS: '--import ./defect.mjs' })
    expect([code, stderr]).toEqual([70, expect.stringContaining('Internal error: a defect')])
  })
})
