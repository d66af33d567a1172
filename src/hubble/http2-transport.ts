import {
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { describeError } from '../errors.ts'
import { GrpcFrames } from './grpc-frames.ts'
import { endOfHttpStatus, endOfReset, endOfTrailers, StatusCode } from './grpc-status.ts'
import { Http2Connection } from './http2-connection.ts'
import { secureContextOf } from './secure-context.ts'
import {
  type CallEnd,
  type OnMessage,
  type StreamTransport,
  type TlsMaterial,
  type TransportOptions,
  withDefaults,
} from './transport.ts'

const ABORTED: CallEnd = { code: StatusCode.cancelled, details: 'Cancelled by us' }
const CLOSED: CallEnd = { code: StatusCode.cancelled, details: 'The transport was closed' }

/**
 * The transport of flows: node:http2 with gRPC framing of our own, which takes about a third of the
 * CPU that grpc-js takes for a message. `address` is HOST:PORT; plaintext without `tls`. Sends no
 * pings: Relay answers them with GOAWAY.
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
  const connections = new Set<Http2Connection>()
  const calls = new Set<Call>()
  let current: Http2Connection | undefined
  let isClosed = false

  function connection(): Http2Connection {
    if (current !== undefined && !current.isDraining) return current
    const onGone = () => connections.delete(dialled)
    const dialled = new Http2Connection({
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
        let by: Http2Connection
        try {
          by = connection()
        } catch (cause) {
          // A peer may have told an address that is none.
          const details = `Cannot connect to ${address}: ${describeError(cause)}`
          return resolve({ code: StatusCode.unavailable, details })
        }
        const abort = () => call.end(ABORTED)
        const call = new Call(by, onMessage, onMetadata, (end) => {
          signal.removeEventListener('abort', abort)
          calls.delete(call)
          resolve(end)
        })
        signal.addEventListener('abort', abort, { once: true })
        calls.add(call)
        void call.start(headersOf(address, secure === undefined, path), framed(request))
      })
    },
    close() {
      isClosed = true
      for (const call of calls) call.end(CLOSED)
      for (const each of connections) each.close()
    },
  }
}

/** One stream. What node:http2 tells of its end is spread over several events, in any order. */
class Call {
  readonly #connection: Http2Connection
  readonly #onMetadata: (headers: ReadonlyMap<string, string>) => void
  readonly #onEnd: (end: CallEnd) => void
  readonly #frames: GrpcFrames
  #stream: ClientHttp2Stream | undefined
  #hasEnded = false
  /** A promise of `onMessage` is pending. */
  #isWaiting = false
  /** What came in the meantime, after the trailers. */
  readonly #unread: Buffer[] = []
  #isStreamClosed = false
  #response: IncomingHttpHeaders | undefined
  #trailers: IncomingHttpHeaders | undefined
  /** Each byte that the peer sent before the trailers was read. */
  #isReadToEnd = false
  #error: Error | undefined

  constructor(
    connection: Http2Connection,
    onMessage: OnMessage,
    onMetadata: (headers: ReadonlyMap<string, string>) => void,
    onEnd: (end: CallEnd) => void,
  ) {
    this.#connection = connection
    this.#onMetadata = onMetadata
    this.#onEnd = onEnd
    this.#frames = new GrpcFrames(onMessage)
  }

  async start(headers: OutgoingHttpHeaders, body: Buffer): Promise<void> {
    const failure = await this.#connection.ready
    if (this.#hasEnded) return
    if (failure !== undefined) return this.end(failure)
    if (this.#connection.isDraining) return this.end(this.#connection.loss())
    const stream = this.#connection.session.request(headers)
    this.#stream = stream
    stream.on('response', (received, flags) => this.#onResponse(received, flags))
    stream.on('trailers', (received) => this.#onTrailers(received))
    stream.on('data', (chunk: Buffer) => this.#onData(chunk))
    stream.on('end', () => (this.#isReadToEnd = true))
    stream.on('error', (error) => (this.#error = error))
    stream.on('close', () => this.#onClose())
    stream.end(body)
  }

  /** Settles the call, once; resets the stream unless it is over. */
  end(end: CallEnd): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#frames.stop()
    this.#stream?.close(constants.NGHTTP2_CANCEL)
    this.#stream?.resume()
    this.#onEnd(end)
  }

  #onResponse(headers: IncomingHttpHeaders, flags: number): void {
    this.#response = headers
    if ((flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0) this.#trailers = headers
    const metadata = new Map<string, string>()
    for (const [name, value] of Object.entries(headers)) {
      if (typeof value === 'string' && !name.startsWith(':')) metadata.set(name, value)
    }
    if (!this.#hasEnded) this.#onMetadata(metadata)
  }

  /**
   * All there is has come, no more than a window: what Node still holds is taken over, for it throws
   * that away when the connection ends.
   */
  #onTrailers(headers: IncomingHttpHeaders): void {
    this.#trailers = headers
    this.#stream?.resume()
  }

  #onData(chunk: Buffer): void {
    if (this.#isWaiting) this.#unread.push(chunk)
    else this.#read(chunk)
  }

  /** The next chunk, or what is left of the one before. */
  #read(chunk?: Buffer): void {
    let busy: Promise<void> | undefined
    try {
      busy = chunk === undefined ? this.#frames.resume() : this.#frames.read(chunk)
    } catch (error) {
      return this.#refuse(error)
    }
    if (busy !== undefined) {
      this.#wait(busy)
    } else if (this.#frames.failure !== undefined && !this.#hasEnded) {
      // node:http2 tells of headers a tick late, and a page of HTML is better told by its status.
      setImmediate(() => this.end(this.#reason()))
    }
  }

  #wait(busy: Promise<void>): void {
    this.#isWaiting = true
    if (this.#trailers === undefined) this.#stream?.pause()
    busy.then(
      () => this.#goOn(),
      (error: unknown) => this.#refuse(error),
    )
  }

  #refuse(error: unknown): void {
    const details = `Cannot take a message: ${describeError(error)}`
    this.end({ code: StatusCode.internal, details })
  }

  #goOn(): void {
    if (this.#hasEnded) return
    this.#isWaiting = false
    this.#read()
    while (!this.#isWaiting && this.#unread.length > 0) this.#read(this.#unread.shift())
    if (this.#isWaiting) return
    if (this.#isStreamClosed) this.end(this.#reason())
    else this.#stream?.resume()
  }

  #onClose(): void {
    this.#isStreamClosed = true
    // What was read before the trailers is still handed on; after a loss there is nothing to wait for.
    if (this.#isWaiting && this.#isReadToEnd && this.#trailers !== undefined) return
    this.end(this.#reason())
  }

  #reason(): CallEnd {
    if (this.#frames.failure !== undefined) return this.#unlikeGrpc() ?? this.#frames.failure
    const told = endOfTrailers(this.#trailers?.['grpc-status'], this.#trailers?.['grpc-message'])
    if (told !== undefined && told.code !== StatusCode.ok) return told
    const { internal, unavailable } = StatusCode
    if (told !== undefined && this.#isReadToEnd) {
      if (!this.#frames.isMidMessage) return told
      return { code: internal, details: 'The stream ended in the middle of a message' }
    }
    if (this.#connection.session.destroyed) return this.#connection.loss(this.#error)
    const unlike = this.#unlikeGrpc()
    if (unlike !== undefined) return unlike
    const code = this.#stream?.rstCode ?? constants.NGHTTP2_NO_ERROR
    // nghttp2 does not send what is submitted after a GOAWAY, and Node calls that INTERNAL_ERROR:
    // github.com/nodejs/node/issues/55888.
    if (this.#connection.isDraining && this.#response === undefined) {
      return { code: unavailable, details: 'The stream was refused: the peer is going away' }
    }
    if (code !== constants.NGHTTP2_NO_ERROR) return endOfReset(code, this.#ownReason())
    const middle = this.#frames.isMidMessage ? ', in the middle of a message' : ''
    return { code: internal, details: `The stream ended without a gRPC status${middle}` }
  }

  /** What node:http2 says of a reset that was its own; it says nothing new of the peer's. */
  #ownReason(): string {
    const error = this.#error as NodeJS.ErrnoException | undefined
    return error === undefined || error.code === 'ERR_HTTP2_STREAM_ERROR' ? '' : error.message
  }

  /** Undefined: the response looks like gRPC, as far as is known. */
  #unlikeGrpc(): CallEnd | undefined {
    if (this.#response === undefined) return undefined
    const httpStatus = Number(this.#response[':status'])
    if (httpStatus !== 200) return endOfHttpStatus(httpStatus)
    const contentType = this.#response['content-type']
    if (contentType === undefined || contentType.startsWith('application/grpc')) return undefined
    return {
      code: StatusCode.unknown,
      details: `Received the content-type "${contentType}" instead of gRPC's`,
    }
  }
}

function headersOf(address: string, isPlaintext: boolean, path: string): OutgoingHttpHeaders {
  return {
    ':method': 'POST',
    ':scheme': isPlaintext ? 'http' : 'https',
    ':authority': address,
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    'user-agent': 'weir',
  }
}

function framed(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + message.length)
  bytes.writeUInt32BE(message.length, 1)
  bytes.set(message, 5)
  return bytes
}
