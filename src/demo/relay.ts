import * as grpc from '@grpc/grpc-js'
import type { Component } from '../runtime/lifecycle.ts'
import { type DemoNode, msOf, timestampOf } from './demo-node.ts'
import {
  FlowStream,
  type FlowsCall,
  NODE_CONNECTED,
  NODE_ERROR,
  requestError,
} from './flow-stream.ts'
import { HEALTH, HEALTH_SERVICE } from './health.ts'

export interface DemoRelayOptions {
  /** `observer.Observer`, with enums and 64-bit integers as numbers and names as in the .proto files. */
  readonly service: grpc.ServiceDefinition
  readonly nodes: readonly DemoNode[]
  /** What GetNamespaces answers. */
  readonly namespaces: readonly string[]
  readonly cluster: string
  /** Unix ms. */
  readonly now: () => number
}

export interface DemoRelay extends Component {
  /** HOST:PORT; '' before the start. */
  readonly address: string
  /** Streams that are open now. */
  readonly streams: number
  /** Sends what the nodes got since the last time. */
  flush(): void
}

const VERSION = '1.20.2+gdemo'
const STREAMS_MAX = 64
const SHUTDOWN_MS = 250
/** Span over which `flows_rate` is taken. */
const RATE_MS = 60_000

/**
 * A Hubble Relay in front of the simulated nodes: real gRPC on a free port of 127.0.0.1, with
 * GetFlows, ServerStatus, GetNodes, GetNamespaces and the health service. `field_mask` is accepted
 * and whole flows are sent, as by agents before 1.16; filters: see `flow-filter.ts`.
 */
export function createDemoRelay(options: DemoRelayOptions): DemoRelay {
  const { nodes, now } = options
  const streams = new Set<FlowStream>()
  const startedMs = now()
  let server: grpc.Server | undefined
  let address = ''

  function GetFlows(call: FlowsCall): void {
    if (streams.size >= STREAMS_MAX) {
      call.emit('error', { code: grpc.status.RESOURCE_EXHAUSTED, details: 'too many streams' })
      return
    }
    const metadata = new grpc.Metadata()
    metadata.set('hubble-relay-version', VERSION)
    call.sendMetadata(metadata)
    const names = nodes.map(({ name }) => name)
    const status = (state_change: number, message?: string): object => ({
      node_status: { state_change, node_names: names, ...(message ? { message } : {}) },
      node_name: names[0],
      time: timestampOf(now()),
    })
    call.write(status(NODE_CONNECTED))
    // Relay never fails a bad request: it passes on what the nodes said, and ends with OK.
    const refused = requestError(call.request)
    if (refused !== '') {
      call.write(status(NODE_ERROR, refused))
      call.end()
      return
    }
    const stream = new FlowStream(call, nodes)
    streams.add(stream)
    call.on('close', () => streams.delete(stream))
    stream.pump()
    forgetEnded()
  }

  function forgetEnded(): void {
    for (const stream of streams) if (stream.ended) streams.delete(stream)
  }

  const counts = (
    node: DemoNode,
  ): { num_flows: number; max_flows: number; seen_flows: number } => ({
    num_flows: node.seen - node.oldest,
    max_flows: node.ringMax,
    seen_flows: node.seen,
  })
  const uptimeNs = (): number => Math.round((now() - startedMs) * 1e6)

  function serverStatus(): object {
    const total = { num_flows: 0, max_flows: 0, seen_flows: 0 }
    for (const node of nodes) {
      const one = counts(node)
      total.num_flows += one.num_flows
      total.max_flows += one.max_flows
      total.seen_flows += one.seen_flows
    }
    return {
      ...total,
      uptime_ns: uptimeNs(),
      num_connected_nodes: { value: nodes.length },
      num_unavailable_nodes: { value: 0 },
      version: `hubble-relay v${VERSION}`,
      flows_rate: nodes.reduce((sum, node) => sum + flowsPerSecond(node, now()), 0),
    }
  }

  const nodeList = (): object[] =>
    nodes.map((node) => ({
      name: node.name,
      version: node.version,
      address: node.address,
      state: NODE_CONNECTED,
      tls: { enabled: false },
      uptime_ns: uptimeNs(),
      ...counts(node),
    }))
  const namespaces = options.namespaces.map((namespace) => ({
    cluster: options.cluster,
    namespace,
  }))

  return {
    name: 'demo-relay',
    get address() {
      return address
    },
    get streams() {
      return streams.size
    },
    flush() {
      for (const stream of streams) stream.pump()
      forgetEnded()
    },
    async start() {
      server = new grpc.Server()
      server.addService(HEALTH_SERVICE, HEALTH)
      server.addService(options.service, {
        GetFlows,
        ServerStatus: unary(serverStatus),
        GetNodes: unary(() => ({ nodes: nodeList() })),
        GetNamespaces: unary(() => ({ namespaces })),
      })
      address = `127.0.0.1:${await listen(server)}`
    },
    async stop() {
      for (const stream of streams) stream.abandon()
      streams.clear()
      if (server !== undefined) await shutDown(server)
      server = undefined
    },
  }
}

function unary(answer: () => object) {
  return (_call: unknown, callback: grpc.sendUnaryData<object>): void => callback(null, answer())
}

function listen(server: grpc.Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(new Error("Cannot open the demo's relay", { cause: error })) : resolve(port),
    )
  })
}

/** Lets the last words out, but waits for nobody who does not listen. */
function shutDown(server: grpc.Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.forceShutdown(), SHUTDOWN_MS)
    timer.unref()
    server.tryShutdown(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}

function flowsPerSecond(node: DemoNode, nowMs: number): number {
  let count = 0
  let oldestMs = nowMs
  for (let number = node.seen - 1; number >= node.oldest; number--) {
    const flow = node.at(number)
    if (flow === undefined || msOf(flow.time) < nowMs - RATE_MS) break
    oldestMs = msOf(flow.time)
    count++
  }
  return count === 0 ? 0 : (count * 1_000) / Math.max(1_000, nowMs - oldestMs)
}
