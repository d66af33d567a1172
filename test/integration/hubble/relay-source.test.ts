import { copyFileSync, readFileSync } from 'node:fs'
import * as grpc from '@grpc/grpc-js'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type ChannelOptions, connectHubble } from '../../../src/hubble/channel.ts'
import { compileFlowFilter } from '../../../src/hubble/filter/flow-filter.ts'
import type { FlowsMessage } from '../../../src/hubble/flow-message.ts'
import { observerService } from '../../../src/hubble/proto.ts'
import { createRelaySource, type RelayOptions } from '../../../src/hubble/relay-source.ts'
import { EndpointTable } from '../../../src/model/endpoint.ts'
import type { SourceNotice } from '../../../src/pipeline/contract.ts'
import { directoryOf } from '../../fixtures/directory.ts'
import { httpRequest } from '../../fixtures/hubble-flows.ts'
import { makeCertificates, RELAY_SERVER_NAME } from '../../services/certificates.ts'

type GetFlowsCall = grpc.ServerWritableStream<Record<string, unknown>, unknown>
type Script = (call: GetFlowsCall, attempt: number) => void

const T = 1_760_000_000_000

interface RelayScript {
  readonly getFlows: Script
  readonly credentials?: grpc.ServerCredentials
  readonly port?: number
  /** Serialises nothing: what the script writes are the message's bytes. */
  readonly raw?: boolean
  readonly serverStatus?: (reply: grpc.sendUnaryData<unknown>) => void
}

const TWO_NODES = { num_connected_nodes: { value: 2 }, num_unavailable_nodes: { value: 0 } }

/** A Hubble Relay on loopback; only what it says is scripted. `attempt` counts streams from 1. */
async function startRelay({
  getFlows,
  credentials,
  port = 0,
  raw = false,
  serverStatus = (reply) => reply(null, TWO_NODES),
}: RelayScript) {
  const server = new grpc.Server()
  onTestFinished(() => server.forceShutdown())
  const service = observerService()
  const definition = service['GetFlows']
  if (raw && definition !== undefined) {
    const bytes = (value: unknown) => value as Buffer
    Object.assign(service, { GetFlows: { ...definition, responseSerialize: bytes } })
    onTestFinished(() => void Object.assign(service, { GetFlows: definition }))
  }
  let attempts = 0
  server.addService(service, {
    GetFlows: (call: GetFlowsCall) => getFlows(call, ++attempts),
    ServerStatus: (_: unknown, reply: grpc.sendUnaryData<unknown>) => serverStatus(reply),
  })
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(
      `127.0.0.1:${port}`,
      credentials ?? grpc.ServerCredentials.createInsecure(),
      (error, chosen) => (error ? reject(error) : resolve(chosen)),
    )
  })
  return { address: `127.0.0.1:${bound}`, port: bound, stop: () => server.forceShutdown() }
}

/** Runs a source until it handed `flowsWanted` flows on, or saw a notice that `enough` takes. */
async function read(
  address: string,
  options: Partial<RelayOptions> & ChannelOptions = {},
  flowsWanted = 1,
  enough: (notice: SourceNotice) => boolean = () => false,
) {
  const { tls, transport, ...rest } = options
  const source = createRelaySource({
    name: 'relay',
    cluster: 'default',
    connect: () => connectHubble(address, { tls, transport }),
    filter: compileFlowFilter({}),
    endpoints: new EndpointTable(),
    sinceMs: T,
    backoffMs: () => 5,
    now: Date.now,
    statusEveryMs: 20,
    ...rest,
  })
  const stop = new AbortController()
  const flows: string[] = []
  const notices: SourceNotice[] = []
  await source.start(stop.signal)
  await source.run(
    {
      flow: (view) => {
        if (flows.push(view.uuid()) >= flowsWanted) stop.abort()
      },
      notice: (notice) => {
        notices.push(notice)
        if (enough(notice)) stop.abort()
      },
      ready: () => undefined,
    },
    stop.signal,
  )
  await source.stop(stop.signal)
  return { flows, notices }
}

const flow = (uuid: string, atMs = T): FlowsMessage => httpRequest({ uuid, atMs })
const fail = (call: GetFlowsCall, code: grpc.status, details: string) =>
  call.emit('error', { code, details })

describe('a stream', () => {
  it('starts with since and number=1, so that nothing is missed and nothing waits in the sort queue', async () => {
    const requests: unknown[] = []
    const relay = await startRelay({
      getFlows: (call) => {
        requests.push(call.request)
        call.write(flow('a'))
      },
    })
    await read(relay.address)
    expect(requests).toMatchObject([{ follow: true, number: 1, since: { seconds: T / 1_000 } }])
  })

  it.each([
    { why: 'breaks off', end: (c: GetFlowsCall) => fail(c, grpc.status.UNAVAILABLE, 'restarting') },
    { why: 'ends with OK', end: (c: GetFlowsCall) => c.end() },
  ])('is opened again, a little before where it was, when it $why', async ({ end }) => {
    const requests: { since?: { seconds: number } }[] = []
    const relay = await startRelay({
      getFlows: (call, attempt) => {
        requests.push(call.request)
        call.write(flow('a', T + 60_000))
        if (attempt === 1) end(call)
        else call.write(flow('b', T + 61_000))
      },
    })
    const { flows, notices } = await read(relay.address, {}, 2)
    expect(flows).toEqual(['a', 'b'])
    expect(requests[1]?.since?.seconds).toBe(T / 1_000 + 57)
    expect(notices).toContainEqual({ kind: 'rejected', reason: 'duplicate', count: 1 })
    expect(notices).toContainEqual({ kind: 'reopened', reason: 'interrupted' })
  })

  it('backs off ever longer while nothing comes, and anew after a flow', async () => {
    const attempts: number[] = []
    const relay = await startRelay({
      getFlows: (call, attempt) => {
        if (attempt === 3) call.write(flow('a'))
        if (attempt === 5) call.write(flow('b'))
        call.end()
      },
    })
    const backoffMs = (attempt: number) => attempts.push(attempt) && 1
    await read(relay.address, { backoffMs }, 2)
    expect(attempts).toEqual([1, 2, 1, 2])
  })

  it('backs off although the overlap comes again and again: that is no progress', async () => {
    const relay = await startRelay({
      getFlows: (call, attempt) => {
        call.write(flow('a'))
        if (attempt === 4) call.write(flow('b'))
        call.end()
      },
    })
    const attempts: number[] = []
    const backoffMs = (attempt: number) => attempts.push(attempt) && 1
    await read(relay.address, { backoffMs }, 2)
    expect(attempts).toEqual([1, 2, 3])
  })

  it('was told as healthy in between, where every try fails but ServerStatus answers', async () => {
    const relay = await startRelay({ getFlows: (call) => call.end() })
    const isThirdTry = (() => {
      let tries = 0
      return (n: SourceNotice) => n.kind === 'interrupted' && ++tries === 3
    })()
    const options = { backoffMs: () => 1_500, statusEveryMs: 20 }
    const { notices } = await read(relay.address, options, 1, isThirdTry)
    const down = notices.slice(notices.findIndex(({ kind }) => kind === 'interrupted'))
    expect(down.filter(({ kind }) => kind === 'connected').length).toBeLessThanOrEqual(2)
  })

  it('is given up, and opened on a new connection, when the server hangs', async () => {
    const peers = new Set<string>()
    const relay = await startRelay({
      serverStatus: () => {},
      getFlows: (call, attempt) => {
        peers.add(call.getPeer())
        if (attempt === 2) call.write(flow('a'))
      },
    })
    const { flows, notices } = await read(relay.address, { statusDeadlineMs: 50 })
    expect(flows).toEqual(['a'])
    expect(peers.size).toBe(2)
    const reasons = notices.flatMap((n) => (n.kind === 'interrupted' ? [n.reason] : []))
    expect(new Set(reasons).size).toBe(1)
  })

  it('stays connected while flows come, although one node keeps the answer of ServerStatus back', async () => {
    let answers = 0
    const relay = await startRelay({
      serverStatus: (reply) => void (answers++ === 0 && reply(null, TWO_NODES)),
      getFlows: (call) => {
        let n = 0
        const timer = setInterval(() => call.write(flow(`f${n++}`, T + n)), 5)
        call.on('cancelled', () => clearInterval(timer))
      },
    })
    const { notices } = await read(relay.address, { statusDeadlineMs: 100 }, 150)
    const kinds = new Set(notices.map(({ kind }) => kind))
    expect(kinds).toEqual(new Set(['connected']))
    expect(notices.length).toBeGreaterThan(2)
  })

  it('is reopened on a schedule: a peer that was replaced is silent for old streams', async () => {
    const relay = await startRelay({
      getFlows: (call, attempt) => void call.write(flow(`f${attempt}`, T + attempt * 1_000)),
    })
    const { flows, notices } = await read(relay.address, { reopenAfterMs: 300 }, 3)
    expect(flows).toEqual(['f1', 'f2', 'f3'])
    expect(notices.filter((n) => n.kind === 'reopened' && n.reason === 'schedule')).toHaveLength(2)
    expect(notices.filter((n) => n.kind === 'interrupted')).toEqual([])
  })

  it('survives a message that cannot be decoded, which is counted', async () => {
    const serialize = observerService()['GetFlows']?.responseSerialize
    const relay = await startRelay({
      raw: true,
      getFlows: (call) => {
        call.write(Buffer.from([0x0a, 0x7f, 0x01]))
        call.write(serialize?.(flow('a')))
      },
    })
    const { flows, notices } = await read(relay.address)
    expect(flows).toEqual(['a'])
    expect(notices).toContainEqual({ kind: 'rejected', reason: 'malformed', count: 1 })
  })

  it('says what the nodes refuse: through Relay that is a NODE_ERROR and an end with OK', async () => {
    const message = 'invalid fieldmask: foo.bar'
    const relay = await startRelay({
      getFlows: (call) => {
        call.write({ node_status: { state_change: 4, node_names: ['n1'], message } })
        call.end()
      },
    })
    const { notices } = await read(relay.address, {}, 1, (n) => n.kind === 'refused')
    const reason = `Cannot read with the source's filter.fields: the nodes refuse it: ${message}`
    expect(notices).toContainEqual({ kind: 'refused', reason })
    await expect(read(relay.address, { untilMs: T })).rejects.toThrow(reason)
  })
})

describe('a bounded read', () => {
  it('asks for its bounds, waits for what is downstream, and ends by itself', async () => {
    const requests: unknown[] = []
    const relay = await startRelay({
      getFlows: (call) => {
        requests.push(call.request)
        for (let i = 0; i < 50; i++) call.write(flow(`f${i}`, T + i))
        call.end()
      },
    })
    const { flows } = await read(relay.address, { untilMs: T + 40 }, 1_000)
    expect(flows).toHaveLength(41)
    expect(requests).toMatchObject([
      { since: { seconds: T / 1_000 }, until: { nanos: 40_000_000 } },
    ])
    expect(requests).not.toMatchObject([{ follow: true }])
  })
})

describe('a bounded read that is not whole', () => {
  const bounded = { untilMs: T + 40, backoffMs: () => 20 }
  const status = (state: number) => ({
    node_status: { state_change: state, node_names: ['n1'], message: 'connection refused' },
  })

  it('waits for a Relay that knows no node yet, which ends at once and with OK', async () => {
    let nodes = 0
    const relay = await startRelay({
      serverStatus: (reply) => reply(null, { num_connected_nodes: { value: nodes } }),
      getFlows: (call, attempt) => {
        if (attempt === 3) {
          nodes = 1
          call.write(flow('a'))
        }
        call.end()
      },
    })
    const { flows, notices } = await read(relay.address, bounded, 1_000)
    expect(flows).toEqual(['a'])
    expect(notices.filter(({ kind }) => kind === 'interrupted').length).toBeGreaterThan(0)
  })

  it('is tried again while a node fails, and ends without it in the end', async () => {
    let attempts = 0
    const relay = await startRelay({
      getFlows: (call, attempt) => {
        attempts = attempt
        call.write(flow('a'))
        call.write(status(4))
        call.end()
      },
    })
    const { flows } = await read(relay.address, bounded, 1_000)
    expect([flows, attempts]).toEqual([['a'], 3])
  })
})

describe('a relay that is not there', () => {
  it('is told, and read as soon as it comes', async () => {
    const first = await startRelay({ getFlows: () => {} })
    first.stop()
    const reading = read(first.address, {}, 1)
    await new Promise((resolve) => setTimeout(resolve, 300))
    await startRelay({ port: first.port, getFlows: (call) => void call.write(flow('a')) })
    const { flows, notices } = await reading
    expect(flows).toEqual(['a'])
    expect(notices[0]).toMatchObject({ kind: 'interrupted' })
  })
})

describe('TLS', () => {
  it('checks the name that it is told to, and brings its client certificate', async () => {
    const files = makeCertificates(directoryOf({}))
    const credentials = grpc.ServerCredentials.createSsl(
      readFileSync(files.ca),
      [{ cert_chain: readFileSync(files.relay.cert), private_key: readFileSync(files.relay.key) }],
      true,
    )
    const relay = await startRelay({ credentials, getFlows: (call) => void call.write(flow('a')) })
    const { ca, cert, key, serverName } = files.clientOf(RELAY_SERVER_NAME)
    expect((await read(relay.address, { tls: { ca, cert, key, serverName } })).flows).toEqual(['a'])
    const isAway = (n: SourceNotice) => n.kind === 'interrupted'
    const nameless = await read(relay.address, { tls: { ca, cert, key } }, 1, isAway)
    expect(nameless.flows).toEqual([])
    const anonymous = await read(relay.address, { tls: { ca, serverName } }, 1, isAway)
    expect(anonymous.flows).toEqual([])
  })

  it('takes up certificates that were renewed while the old ones failed', async () => {
    const { ca, relay: pair } = makeCertificates(directoryOf({}))
    const credentials = grpc.ServerCredentials.createSsl(null, [
      { cert_chain: readFileSync(pair.cert), private_key: readFileSync(pair.key) },
    ])
    const relay = await startRelay({ credentials, getFlows: (call) => void call.write(flow('a')) })
    const other = makeCertificates(directoryOf({}))
    const tls = { ca: other.ca, serverName: RELAY_SERVER_NAME }
    const renew = (n: SourceNotice) => {
      if (n.kind === 'interrupted') copyFileSync(ca, other.ca)
      return false
    }
    expect((await read(relay.address, { tls }, 1, renew)).flows).toEqual(['a'])
  })

  it('fails at start for a file that is not there, which no retry mends', async () => {
    const reading = read('127.0.0.1:1', { tls: { ca: '/not/there.pem' } })
    await expect(reading).rejects.toThrow('Cannot read the TLS file /not/there.pem')
  })
})
