import { StatusCode } from '../grpc-status.ts'
import type { CallEnd } from '../transport.ts'
import {
  ErrorCode,
  Flag,
  FRAME_BYTES_MAX,
  FRAME_HEADER_BYTES,
  FrameType,
  goawayFrame,
  INT31_MAX,
  resetFrame,
} from './frames.ts'
import { HeaderBlocks, isViolation, type ReceivedHeaders } from './header-block.ts'
import { HEADER_LIST_BYTES_MAX } from './hpack.ts'
import { Outbound } from './outbound.ts'
import { type Violation } from './peer-settings.ts'
import { responseHeadersOf } from './response-headers.ts'
import type { H2Stream } from './stream.ts'

export interface SessionOptions {
  /** Of each stream and of the connection. */
  readonly windowBytes: number
  /** Sends bytes, in order; how many of all that were sent the kernel has not taken yet. */
  readonly write: (bytes: Buffer) => number
  /** The peer's first SETTINGS have come. */
  readonly onReady: () => void
  /** The peer broke the protocol: the session is over, and the peer was told. */
  readonly onViolation: (text: string) => void
  /** The peer gave the connection up for an error; its streams are lost. */
  readonly onGivenUp: (code: number, debugData: string) => void
  /** The last stream has ended, and no further one may be opened. */
  readonly onDrained: () => void
}

const { data: DATA, settings: SETTINGS, continuation: CONTINUATION } = FrameType
const ANY = -1
const STREAM_ID_MASK = 0x7fffffff
const PING_BYTES = 8
const DEBUG_DATA_MAX = 200
const REFUSED: CallEnd = {
  code: StatusCode.unavailable,
  details: 'The stream was refused: the peer is going away',
}

/**
 * The client's side of one HTTP/2 connection, without its socket: bytes in, bytes out. Frames are
 * read in place; DATA costs no allocation. Whatever the peer sends, nothing of it throws, and memory
 * is bounded: by a window for each stream, 16 KiB of headers, and 1 MiB of answers that it does not
 * take. Source: RFC 9113.
 */
export class Session {
  readonly #options: SessionOptions
  readonly #out: Outbound
  readonly #headers = new HeaderBlocks()
  /** Open ones by id. */
  readonly #streams = new Map<number, H2Stream>()
  readonly #waiting = new Set<H2Stream>()
  /** The stream of the last DATA frame: mostly that of the next. */
  #recent: H2Stream | undefined
  #nextId = 1
  /** The type that the next frame must have. */
  #expected: number = SETTINGS
  #isReady = false
  #isGoingAway = false
  #isOver = false
  #isReceiving = false

  constructor(options: SessionOptions) {
    this.#options = options
    this.#out = new Outbound(options.windowBytes, options.write)
  }

  /** No further stream may be opened. */
  get isDraining(): boolean {
    return this.#isGoingAway || this.#isOver || this.#nextId > INT31_MAX
  }

  /** Sends the preface; to be called once, when the connection stands. */
  start(): void {
    this.#out.preface()
    this.#out.flush()
  }

  /**
   * Takes the frames that are whole in `bytes[start, end)` and returns where the rest begins, at most
   * 16 KiB and 8 bytes, which must stand before what comes next. Not to be called inside itself.
   */
  receive(bytes: Buffer, start: number, end: number): number {
    let at = start
    this.#isReceiving = true
    while (end - at >= FRAME_HEADER_BYTES && !this.#isOver) {
      const head = bytes.readUInt32BE(at)
      const type = head & 0xff
      const payload = at + FRAME_HEADER_BYTES
      const next = payload + (head >>> 8)
      if (this.#expected !== ANY && type !== this.#expected) {
        this.#fail({ code: ErrorCode.protocolError, text: `a frame of type ${type} out of order` })
        break
      }
      if (next > payload + FRAME_BYTES_MAX) {
        this.#fail({ code: ErrorCode.frameSizeError, text: `a frame of ${next - payload} bytes` })
        break
      }
      if (next > end) break
      const flags = bytes[at + 4] ?? 0
      const id = bytes.readUInt32BE(at + 5) & STREAM_ID_MASK
      if (type === DATA) this.#onData(id, flags, bytes, payload, next)
      else this.#onFrame(type, id, flags, bytes, payload, next)
      at = next
    }
    this.#isReceiving = false
    this.#out.creditConnection()
    this.#out.flush()
    if (this.#out.isClogged && !this.#isOver) {
      this.#fail({ code: ErrorCode.enhanceYourCalm, text: 'more to answer than the peer takes' })
    }
    return this.#isOver ? end : at
  }

  /** Sends the stream's request as soon as the peer takes it. */
  open(stream: H2Stream): void {
    if (this.isDraining) return stream.handler.onFailure(REFUSED)
    this.#waiting.add(stream)
    this.#admit()
  }

  /** Ends a stream for our own reasons; nothing comes on it any more. */
  cancel(stream: H2Stream): void {
    this.#remove(stream, ErrorCode.cancel)
  }

  /** What a stream's handler had kept was used. */
  credit(stream: H2Stream, bytes: number): void {
    if (stream.isOver) return
    this.#out.creditStream(stream, bytes)
    this.#flush()
  }

  /** Ends every stream: the connection is gone. */
  lose(end: CallEnd): void {
    this.#isOver = true
    const lost = [...this.#streams.values(), ...this.#waiting]
    this.#streams.clear()
    this.#waiting.clear()
    this.#recent = undefined
    for (const stream of lost) {
      stream.isOver = true
      stream.handler.onFailure(end)
    }
  }

  /** Says that we leave. */
  leave(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#out.push(goawayFrame(ErrorCode.none))
    this.#out.flush()
  }

  #onData(id: number, flags: number, bytes: Buffer, start: number, end: number): void {
    const length = end - start
    if (!this.#out.takeFromWindow(length)) {
      const text = 'more DATA than the window of the connection allows'
      return this.#fail({ code: ErrorCode.flowControlError, text })
    }
    let stream = this.#recent
    if (stream === undefined || stream.id !== id) {
      stream = this.#streams.get(id)
      if (stream === undefined) return this.#onLate('DATA', id)
      this.#recent = stream
    }
    let from = start
    let to = end
    if ((flags & Flag.padded) !== 0) {
      to -= bytes[from] ?? 0
      from++
      if (from > to) return this.#violate('DATA of nothing but padding', id)
    }
    stream.window -= length
    if (stream.window < 0) {
      return this.#break(stream, ErrorCode.flowControlError, 'more data than its window allows')
    }
    if (!stream.hasHeaders) {
      return this.#break(stream, ErrorCode.protocolError, 'data before any headers')
    }
    const kept = to > from ? stream.handler.onData(bytes, from, to) : 0
    if (stream.isOver) return
    if ((flags & Flag.endStream) !== 0) this.#finish(stream)
    else this.#out.creditStream(stream, length - kept)
  }

  #onFrame(
    type: number,
    id: number,
    flags: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): void {
    switch (type) {
      case FrameType.headers:
        if (this.#isIdle(id)) return this.#violate('HEADERS', id)
        return this.#onBlock(this.#headers.headers(id, flags, bytes, start, end))
      case CONTINUATION:
        if (this.#expected !== CONTINUATION) return this.#violate('CONTINUATION', id)
        return this.#onBlock(this.#headers.continuation(id, flags, bytes, start, end))
      case FrameType.rstStream:
        if (end - start !== 4) return this.#wrongSize('RST_STREAM', end - start)
        return this.#onReset(id, bytes.readUInt32BE(start))
      case SETTINGS:
        return this.#onSettings(id, flags, bytes, start, end)
      case FrameType.ping:
        if (id !== 0) return this.#violate('PING', id)
        if (end - start !== PING_BYTES) return this.#wrongSize('PING', end - start)
        if ((flags & Flag.ack) === 0) this.#out.answerPing(bytes.subarray(start, end))
        return
      case FrameType.goaway:
        if (id !== 0) return this.#violate('GOAWAY', id)
        if (end - start < 8) return this.#wrongSize('GOAWAY', end - start)
        return this.#onGoaway(bytes, start, end)
      case FrameType.windowUpdate:
        if (end - start !== 4) return this.#wrongSize('WINDOW_UPDATE', end - start)
        return this.#onWindowUpdate(id, bytes.readUInt32BE(start) & INT31_MAX)
      case FrameType.priority:
        if (id === 0) return this.#violate('PRIORITY', id)
        if (end - start !== 5) return this.#wrongSize('PRIORITY', end - start)
        return
      case FrameType.pushPromise:
        return this.#violate('PUSH_PROMISE', id)
      default: // RFC 9113 4.1: what is unknown is ignored.
    }
  }

  #onBlock(received: ReceivedHeaders | Violation | undefined): void {
    this.#expected = received === undefined ? CONTINUATION : ANY
    if (received === undefined) return
    if (isViolation(received)) return this.#fail(received)
    const { id, fields, isLast, isTooLarge } = received
    const stream = this.#streams.get(id)
    if (stream === undefined) return // One that we have reset.
    if (isTooLarge) {
      const { enhanceYourCalm } = ErrorCode
      return this.#break(
        stream,
        enhanceYourCalm,
        `more than ${HEADER_LIST_BYTES_MAX} bytes of headers`,
      )
    }
    const headers = responseHeadersOf(fields, stream.hasHeaders)
    if (typeof headers === 'string') {
      return this.#break(stream, ErrorCode.protocolError, `malformed headers: ${headers}`)
    }
    const isInformational = headers.status >= 100 && headers.status < 200
    if (!isLast && isInformational) return
    if (isInformational || (stream.hasHeaders && !isLast)) {
      return this.#break(stream, ErrorCode.protocolError, 'malformed headers: out of order')
    }
    stream.hasHeaders = true
    stream.handler.onHeaders(headers)
    if (isLast && !stream.isOver) this.#finish(stream)
  }

  #onReset(id: number, code: number): void {
    const stream = this.#streams.get(id)
    if (stream === undefined) return this.#onLate('RST_STREAM', id)
    this.#remove(stream)
    stream.handler.onReset(code)
  }

  #onSettings(id: number, flags: number, bytes: Buffer, start: number, end: number): void {
    if (id !== 0) return this.#violate('SETTINGS', id)
    if ((flags & Flag.ack) !== 0) {
      if (end > start) return this.#wrongSize('SETTINGS', end - start)
      if (!this.#isReady) return this.#violate('an acknowledgement before any SETTINGS', id)
      return
    }
    const violation = this.#out.applySettings(bytes, start, end, this.#streams.values())
    if (violation !== undefined) return this.#fail(violation)
    this.#expected = ANY
    if (!this.#isReady) {
      this.#isReady = true
      this.#options.onReady()
    }
    this.#admit()
  }

  #onGoaway(bytes: Buffer, start: number, end: number): void {
    const lastId = bytes.readUInt32BE(start) & STREAM_ID_MASK
    const code = bytes.readUInt32BE(start + 4)
    this.#isGoingAway = true
    if (code !== ErrorCode.none) {
      this.#isOver = true
      const textEnd = Math.min(end, start + 8 + DEBUG_DATA_MAX)
      return this.#options.onGivenUp(code, bytes.toString('utf8', start + 8, textEnd))
    }
    for (const stream of [...this.#streams.values(), ...this.#waiting]) {
      if (stream.id !== 0 && stream.id <= lastId) continue
      this.#remove(stream)
      stream.handler.onFailure(REFUSED)
    }
    this.#drained()
  }

  #onWindowUpdate(id: number, bytes: number): void {
    const stream = this.#streams.get(id)
    if (id !== 0 && stream === undefined) return this.#onLate('WINDOW_UPDATE', id)
    if (bytes > 0 && this.#out.widen(stream, bytes, this.#streams.values())) return
    const code = bytes === 0 ? ErrorCode.protocolError : ErrorCode.flowControlError
    const text = `WINDOW_UPDATE by ${bytes} bytes`
    if (stream === undefined) this.#fail({ code, text })
    else this.#break(stream, code, text)
  }

  /** A frame of a stream that is not open: what was on its way when we reset it, or of none that was. */
  #onLate(what: string, id: number): void {
    if (this.#isIdle(id)) this.#violate(what, id)
  }

  /** No stream of this id was ever opened; the even ones are the server's, which opens none. */
  #isIdle(id: number): boolean {
    return id >= this.#nextId || id % 2 === 0
  }

  /** Opens what waits, as far as the peer takes it. */
  #admit(): void {
    if (!this.#isReady || this.isDraining) return
    for (const stream of this.#waiting) {
      if (this.#streams.size >= this.#out.peer.streamsMax || this.#nextId > INT31_MAX) break
      this.#waiting.delete(stream)
      stream.id = this.#nextId
      this.#nextId += 2
      this.#streams.set(stream.id, stream)
      this.#out.request(stream)
    }
    this.#flush()
  }

  #finish(stream: H2Stream): void {
    // A peer may answer before it has read the request to its end.
    const isUnsent = stream.sentBytes < stream.body.length
    this.#remove(stream, isUnsent ? ErrorCode.cancel : undefined)
    stream.handler.onEnd()
  }

  /** Ends one stream, on which the peer broke the protocol. */
  #break(stream: H2Stream, code: ErrorCode, text: string): void {
    this.#remove(stream, code)
    stream.handler.onFailure({ code: StatusCode.internal, details: `Received ${text}` })
  }

  #remove(stream: H2Stream, reset?: ErrorCode): void {
    if (stream.isOver) return
    stream.isOver = true
    if (this.#recent === stream) this.#recent = undefined
    this.#waiting.delete(stream)
    if (this.#streams.delete(stream.id)) {
      if (reset !== undefined) this.#out.push(resetFrame(stream.id, reset))
      this.#admit()
    }
    this.#flush()
    this.#drained()
  }

  #drained(): void {
    if (this.#isOver || !this.isDraining) return
    if (this.#streams.size === 0) this.#options.onDrained()
  }

  #flush(): void {
    if (!this.#isReceiving) this.#out.flush()
  }

  #violate(what: string, id: number): void {
    this.#fail({ code: ErrorCode.protocolError, text: `${what} on stream ${id}` })
  }

  #wrongSize(what: string, bytes: number): void {
    this.#fail({ code: ErrorCode.frameSizeError, text: `${what} of ${bytes} bytes` })
  }

  #fail({ code, text }: Violation): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#out.push(goawayFrame(code))
    this.#out.flush()
    this.#options.onViolation(text)
  }
}
