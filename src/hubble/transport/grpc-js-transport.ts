import * as grpc from '@grpc/grpc-js'
import { describeError } from '../../errors.ts'
import { secureContextOf } from './secure-context.ts'
import {
  type CallEnd,
  type OnMessage,
  type StreamTransport,
  type TlsMaterial,
  type TransportOptions,
  withDefaults,
} from './transport.ts'

const { CANCELLED, INTERNAL, UNAVAILABLE, UNKNOWN } = grpc.status
const ABORTED: CallEnd = { code: CANCELLED, details: 'Cancelled by us' }
const CLOSED: CallEnd = { code: CANCELLED, details: 'The transport was closed' }
const bytesOf = (bytes: Buffer): Buffer => bytes

/**
 * The same over @grpc/grpc-js, for comparison and as the fallback by configuration; it speaks to
 * servers without ALPN as well. Where 1.14.7 differs from the contract:
 * it unpacks messages that are compressed with gzip or deflate, and takes an end in the middle of a
 * message for a proper one; it tries a refused stream again by itself; after a failed attempt it
 * waits 500 ms, at most 5 s, before it dials again, and streams fail meanwhile with the former reason;
 * a dial or TLS handshake that hangs outlives `close` and keeps the process, until the peer or the
 * kernel gives it up.
 * @throws {ConfigError} when the TLS material is not what it should be.
 */
export function createGrpcJsTransport(
  address: string,
  tls: TlsMaterial | undefined,
  options: TransportOptions = {},
): StreamTransport {
  const { connectTimeoutMs, windowBytes, onMetadata } = withDefaults(options)
  const credentials =
    tls === undefined
      ? grpc.credentials.createInsecure()
      : grpc.credentials.createFromSecureContext(secureContextOf(tls))
  // With the scheme, a host is never taken for one.
  const client = new grpc.Client(`dns:${address}`, credentials, {
    'grpc-node.flow_control_window': windowBytes,
    // Metadata and addresses are the cluster's own: never through a proxy of the environment.
    'grpc.enable_http_proxy': 0,
    // A new client is a new connection: a half-open one must not be found again in the common pool.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.initial_reconnect_backoff_ms': 500,
    'grpc.max_reconnect_backoff_ms': 5_000,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_channelz': 0,
    ...(tls?.serverName === undefined ? {} : { 'grpc.ssl_target_name_override': tls.serverName }),
  })
  const cancels = new Set<(end: CallEnd) => void>()
  let isClosed = false

  function isConnecting(): boolean {
    const state = client.getChannel().getConnectivityState(false)
    return state === grpc.connectivityState.CONNECTING
  }

  return {
    open(path, request, onMessage, signal) {
      if (isClosed) return Promise.resolve(CLOSED)
      if (signal.aborted) return Promise.resolve(ABORTED)
      return new Promise((resolve) => {
        const body = Buffer.from(request.buffer, request.byteOffset, request.byteLength)
        const metadata = new grpc.Metadata()
        const call = client.makeServerStreamRequest(path, bytesOf, bytesOf, body, metadata, {})
        let status: CallEnd | undefined
        let hasEnded = false

        const end = (how: CallEnd): void => {
          if (hasEnded) return
          hasEnded = true
          clearTimeout(timer)
          signal.removeEventListener('abort', abort)
          cancels.delete(cancel)
          resolve(how)
        }
        const cancel = (how: CallEnd): void => {
          end(how)
          call.cancel()
        }
        const abort = () => cancel(ABORTED)
        // grpc-js itself waits for TCP and TLS as long as the kernel does.
        const timer = setTimeout(() => {
          if (!isConnecting()) return
          const details = `Cannot connect to ${address}: no answer within ${connectTimeoutMs} ms`
          cancel({ code: UNAVAILABLE, details })
        }, connectTimeoutMs)

        cancels.add(cancel)
        signal.addEventListener('abort', abort, { once: true })
        call.on('metadata', (headers: grpc.Metadata) => {
          clearTimeout(timer)
          if (!hasEnded) onMetadata(textsOf(headers))
        })
        call.on('data', (bytes: Buffer) => {
          if (hasEnded) return
          const busy = handOn(onMessage, bytes, cancel)
          if (busy === undefined) return
          call.pause()
          busy.then(
            () => call.resume(),
            (error: unknown) => cancel(refusalOf(error)),
          )
        })
        // The same end comes as `status`, which is there for OK too; messages may still be unread.
        call.on('error', () => {})
        call.on('status', (told: grpc.StatusObject) => (status = endOf(told)))
        call.on('end', () => end(status ?? ABORTED))
      })
    },
    close() {
      isClosed = true
      for (const cancel of cancels) cancel(CLOSED)
      client.close()
    },
  }
}

/** grpc-js passes a status on that is no number, and gives none where it cannot unpack a message. */
function endOf({ code, details }: grpc.StatusObject): CallEnd {
  if (Number.isInteger(code)) return { code, details }
  if (code === undefined) {
    return { code: INTERNAL, details: 'Received a compressed message without an encoding' }
  }
  return { code: UNKNOWN, details: `Received a status that is no number: ${details}` }
}

function handOn(
  onMessage: OnMessage,
  bytes: Buffer,
  cancel: (end: CallEnd) => void,
): Promise<void> | undefined {
  try {
    return onMessage(bytes, 0, bytes.length)
  } catch (error) {
    cancel(refusalOf(error))
    return undefined
  }
}

function refusalOf(error: unknown): CallEnd {
  return { code: INTERNAL, details: `Cannot take a message: ${describeError(error)}` }
}

function textsOf(metadata: grpc.Metadata): ReadonlyMap<string, string> {
  const texts = new Map<string, string>()
  for (const [name, value] of Object.entries(metadata.getMap())) {
    if (typeof value === 'string') texts.set(name, value)
  }
  return texts
}
