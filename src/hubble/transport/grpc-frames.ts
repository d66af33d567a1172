import { StatusCode } from './grpc-status.ts'
import { type CallEnd, MESSAGE_BYTES_MAX, type OnMessage } from './transport.ts'

/** A flag and four bytes of length stand before each message. Source: grpc/doc/PROTOCOL-HTTP2.md. */
const PREFIX_BYTES = 5
const PARTIAL_BYTES_FIRST = 16 * 1_024
const NOTHING: Buffer = Buffer.alloc(0)

/**
 * Cuts one stream's bytes into messages. A message that lies whole in a chunk is handed on in place;
 * one that straddles chunks is copied into a buffer of at most 4 MiB and 5 bytes, which is used again
 * for the next. Cost: nothing is allocated for a message.
 */
export class GrpcFrames {
  /** Set: the bytes are not what we asked for, and no message is handed on any more. */
  failure: CallEnd | undefined
  readonly #onMessage: OnMessage
  #chunk: Buffer = NOTHING
  #at = 0
  #end = 0
  #partial: Buffer = NOTHING
  /** Bytes of the straddling message that are in `#partial`, prefix included. */
  #held = 0
  #stopped = false

  constructor(onMessage: OnMessage) {
    this.#onMessage = onMessage
  }

  /** The bytes so far end inside a message. */
  get isMidMessage(): boolean {
    return this.#held > 0
  }

  /** Where in the last chunk that was read it stands: what comes before is used. */
  get at(): number {
    return this.#at
  }

  /**
   * Hands on the messages that `chunk[start, end)` completes. A promise is one that `onMessage`
   * returned: when it is fulfilled, before anything else is read, either `resume` is to be called,
   * as the rest of the chunk is kept, or `read` with that rest, which begins at `at`.
   */
  read(chunk: Buffer, start = 0, end = chunk.length): Promise<void> | undefined {
    if (this.#stopped) return undefined
    this.#chunk = chunk
    this.#at = start
    this.#end = end
    return this.resume()
  }

  /** Hands on what is left of the chunk; returns as `read` does. */
  resume(): Promise<void> | undefined {
    const chunk = this.#chunk
    while (this.#at < this.#end && !this.#stopped) {
      const busy = this.#held === 0 ? this.#inPlace(chunk) : this.#gather(chunk)
      if (busy !== undefined) return busy
    }
    this.#chunk = NOTHING
    return undefined
  }

  /** Lets go of everything: no message is handed on any more. May be called inside `onMessage`. */
  stop(): void {
    this.#stopped = true
    this.#chunk = NOTHING
    this.#partial = NOTHING
  }

  #inPlace(chunk: Buffer): Promise<void> | undefined {
    const at = this.#at
    const start = at + PREFIX_BYTES
    if (start > this.#end) return this.#gather(chunk)
    const length = chunk.readUInt32BE(at + 1)
    const flag = chunk[at]
    if (flag !== 0 || length > MESSAGE_BYTES_MAX) return this.#fail(flag, length)
    const end = start + length
    if (end > this.#end) return this.#gather(chunk)
    this.#at = end
    return this.#onMessage(chunk, start, end)
  }

  #gather(chunk: Buffer): Promise<void> | undefined {
    if (this.#held < PREFIX_BYTES) {
      this.#copy(chunk, PREFIX_BYTES)
      if (this.#held < PREFIX_BYTES) return undefined
    }
    const length = this.#partial.readUInt32BE(1)
    const flag = this.#partial[0]
    if (flag !== 0 || length > MESSAGE_BYTES_MAX) return this.#fail(flag, length)
    const end = PREFIX_BYTES + length
    this.#copy(chunk, end)
    if (this.#held < end) return undefined
    this.#held = 0
    return this.#onMessage(this.#partial, PREFIX_BYTES, end)
  }

  /** Moves bytes of the chunk until `wanted` are held, or the chunk is used up. */
  #copy(chunk: Buffer, wanted: number): void {
    if (this.#partial.length < wanted) {
      const doubled = Math.min(this.#partial.length * 2, PREFIX_BYTES + MESSAGE_BYTES_MAX)
      const grown = Buffer.allocUnsafeSlow(Math.max(wanted, doubled, PARTIAL_BYTES_FIRST))
      this.#partial.copy(grown, 0, 0, this.#held)
      this.#partial = grown
    }
    const end = Math.min(this.#end, this.#at + wanted - this.#held)
    chunk.copy(this.#partial, this.#held, this.#at, end)
    this.#held += end - this.#at
    this.#at = end
  }

  #fail(flag: number | undefined, length: number): undefined {
    this.failure = failureOf(flag, length)
    this.stop()
  }
}

function failureOf(flag: number | undefined, length: number): CallEnd {
  const { internal, resourceExhausted } = StatusCode
  if (flag === 1) {
    return { code: internal, details: 'Received a compressed message, and asked for none' }
  }
  if (flag !== 0) {
    return { code: internal, details: `Received a message with the unknown flag ${flag}` }
  }
  const details = `Received message larger than max (${length} vs ${MESSAGE_BYTES_MAX})`
  return { code: resourceExhausted, details }
}
