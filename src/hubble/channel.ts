import { readFile } from 'node:fs/promises'
import * as grpc from '@grpc/grpc-js'
import { ConfigError } from '../errors.ts'
import type { FlowsMessage } from './flow-message.ts'
import { createObserverClient, observerService } from './proto.ts'

/** Files in PEM. `serverName` is checked against the certificate instead of the address's host. */
export interface TlsOptions {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
  readonly serverName?: string | undefined
}

export interface FlowsRequest {
  readonly since?: { readonly seconds: number; readonly nanos: number } | undefined
  readonly until?: { readonly seconds: number; readonly nanos: number } | undefined
  readonly follow: boolean
  readonly number?: number | undefined
}

/** How a call ended; OK is code 0. */
export interface CallEnd {
  readonly code: number
  readonly details: string
}

interface ServerStatus {
  readonly connected: number
  readonly unavailable: number
  readonly version: string
}

/** One Hubble Relay, or one agent. */
export interface HubbleClient {
  /**
   * Opens one GetFlows stream. Calls `onMessage` synchronously for each message, `onMalformed` for
   * each that cannot be decoded: it costs that message, not the stream. Reading waits for a promise
   * that `onMessage` returns: for bounded reads only. Settles when the stream ended.
   */
  openFlows(
    request: FlowsRequest,
    onMessage: (message: FlowsMessage) => Promise<void> | undefined,
    onMalformed: () => void,
    signal: AbortSignal,
  ): Promise<CallEnd>
  /** Gives up after `deadlineMs`: with a half-open node behind Relay there is no partial answer. */
  serverStatus(deadlineMs: number, signal: AbortSignal): Promise<ServerStatus | CallEnd>
  close(): void
}

/** 4 MB: at 64 KB the window caps the rate by the round trip, and costs CPU. */
const FLOW_CONTROL_WINDOW_BYTES = 4 * 1_024 * 1_024

/**
 * Connects to `address` (HOST:PORT), plaintext without `tls`. Nothing is dialled before the first
 * call. No keepalive pings: Relay answers those with GOAWAY (docs/hubble.md, Streams).
 *
 * @throws {ConfigError} when a TLS file cannot be read.
 */
export async function connectHubble(
  address: string,
  tls: TlsOptions | undefined,
): Promise<HubbleClient> {
  const credentials = tls === undefined ? grpc.credentials.createInsecure() : await secure(tls)
  const client = createObserverClient(address, credentials, {
    'grpc-node.flow_control_window': FLOW_CONTROL_WINDOW_BYTES,
    // Metadata and addresses are the cluster's own: never through a proxy of the environment.
    'grpc.enable_http_proxy': 0,
    // A new client is a new connection: a half-open one must not be found again in the common pool.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.initial_reconnect_backoff_ms': 500,
    'grpc.max_reconnect_backoff_ms': 5_000,
    ...(tls?.serverName === undefined ? {} : { 'grpc.ssl_target_name_override': tls.serverName }),
  })
  const getFlows = method('GetFlows')
  return {
    openFlows: (request, onMessage, onMalformed, signal) =>
      new Promise((resolve) => {
        // The bytes are decoded here, not by grpc-js, which ends the stream over one bad message.
        const call = client.makeServerStreamRequest(
          getFlows.path,
          getFlows.requestSerialize,
          (bytes: Buffer) => bytes,
          request,
          new grpc.Metadata(),
        )
        const cancel = () => call.cancel()
        signal.addEventListener('abort', cancel, { once: true })
        if (signal.aborted) cancel()
        call.on('data', (bytes: Buffer) => {
          const message = decode(getFlows, bytes)
          const busy = message === undefined ? onMalformed() : onMessage(message)
          if (!(busy instanceof Promise)) return
          call.pause()
          busy.then(
            () => call.resume(),
            () => call.cancel(),
          )
        })
        // The same end comes as `status`, which is there for OK too.
        call.on('error', () => {})
        call.on('status', ({ code, details }: grpc.StatusObject) => {
          signal.removeEventListener('abort', cancel)
          resolve({ code, details })
        })
      }),
    serverStatus: (deadlineMs, signal) =>
      new Promise((resolve) => {
        const deadline = Date.now() + deadlineMs
        const call = client.ServerStatus({}, new grpc.Metadata(), { deadline }, (error, answer) => {
          signal.removeEventListener('abort', cancel)
          resolve(error ?? statusOf(answer as StatusAnswer))
        })
        const cancel = () => call.cancel()
        signal.addEventListener('abort', cancel, { once: true })
        if (signal.aborted) cancel()
      }),
    close: () => client.close(),
  }
}

/** The same text each time for the same failure: it is told once. grpc-js adds times and ports to a deadline's. */
export function reasonOf({ code, details }: CallEnd): string {
  if (code === grpc.status.OK) return 'the stream ended: no node is left'
  if (code === grpc.status.DEADLINE_EXCEEDED)
    return 'no answer in time: it, or a node behind it, hangs'
  return `status ${code}: ${details}`
}

async function secure(tls: TlsOptions): Promise<grpc.ChannelCredentials> {
  const read = async (path: string | undefined) => {
    if (path === undefined) return null
    try {
      return await readFile(path)
    } catch (cause) {
      throw new ConfigError(`Cannot read the TLS file ${path}`, { cause })
    }
  }
  const [ca, key, cert] = await Promise.all([read(tls.ca), read(tls.key), read(tls.cert)])
  return grpc.credentials.createSsl(ca, key, cert)
}

function method(name: string): grpc.MethodDefinition<object, FlowsMessage> {
  return observerService()[name] as grpc.MethodDefinition<object, FlowsMessage>
}

function decode(
  definition: grpc.MethodDefinition<object, FlowsMessage>,
  bytes: Buffer,
): FlowsMessage | undefined {
  try {
    return definition.responseDeserialize(bytes)
  } catch {
    return undefined
  }
}

interface StatusAnswer {
  readonly num_connected_nodes?: { readonly value?: number } | null
  readonly num_unavailable_nodes?: { readonly value?: number } | null
  readonly version?: string
}

/** An agent, asked directly, counts no nodes: it is the one. */
function statusOf(answer: StatusAnswer): ServerStatus {
  const counted = answer.num_connected_nodes
  return {
    connected: counted ? (counted.value ?? 0) : 1,
    unavailable: answer.num_unavailable_nodes?.value ?? 0,
    version: answer.version ?? '',
  }
}
