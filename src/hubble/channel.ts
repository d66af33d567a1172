import { readFile } from 'node:fs/promises'
import * as grpc from '@grpc/grpc-js'
import { ConfigError } from '../errors.ts'
import { observerService, peerService } from './proto.ts'
import { createGrpcJsTransport } from './transport/grpc-js-transport.ts'
import { createHttp2Transport } from './transport/h2/http2-transport.ts'
import type { CallEnd, OnMessage, StreamTransport, TlsMaterial } from './transport/transport.ts'

/** Files in PEM. `serverName` is checked against the certificate instead of the address's host. */
interface TlsOptions {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
  readonly serverName?: string | undefined
}

export interface ChannelOptions {
  readonly tls?: TlsOptions | undefined
  /** Default http2. */
  readonly transport?: 'http2' | 'grpc-js' | undefined
}

/** `observer.GetFlowsRequest`, as proto-loader encodes it. Times are whole ms. */
export interface FlowsRequest {
  readonly since?: Timestamp | undefined
  readonly until?: Timestamp | undefined
  readonly follow?: boolean | undefined
  readonly number?: number | undefined
  readonly whitelist?: readonly object[] | undefined
  readonly blacklist?: readonly object[] | undefined
  readonly field_mask?: object | undefined
}

interface Timestamp {
  readonly seconds: number
  readonly nanos: number
}

export function timestampOf(ms: number): Timestamp {
  const seconds = Math.floor(ms / 1_000)
  return { seconds, nanos: Math.min(999_999_999, Math.round((ms - seconds * 1_000) * 1e6)) }
}

/** `observer.ServerStatus`. An agent counts no nodes: it is the one. */
export interface ServerStatus {
  readonly connected: number
  readonly unavailable: number
  readonly version: string
  readonly seenFlows: number
  readonly uptimeNs: number
  readonly ringMax: number
}

/** One node, as Relay tells of it. */
export interface NodeFacts {
  readonly name: string
  readonly address: string
  /** 0 where Relay could not ask it. */
  readonly uptimeNs: number
  readonly seenFlows: number
  /** Events that its ring holds; 0: unknown. */
  readonly ringMax: number
}

/** `peer.ChangeNotification`. */
export interface PeerChange {
  readonly type: 'added' | 'deleted' | 'updated'
  readonly name: string
  readonly address: string
  /** Undefined: the peer speaks plaintext. */
  readonly serverName: string | undefined
}

/**
 * One Hubble Relay, or one agent. All calls share one connection, so that a question that gets its
 * answer shows that the stream of flows is not dead either.
 */
export interface HubbleClient {
  /** One GetFlows stream, as `StreamTransport.open` carries it. */
  openFlows(request: FlowsRequest, onMessage: OnMessage, signal: AbortSignal): Promise<CallEnd>
  /** Gives up after `deadlineMs`: with a half-open node behind Relay there is no partial answer. */
  serverStatus(deadlineMs: number, signal: AbortSignal): Promise<ServerStatus | CallEnd>
  /** Agents do not have it (code 12), and it hangs as ServerStatus does. */
  nodes(deadlineMs: number, signal: AbortSignal): Promise<readonly NodeFacts[] | CallEnd>
  /** All present peers first, then each change. Settles when the stream ended. */
  followPeers(onChange: (change: PeerChange) => void, signal: AbortSignal): Promise<CallEnd>
  close(): void
}

/** `grpc.status`. */
export const DEADLINE_EXCEEDED = 4
const NO_ANSWER: CallEnd = { code: grpc.status.INTERNAL, details: 'the answer cannot be read' }

/**
 * Connects to `address` (HOST:PORT), plaintext without `tls`, whose files are read anew each time.
 * Nothing is dialled before the first call. No keepalive pings: Relay answers those with GOAWAY
 * (docs/hubble.md, Streams).
 *
 * @throws {ConfigError} when a TLS file cannot be read.
 */
export async function connectHubble(
  address: string,
  options: ChannelOptions = {},
): Promise<HubbleClient> {
  const tls = options.tls === undefined ? undefined : await materialOf(options.tls)
  const streams: StreamTransport =
    options.transport === 'grpc-js'
      ? createGrpcJsTransport(address, tls)
      : createHttp2Transport(address, tls)
  const observer = observerService()
  const getFlows = methodOf(observer, 'GetFlows')
  return {
    openFlows: (request, onMessage, signal) =>
      streams.open(getFlows.path, getFlows.requestSerialize(request), onMessage, signal),
    serverStatus: async (deadlineMs, signal) => {
      const answer = await ask(streams, methodOf(observer, 'ServerStatus'), deadlineMs, signal)
      return 'code' in answer ? answer : statusOf(answer)
    },
    nodes: async (deadlineMs, signal) => {
      const answer = await ask(streams, methodOf(observer, 'GetNodes'), deadlineMs, signal)
      return 'code' in answer ? answer : nodesOf(answer)
    },
    followPeers: (onChange, signal) => followPeers(streams, onChange, signal),
    close: () => streams.close(),
  }
}

/** The same text each time for the same failure: it is told once. grpc-js adds times and ports to a deadline's. */
export function reasonOf({ code, details }: CallEnd): string {
  if (code === grpc.status.OK) return 'the stream ended: no node is left'
  if (code === DEADLINE_EXCEEDED) return 'no answer in time: it, or a node behind it, hangs'
  return `status ${code}: ${details}`
}

async function materialOf(tls: TlsOptions): Promise<TlsMaterial> {
  const read = async (path: string | undefined) => {
    if (path === undefined) return undefined
    try {
      return await readFile(path)
    } catch (cause) {
      throw new ConfigError(`Cannot read the TLS file ${path}`, { cause })
    }
  }
  const [ca, cert, key] = await Promise.all([read(tls.ca), read(tls.cert), read(tls.key)])
  return { ca, cert, key, serverName: tls.serverName }
}

/** A unary call is a stream of one message. Any answer, or how the call failed. */
async function ask(
  streams: StreamTransport,
  { path, requestSerialize, responseDeserialize }: grpc.MethodDefinition<object, object>,
  deadlineMs: number,
  signal: AbortSignal,
): Promise<object | CallEnd> {
  const deadline = AbortSignal.timeout(deadlineMs)
  let answer: object | undefined
  const onMessage = (bytes: Buffer, start: number, end: number) => {
    answer ??= decoded(responseDeserialize, bytes.subarray(start, end))
    return undefined
  }
  const ended = AbortSignal.any([signal, deadline])
  const end = await streams.open(path, requestSerialize({}), onMessage, ended)
  if (end.code === grpc.status.OK) return answer ?? NO_ANSWER
  return deadline.aborted && !signal.aborted ? { code: DEADLINE_EXCEEDED, details: '' } : end
}

function decoded(deserialize: (bytes: Buffer) => object, bytes: Buffer): object | undefined {
  try {
    return deserialize(bytes)
  } catch {
    return undefined
  }
}

function followPeers(
  streams: StreamTransport,
  onChange: (change: PeerChange) => void,
  signal: AbortSignal,
): Promise<CallEnd> {
  const notify = methodOf(peerService(), 'Notify')
  const onMessage = (bytes: Buffer, start: number, end: number) => {
    const message = decoded(notify.responseDeserialize, bytes.subarray(start, end))
    const change = message === undefined ? undefined : peerChangeOf(message)
    if (change !== undefined) onChange(change)
    return undefined
  }
  return streams.open(notify.path, notify.requestSerialize({}), onMessage, signal)
}

const PEER_CHANGES = [undefined, 'added', 'deleted', 'updated'] as const

function peerChangeOf(message: object): PeerChange | undefined {
  const { name, address, type, tls } = message as {
    readonly name?: string
    readonly address?: string
    readonly type?: number
    readonly tls?: { readonly server_name?: string } | null
  }
  const change = PEER_CHANGES[type ?? 0]
  if (change === undefined || name === undefined) return undefined
  const serverName = tls ? (tls.server_name ?? '') : undefined
  return { type: change, name, address: address ?? '', serverName }
}

function methodOf(service: grpc.ServiceDefinition, name: string) {
  return service[name] as grpc.MethodDefinition<object, object>
}

interface StatusMessage {
  readonly num_connected_nodes?: { readonly value?: number } | null
  readonly num_unavailable_nodes?: { readonly value?: number } | null
  readonly version?: string
  readonly seen_flows?: number
  readonly uptime_ns?: number
  readonly max_flows?: number
}

function statusOf(answer: StatusMessage): ServerStatus {
  const counted = answer.num_connected_nodes
  return {
    connected: counted ? (counted.value ?? 0) : 1,
    unavailable: answer.num_unavailable_nodes?.value ?? 0,
    version: answer.version ?? '',
    seenFlows: answer.seen_flows ?? 0,
    uptimeNs: answer.uptime_ns ?? 0,
    ringMax: answer.max_flows ?? 0,
  }
}

interface NodesMessage {
  readonly nodes?: readonly {
    readonly name?: string
    readonly address?: string
    readonly uptime_ns?: number
    readonly seen_flows?: number
    readonly max_flows?: number
  }[]
}

function nodesOf(answer: NodesMessage): NodeFacts[] {
  return (answer.nodes ?? []).map((node) => ({
    name: node.name ?? '',
    address: node.address ?? '',
    uptimeNs: node.uptime_ns ?? 0,
    seenFlows: node.seen_flows ?? 0,
    ringMax: node.max_flows ?? 0,
  }))
}
