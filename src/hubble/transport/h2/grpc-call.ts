import { describeError } from '../../../errors.ts'
import { GrpcFrames } from '../grpc-frames.ts'
import { endOfHttpStatus, endOfReset, endOfTrailers, StatusCode } from '../grpc-status.ts'
import type { CallEnd, OnMessage } from '../transport.ts'
import { ErrorCode } from './frames.ts'
import { KeptBytes } from './kept-bytes.ts'
import type { ResponseHeaders } from './response-headers.ts'
import type { Session } from './session.ts'
import { H2Stream, type StreamHandler } from './stream.ts'

export interface GrpcCallOptions {
  readonly onMessage: OnMessage
  readonly onMetadata: (headers: ReadonlyMap<string, string>) => void
  /** Called once. */
  readonly onEnd: (end: CallEnd) => void
}

/**
 * One call of gRPC on a stream: its messages, and how it ended. While a promise of `onMessage` is
 * pending the bytes that come are kept, at most a window, and the peer gets no credit for them.
 */
export class GrpcCall implements StreamHandler {
  readonly #options: GrpcCallOptions
  readonly #frames: GrpcFrames
  readonly #kept = new KeptBytes()
  #session: Session | undefined
  #stream: H2Stream | undefined
  #isWaiting = false
  #isReadToEnd = false
  #hasEnded = false
  #response: ResponseHeaders | undefined
  #trailers: ResponseHeaders | undefined

  constructor(options: GrpcCallOptions) {
    this.#options = options
    this.#frames = new GrpcFrames(options.onMessage)
  }

  /** `headers` are an encoded block; `body` is the request in gRPC's framing. */
  start(session: Session, headers: Buffer, body: Buffer): void {
    this.#session = session
    this.#stream = new H2Stream(this, headers, body)
    session.open(this.#stream)
  }

  /** Settles the call, once; resets the stream unless it is over. */
  end(end: CallEnd): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#frames.stop()
    this.#kept.clear()
    if (this.#stream !== undefined) this.#session?.cancel(this.#stream)
    this.#options.onEnd(end)
  }

  onHeaders(headers: ResponseHeaders): void {
    if (this.#hasEnded) return
    this.#trailers = headers
    if (this.#response !== undefined) return
    this.#response = headers
    try {
      this.#options.onMetadata(headers.texts)
    } catch (error) {
      this.#refuse(error)
    }
  }

  onData(bytes: Buffer, start: number, end: number): number {
    if (this.#hasEnded) return 0
    const from = this.#isWaiting ? start : this.#read(bytes, start, end)
    if (from < end && !this.#hasEnded) this.#kept.append(bytes, from, end)
    return end - from
  }

  onEnd(): void {
    this.#isReadToEnd = true
    if (!this.#isWaiting) this.end(this.#reason())
  }

  onReset(code: number): void {
    this.end(this.#unlikeGrpc() ?? this.#ofReset(code))
  }

  onFailure(end: CallEnd): void {
    this.end(end)
  }

  /** Returns where it stopped: at `end`, unless it has to wait. */
  #read(bytes: Buffer, start: number, end: number): number {
    let busy: Promise<void> | undefined
    try {
      busy = this.#frames.read(bytes, start, end)
    } catch (error) {
      this.#refuse(error)
      return end
    }
    if (busy !== undefined) {
      this.#wait(busy)
      return this.#frames.at
    }
    if (this.#frames.failure !== undefined) this.end(this.#reason())
    return end
  }

  #wait(busy: Promise<void>): void {
    this.#isWaiting = true
    busy.then(
      () => this.#goOn(),
      (error: unknown) => this.#refuse(error),
    )
  }

  #goOn(): void {
    if (this.#hasEnded) return
    this.#isWaiting = false
    const { bytes, start, end } = this.#kept
    if (start < end) {
      const at = this.#read(bytes, start, end)
      this.#kept.dropTo(at)
      if (this.#stream !== undefined) this.#session?.credit(this.#stream, at - start)
    }
    if (this.#isReadToEnd && !this.#isWaiting) this.end(this.#reason())
  }

  #refuse(error: unknown): void {
    const details = `Cannot take a message: ${describeError(error)}`
    this.end({ code: StatusCode.internal, details })
  }

  /** What was said last: trailers, or what came instead. */
  #reason(): CallEnd {
    if (this.#frames.failure !== undefined) return this.#unlikeGrpc() ?? this.#frames.failure
    const texts = this.#trailers?.texts
    const told = endOfTrailers(texts?.get('grpc-status'), texts?.get('grpc-message'))
    if (told !== undefined && (told.code !== StatusCode.ok || !this.#frames.isMidMessage)) {
      return told
    }
    const code = StatusCode.internal
    if (told !== undefined) return { code, details: 'The stream ended in the middle of a message' }
    return this.#unlikeGrpc() ?? this.#withoutStatus()
  }

  #ofReset(code: number): CallEnd {
    return code === ErrorCode.none ? this.#withoutStatus() : endOfReset(code, '')
  }

  #withoutStatus(): CallEnd {
    const middle = this.#frames.isMidMessage ? ', in the middle of a message' : ''
    const details = `The stream ended without a gRPC status${middle}`
    return { code: StatusCode.internal, details }
  }

  /** Undefined: the response looks like gRPC, as far as is known. */
  #unlikeGrpc(): CallEnd | undefined {
    if (this.#response === undefined) return undefined
    const { status, texts } = this.#response
    if (status !== 200) return endOfHttpStatus(status)
    const contentType = texts.get('content-type')
    if (contentType === undefined || contentType.startsWith('application/grpc')) return undefined
    return {
      code: StatusCode.unknown,
      details: `Received the content-type "${contentType}" instead of gRPC's`,
    }
  }
}
