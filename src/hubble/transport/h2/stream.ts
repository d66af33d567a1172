import type { CallEnd } from '../transport.ts'
import { WINDOW_BYTES_DEFAULT } from './frames.ts'
import type { ResponseHeaders } from './response-headers.ts'

/** Takes what comes on one stream. Nothing of it may throw; after `onReset` or `onFailure` nothing comes. */
export interface StreamHandler {
  /** Headers first, trailers last. */
  onHeaders(headers: ResponseHeaders): void
  /**
   * `bytes[start, end)` are valid only inside the call. Returns how many of them it has copied to be
   * used later: the peer gets no credit for these before `Session.credit`.
   */
  onData(bytes: Buffer, start: number, end: number): number
  /** The peer has said all it had to say. */
  onEnd(): void
  /** The peer reset the stream. */
  onReset(code: number): void
  /** The stream is lost for another reason. */
  onFailure(end: CallEnd): void
}

/** One stream of a session, from its request to its end: what HTTP/2 itself must know of it. */
export class H2Stream {
  readonly handler: StreamHandler
  /** The request's header block, and its body. */
  readonly headers: Buffer
  readonly body: Buffer
  /** 0: it is not open yet, as the session is not ready or the peer takes no more of them. */
  id = 0
  isOver = false
  /** The headers of the response have come, other than those of 1xx. */
  hasHeaders = false
  /** How much of the body was sent, and how much more the peer takes; less than 0 after a change. */
  sentBytes = 0
  sendWindow = WINDOW_BYTES_DEFAULT
  /** How much the peer may send, and how much was used since it was told last. */
  window = 0
  usedBytes = 0

  constructor(handler: StreamHandler, headers: Buffer, body: Buffer) {
    this.handler = handler
    this.headers = headers
    this.body = body
  }
}
