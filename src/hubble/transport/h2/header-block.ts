import { ErrorCode, Flag } from './frames.ts'
import { HEADER_LIST_BYTES_MAX, type HeaderList, HpackDecoder } from './hpack.ts'
import type { Violation } from './peer-settings.ts'

/** What is announced: no table, so that a block says nothing about those after it. */
export const HEADER_TABLE_BYTES = 0
const PRIORITY_BYTES = 5

/** One header block, decoded. */
export interface ReceivedHeaders extends HeaderList {
  readonly id: number
  readonly isLast: boolean
}

export function isViolation(value: object): value is Violation {
  return 'code' in value
}

/**
 * Puts the HEADERS and CONTINUATION frames of a connection together; a block is at most 16 KiB, in
 * one frame or in many. Source: RFC 9113 6.2, 6.10.
 */
export class HeaderBlocks {
  readonly #decoder = new HpackDecoder(HEADER_TABLE_BYTES)
  /** The block so far: frames may be tiny, and an object for each would cost many times its bytes. */
  readonly #block = Buffer.allocUnsafeSlow(HEADER_LIST_BYTES_MAX)
  #bytes = 0
  #id = 0
  #isLast = false

  /** `bytes[start, end)` is the payload of HEADERS. Undefined: CONTINUATION must come next. */
  headers(
    id: number,
    flags: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): ReceivedHeaders | Violation | undefined {
    let from = start
    let to = end
    if ((flags & Flag.padded) !== 0) {
      to -= bytes[from] ?? 0
      from++
    }
    if ((flags & Flag.priority) !== 0) from += PRIORITY_BYTES
    if (from > to) {
      return { code: ErrorCode.protocolError, text: `HEADERS of ${end - start} bytes, too short` }
    }
    this.#id = id
    this.#isLast = (flags & Flag.endStream) !== 0
    return this.#add(flags, bytes, from, to)
  }

  /** The payload of CONTINUATION, which is of the same stream. */
  continuation(
    id: number,
    flags: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): ReceivedHeaders | Violation | undefined {
    if (id !== this.#id) {
      return { code: ErrorCode.protocolError, text: `CONTINUATION of the wrong stream ${id}` }
    }
    return this.#add(flags, bytes, start, end)
  }

  #add(
    flags: number,
    bytes: Buffer,
    start: number,
    end: number,
  ): ReceivedHeaders | Violation | undefined {
    if (this.#bytes + end - start > HEADER_LIST_BYTES_MAX) {
      const text = `a header block of more than ${HEADER_LIST_BYTES_MAX} bytes`
      return { code: ErrorCode.enhanceYourCalm, text }
    }
    bytes.copy(this.#block, this.#bytes, start, end)
    this.#bytes += end - start
    if ((flags & Flag.endHeaders) === 0) return undefined
    const list = this.#decoder.decode(this.#block.subarray(0, this.#bytes))
    this.#bytes = 0
    if (list === undefined) {
      return { code: ErrorCode.compressionError, text: 'a header block that is no HPACK' }
    }
    return { ...list, id: this.#id, isLast: this.#isLast }
  }
}
