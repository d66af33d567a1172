import { getEventListeners } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as grpc from '@grpc/grpc-js'
import { expect, it, onTestFinished } from 'vitest'
import { connectHubble } from '../../../src/hubble/channel.ts'
import { compileFlowFilter } from '../../../src/hubble/filter/flow-filter.ts'
import { observerService } from '../../../src/hubble/proto.ts'
import { createRelaySource } from '../../../src/hubble/relay-source.ts'
import { EndpointTable } from '../../../src/model/endpoint.ts'
import { httpRequest } from '../../fixtures/hubble-flows.ts'

const T = 1_760_000_000_000
const REOPENS = 2_000
const WARM = 400

type GetFlowsCall = grpc.ServerWritableStream<Record<string, unknown>, unknown>

/** A Relay that gives one flow a stream; `ends`: and then ends it. */
async function startRelay(ends: boolean) {
  const server = new grpc.Server()
  onTestFinished(() => server.forceShutdown())
  let streams = 0
  server.addService(observerService(), {
    GetFlows: (call: GetFlowsCall) => {
      streams++
      call.write(httpRequest({ uuid: `u${streams}`, atMs: T + streams * 1_000 }))
      if (ends) call.end()
    },
    ServerStatus: (_: unknown, reply: grpc.sendUnaryData<unknown>) =>
      reply(null, { num_connected_nodes: { value: 1 } }),
    GetNodes: (_: unknown, reply: grpc.sendUnaryData<unknown>) => reply(null, { nodes: [] }),
  })
  const port = await new Promise<number>((resolve, reject) => {
    const credentials = grpc.ServerCredentials.createInsecure()
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) =>
      error ? reject(error) : resolve(bound),
    )
  })
  return { address: `127.0.0.1:${port}`, streams: () => streams }
}

it.each([
  { why: 'on its schedule', ends: false, reopenAfterMs: 2 },
  { why: 'as it ended', ends: true, reopenAfterMs: 60_000 },
])(
  'two thousand times opened anew $why, nothing is left of a stream',
  async ({ ends, reopenAfterMs }) => {
    setFlagsFromString('--expose-gc')
    const collectGarbage = runInNewContext('gc') as () => void
    const warnings: string[] = []
    const warn = ({ message }: Error) => void warnings.push(message)
    process.on('warning', warn)
    onTestFinished(() => void process.off('warning', warn))
    const relay = await startRelay(ends)
    const source = createRelaySource({
      name: 'relay',
      cluster: 'default',
      connect: () => connectHubble(relay.address),
      filter: compileFlowFilter({}),
      endpoints: new EndpointTable(),
      sinceMs: T,
      backoffMs: () => 1,
      now: Date.now,
      statusEveryMs: 10,
      reopenAfterMs,
    })
    const stop = new AbortController()
    const listeners: number[] = []
    let heapWhenWarm = 0
    let flows = 0
    const heap = () => {
      collectGarbage()
      return process.memoryUsage().heapUsed
    }
    await source.start(stop.signal)
    await source.run(
      {
        flow: () => {
          flows++
          listeners.push(getEventListeners(stop.signal, 'abort').length)
          if (flows === WARM) heapWhenWarm = heap()
          if (flows === REOPENS) stop.abort()
        },
        notice: () => {},
        ready: () => undefined,
      },
      stop.signal,
    )
    await source.stop(stop.signal)
    expect(relay.streams()).toBeGreaterThanOrEqual(REOPENS)
    expect(Math.max(...listeners)).toBeLessThan(10)
    expect(warnings).toEqual([])
    // A stream that is kept costs 20 KB and more.
    expect(heap() - heapWhenWarm).toBeLessThan(8e6)
  },
)
