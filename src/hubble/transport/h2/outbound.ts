import {
  ErrorCode,
  Flag,
  FrameType,
  frame,
  INT31_MAX,
  PREFACE,
  SETTINGS_ACK,
  Setting,
  settingsFrame,
  WINDOW_BYTES_DEFAULT,
  windowUpdateFrame,
} from './frames.ts'
import { HEADER_TABLE_BYTES } from './header-block.ts'
import { HEADER_LIST_BYTES_MAX } from './hpack.ts'
import { PeerSettings, type Violation } from './peer-settings.ts'
import type { H2Stream } from './stream.ts'

/** Of PINGs and SETTINGS that we answered to a peer that does not read the answers. */
const ANSWER_BYTES_MAX = 1_048_576

/**
 * What a session sends, and the credit of flow control both ways. Frames are gathered, and go out with
 * `flush` in one piece. Credit is given when half of a window was used: RFC 9113 5.2, 6.9.
 */
export class Outbound {
  readonly peer = new PeerSettings()
  readonly #windowBytes: number
  readonly #creditBytes: number
  readonly #write: (bytes: Buffer) => number
  #frames: Buffer[] = []
  /** What the peer may send on the connection. */
  #window = WINDOW_BYTES_DEFAULT
  /** What it takes, on the connection. */
  #sendWindow = WINDOW_BYTES_DEFAULT
  /** Bytes of answers since the kernel last took everything. */
  #answerBytes = 0
  #backlogBytes = 0

  constructor(windowBytes: number, write: (bytes: Buffer) => number) {
    this.#windowBytes = windowBytes
    this.#creditBytes = windowBytes >> 1
    this.#write = write
  }

  /** The peer asks, and does not read the answers. */
  get isClogged(): boolean {
    return Math.min(this.#answerBytes, this.#backlogBytes) > ANSWER_BYTES_MAX
  }

  preface(): void {
    const settings = settingsFrame([
      [Setting.headerTableSize, HEADER_TABLE_BYTES],
      [Setting.enablePush, 0],
      [Setting.initialWindowSize, this.#windowBytes],
      [Setting.maxHeaderListSize, HEADER_LIST_BYTES_MAX],
    ])
    this.#frames.push(PREFACE, settings)
    this.creditConnection(1)
  }

  push(bytes: Buffer): void {
    this.#frames.push(bytes)
  }

  flush(): void {
    if (this.#frames.length === 0) return
    this.#backlogBytes = this.#write(Buffer.concat(this.#frames))
    this.#frames = []
    if (this.#backlogBytes === 0) this.#answerBytes = 0
  }

  answerPing(payload: Uint8Array): void {
    this.#answer(frame(FrameType.ping, Flag.ack, 0, payload))
  }

  /** Takes over the peer's SETTINGS, and acknowledges them. */
  applySettings(
    bytes: Buffer,
    start: number,
    end: number,
    streams: Iterable<H2Stream>,
  ): Violation | undefined {
    const former = this.peer.initialWindowBytes
    const violation = this.peer.apply(bytes, start, end)
    if (violation !== undefined) return violation
    this.#answer(SETTINGS_ACK)
    const change = this.peer.initialWindowBytes - former
    for (const stream of streams) {
      stream.sendWindow += change
      if (stream.sendWindow > INT31_MAX) {
        const text = `the setting INITIAL_WINDOW_SIZE of ${this.peer.initialWindowBytes}`
        return { code: ErrorCode.flowControlError, text }
      }
      this.#sendBody(stream)
    }
    return undefined
  }

  /** HEADERS, and as much of the body as the peer takes. */
  request(stream: H2Stream): void {
    stream.window = this.#windowBytes
    stream.sendWindow = this.peer.initialWindowBytes
    const end = stream.body.length === 0 ? Flag.endStream : Flag.none
    this.push(frame(FrameType.headers, Flag.endHeaders | end, stream.id, stream.headers))
    this.#sendBody(stream)
  }

  /** Adds to what the peer takes, of one stream or undefined for all; false: more than there can be. */
  widen(stream: H2Stream | undefined, bytes: number, streams: Iterable<H2Stream>): boolean {
    if (stream !== undefined) {
      stream.sendWindow += bytes
      if (stream.sendWindow > INT31_MAX) return false
      this.#sendBody(stream)
      return true
    }
    this.#sendWindow += bytes
    if (this.#sendWindow > INT31_MAX) return false
    for (const each of streams) this.#sendBody(each)
    return true
  }

  /** Counts what came on the connection; false: more than it was allowed. */
  takeFromWindow(bytes: number): boolean {
    this.#window -= bytes
    return this.#window >= 0
  }

  /** Kept bytes count as used here: a stream that waits must not stop the others. */
  creditConnection(atLeast = this.#creditBytes): void {
    const used = this.#windowBytes - this.#window
    if (used < atLeast) return
    this.#window += used
    this.push(windowUpdateFrame(0, used))
  }

  creditStream(stream: H2Stream, bytes: number): void {
    stream.usedBytes += bytes
    if (stream.usedBytes < this.#creditBytes) return
    stream.window += stream.usedBytes
    this.push(windowUpdateFrame(stream.id, stream.usedBytes))
    stream.usedBytes = 0
  }

  #sendBody(stream: H2Stream): void {
    const { body, id } = stream
    while (stream.sentBytes < body.length) {
      const rest = body.length - stream.sentBytes
      const size = Math.min(rest, this.peer.frameBytesMax, this.#sendWindow, stream.sendWindow)
      if (size <= 0) return
      const part = body.subarray(stream.sentBytes, stream.sentBytes + size)
      this.push(frame(FrameType.data, size === rest ? Flag.endStream : Flag.none, id, part))
      stream.sentBytes += size
      stream.sendWindow -= size
      this.#sendWindow -= size
    }
  }

  #answer(bytes: Buffer): void {
    this.#answerBytes += bytes.length
    this.push(bytes)
  }
}
