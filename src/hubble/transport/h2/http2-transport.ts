import { describeError } from '../../../errors.ts'
import { StatusCode } from '../grpc-status.ts'
import { secureContextOf } from '../secure-context.ts'
import {
  type CallEnd,
  type StreamTransport,
  type TlsMaterial,
  type TransportOptions,
  withDefaults,
} from '../transport.ts'
import { GrpcCall } from './grpc-call.ts'
import { encodedHeaders } from './hpack.ts'
import { SocketConnection } from './socket-connection.ts'

const ABORTED: CallEnd = { code: StatusCode.cancelled, details: 'Cancelled by us' }
const CLOSED: CallEnd = { code: StatusCode.cancelled, details: 'The transport was closed' }

/**
 * The transport of flows: HTTP/2 of our own on the socket, for a peer that sends a DATA frame for each
 * message, as grpc-go does. `address` is HOST:PORT; plaintext without `tls`. Sends no pings: Relay
 * answers them with GOAWAY.
 * @throws {ConfigError} when the TLS material is not what it should be.
 */
export function createHttp2Transport(
  address: string,
  tls: TlsMaterial | undefined,
  options: TransportOptions = {},
): StreamTransport {
  const { connectTimeoutMs, windowBytes, onMetadata } = withDefaults(options)
  const secure = tls && { context: secureContextOf(tls), serverName: tls.serverName }
  /** More than one only while streams of the former ones last, after a GOAWAY. */
  const connections = new Set<SocketConnection>()
  const calls = new Set<GrpcCall>()
  let current: SocketConnection | undefined
  let isClosed = false

  function connection(): SocketConnection {
    if (current !== undefined && !current.isDraining) return current
    const onGone = () => connections.delete(dialled)
    const dialled = new SocketConnection({
      address,
      tls: secure,
      connectTimeoutMs,
      windowBytes,
      onGone,
    })
    connections.add(dialled)
    current = dialled
    return dialled
  }

  return {
    open(path, request, onMessage, signal) {
      if (isClosed) return Promise.resolve(CLOSED)
      if (signal.aborted) return Promise.resolve(ABORTED)
      return new Promise((resolve) => {
        let by: SocketConnection
        try {
          by = connection()
        } catch (cause) {
          // A peer may have told an address that is none.
          const details = `Cannot connect to ${address}: ${describeError(cause)}`
          return resolve({ code: StatusCode.unavailable, details })
        }
        const abort = () => call.end(ABORTED)
        const onEnd = (end: CallEnd) => {
          signal.removeEventListener('abort', abort)
          calls.delete(call)
          resolve(end)
        }
        const call = new GrpcCall({ onMessage, onMetadata, onEnd })
        signal.addEventListener('abort', abort, { once: true })
        calls.add(call)
        call.start(by.session, headersOf(address, secure === undefined, path), framed(request))
      })
    },
    close() {
      isClosed = true
      for (const call of calls) call.end(CLOSED)
      for (const each of connections) each.close()
    },
  }
}

function headersOf(address: string, isPlaintext: boolean, path: string): Buffer {
  return encodedHeaders([
    [':method', 'POST'],
    [':scheme', isPlaintext ? 'http' : 'https'],
    [':authority', address],
    [':path', path],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ['user-agent', 'weir'],
  ])
}

function framed(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + message.length)
  bytes.writeUInt32BE(message.length, 1)
  bytes.set(message, 5)
  return bytes
}
