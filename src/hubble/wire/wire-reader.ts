/** Where a broken reader stands: beyond every end, so that each loop over a message ends by itself. */
const BROKEN = 0x3fffffff
const VARINT_BYTES_MAX = 10

/** The wire types that there are; the two of groups (3, 4) are none that proto3 sends. */
const VARINT = 0
const FIXED64 = 1
const LENGTH = 2
const FIXED32 = 5

/** In a table of fields: one that is not read, and number 0, which no field has. */
const UNREAD = 254
const INVALID = 255

/** The fields of one message that are read: numbers, enums and bools, and strings and messages. */
export function fieldTable(numbers: readonly number[], blocks: readonly number[]): Uint8Array {
  const table = new Uint8Array(Math.max(0, ...numbers, ...blocks) + 1).fill(UNREAD)
  table[0] = INVALID
  for (const field of numbers) table[field] = VARINT
  for (const field of blocks) table[field] = LENGTH
  return table
}

const PAIR = fieldTable([], [1, 2])

/** Where a string or a message stands among the bytes; empty: it is not there. */
export class WireSpan {
  start = 0
  end = 0

  clear(): void {
    this.start = 0
    this.end = 0
  }
}

/**
 * Reads protobuf's wire format in place. Each method gets the end of the message that it reads in, and
 * reads nothing at or beyond it. What cannot be (a length beyond its message, a varint that does not
 * end, a wire type that the field does not have, a group) breaks the reader: `isBroken` from then on,
 * and each method does nothing more. So callers look only once, when all is read. A message:
 * `for (const end = reader.enter(outer); reader.pos < end; ) switch (reader.next(end, TABLE)) …`.
 * Source: https://protobuf.dev/programming-guides/encoding/.
 */
export class WireReader {
  pos = 0
  bytes: Buffer = Buffer.alloc(0)
  /** The memory behind `bytes`, which begin in it at `offset`. */
  memory = new DataView(this.bytes.buffer)
  offset = 0
  /** Upper half of the varint that `#long` read last. */
  #high = 0

  begin(bytes: Buffer, start: number): void {
    this.bytes = bytes
    this.pos = start
    this.offset = bytes.byteOffset
    // Many messages lie in the memory of one read, and a DataView costs as much as a decoded string.
    if (bytes.buffer !== this.memory.buffer) this.memory = new DataView(bytes.buffer)
  }

  /** UTF-8; what is none of it becomes U+FFFD. */
  text({ start, end }: WireSpan): string {
    return start === end ? '' : this.bytes.toString('utf8', start, end)
  }

  get isBroken(): boolean {
    return this.pos === BROKEN
  }

  /** Number of the next field, where it is one of `fields`; others are skipped, and are 0. */
  next(end: number, fields: Uint8Array): number {
    const tag = this.#whole(end)
    const field = tag >>> 3
    const wireType = tag & 7
    if (field < fields.length) {
      const expected = fields[field]
      if (expected === wireType) return field
      if (expected !== UNREAD) {
        this.pos = BROKEN
        return 0
      }
    }
    if (wireType === LENGTH) this.pos = this.enter(end)
    else if (wireType === VARINT) this.uint32(end)
    else if (wireType === FIXED64) this.#skip(8, end)
    else if (wireType === FIXED32) this.#skip(4, end)
    else this.pos = BROKEN
    return 0
  }

  /** Lower half of a varint, unsigned: what a uint32 is, and with `| 0` an int32 or an enum. */
  uint32(end: number): number {
    const { pos, bytes } = this
    if (pos < end) {
      const first = bytes[pos] ?? 0
      if (first < 128) {
        this.pos = pos + 1
        return first
      }
    }
    return this.#long(end)
  }

  /** Exact up to 2^53. */
  uint64(end: number): number {
    const low = this.#long(end)
    return this.#high * 2 ** 32 + low
  }

  /** Exact up to ±2^53. */
  int64(end: number): number {
    const low = this.#long(end)
    return (this.#high | 0) * 2 ** 32 + low
  }

  /** Steps into a string or a message, and returns where it ends. */
  enter(end: number): number {
    const length = this.#whole(end)
    if (length > end - this.pos) this.pos = BROKEN
    return this.pos === BROKEN ? BROKEN : this.pos + length
  }

  /** Steps over a string or a message, and notes where it stands. */
  span(span: WireSpan, outer: number): void {
    const end = this.enter(outer)
    if (end === BROKEN) return
    span.start = this.pos
    span.end = end
    this.pos = end
  }

  /** Reads a message of two strings (or messages), numbers 1 and 2. */
  pair(first: WireSpan, second: WireSpan, outer: number): void {
    first.clear()
    second.clear()
    for (const end = this.enter(outer); this.pos < end; ) {
      const field = this.next(end, PAIR)
      if (field === 1) this.span(first, end)
      else if (field === 2) this.span(second, end)
    }
  }

  /** A varint that has to fit into 32 bits. Most have one byte, lengths and later tags have two. */
  #whole(end: number): number {
    const { pos, bytes } = this
    if (pos + 1 < end) {
      const first = bytes[pos] ?? 0
      if (first < 128) {
        this.pos = pos + 1
        return first
      }
      const second = bytes[pos + 1] ?? 0
      if (second < 128) {
        this.pos = pos + 2
        return (first & 127) | (second << 7)
      }
    }
    const value = this.#long(end)
    if (this.#high !== 0) this.pos = BROKEN
    return value
  }

  #skip(length: number, end: number): void {
    this.pos = length > end - this.pos ? BROKEN : this.pos + length
  }

  #long(end: number): number {
    const bytes = this.bytes
    const stop = Math.min(end, this.pos + VARINT_BYTES_MAX)
    let low = 0
    let high = 0
    for (let { pos } = this, shift = 0; pos < stop; pos++, shift += 7) {
      const byte = bytes[pos] ?? 0
      const bits = byte & 127
      if (shift < 28) low |= bits << shift
      else if (shift > 28) high |= bits << (shift - 32)
      else {
        low |= bits << 28
        high = bits >>> 4
      }
      if (byte < 128) {
        this.pos = pos + 1
        this.#high = high >>> 0
        return low >>> 0
      }
    }
    this.pos = BROKEN
    this.#high = 0
    return 0
  }
}
