import { huffmanDecoded } from './huffman.ts'
import { STATIC_TABLE } from './static-table.ts'

export type HeaderField = readonly [name: string, value: string]

export interface HeaderList {
  /** In the order of the block; those within the limit. */
  readonly fields: readonly HeaderField[]
  /** There were more than `HEADER_LIST_BYTES_MAX`. */
  readonly isTooLarge: boolean
}

/** Names, values and 32 bytes for each field (RFC 9113 6.5.2). */
export const HEADER_LIST_BYTES_MAX = 16_384
/** RFC 7541 4.1. */
const FIELD_BYTES = 32
const INTEGER_MAX = 2 ** 28
/** Changes the table's size to 0, whatever the peer's setting allows: RFC 7541 4.2, 6.3. */
const NO_TABLE = 0x20
const LITERAL = 0

/**
 * Encodes a block that needs no table and no Huffman code. Each begins with the table's size, which a
 * peer may wait for that has announced a smaller one.
 */
export function encodedHeaders(fields: readonly HeaderField[]): Buffer {
  const parts: Buffer[] = [Buffer.from([NO_TABLE])]
  for (const field of fields) {
    parts.push(Buffer.from([LITERAL]))
    for (const text of field) {
      const bytes = Buffer.from(text, 'latin1')
      parts.push(encodedLength(bytes.length), bytes)
    }
  }
  return Buffer.concat(parts)
}

/** An integer with a prefix of 7 bits: RFC 7541 5.1. */
function encodedLength(length: number): Buffer {
  if (length < 0x7f) return Buffer.from([length])
  const bytes = [0x7f]
  let rest = length - 0x7f
  for (; rest >= 0x80; rest >>>= 7) bytes.push(0x80 | (rest & 0x7f))
  return Buffer.from([...bytes, rest])
}

/**
 * Decodes the header blocks of one connection, in their order. `tableBytesMax` is the setting
 * HEADER_TABLE_SIZE that the peer was told. Source: RFC 7541.
 */
export class HpackDecoder {
  readonly #tableBytesMax: number
  #tableBytesLimit: number
  /** The newest first. */
  readonly #table: HeaderField[] = []
  #tableBytes = 0
  #block: Buffer = Buffer.alloc(0)
  #at = 0
  #isBroken = false

  constructor(tableBytesMax: number) {
    this.#tableBytesMax = tableBytesMax
    this.#tableBytesLimit = tableBytesMax
  }

  /**
   * Undefined: the block is none, and what comes after it on this connection cannot be read. Values
   * are read as Latin-1.
   */
  decode(block: Buffer): HeaderList | undefined {
    this.#block = block
    this.#at = 0
    const fields: HeaderField[] = []
    let bytes = 0
    while (this.#at < block.length && !this.#isBroken) {
      const field = this.#next(bytes === 0)
      if (field === undefined) continue
      bytes += sizeOf(field)
      if (bytes <= HEADER_LIST_BYTES_MAX) fields.push(field)
    }
    this.#block = Buffer.alloc(0)
    return this.#isBroken ? undefined : { fields, isTooLarge: bytes > HEADER_LIST_BYTES_MAX }
  }

  /** Undefined: it was a change of the table's size, or the block is broken. */
  #next(isFirst: boolean): HeaderField | undefined {
    const kind = this.#block[this.#at] ?? 0
    if (kind >= 0x80) return this.#indexed(this.#integer(7))
    if (kind >= 0x40) {
      const field = this.#literal(6)
      if (!this.#isBroken) this.#add(field)
      return field
    }
    if (kind < 0x20) return this.#literal(4) // Without index, or never indexed.
    const limit = this.#integer(5)
    if (!isFirst || limit > this.#tableBytesMax) this.#isBroken = true
    else this.#resize(limit)
    return undefined
  }

  #literal(prefixBits: number): HeaderField {
    const index = this.#integer(prefixBits)
    const name = index === 0 ? this.#text() : (this.#indexed(index)?.[0] ?? '')
    return [name, this.#text()]
  }

  #indexed(index: number): HeaderField | undefined {
    const field = STATIC_TABLE[index - 1] ?? this.#table[index - 1 - STATIC_TABLE.length]
    if (field === undefined) this.#isBroken = true
    return field
  }

  #integer(prefixBits: number): number {
    const max = 2 ** prefixBits - 1
    let value = this.#byte() & max
    if (value < max) return value
    for (let factor = 1; value < INTEGER_MAX && !this.#isBroken; factor *= 0x80) {
      const byte = this.#byte()
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
      // Zeros may follow without end.
      if (factor > INTEGER_MAX) break
    }
    this.#isBroken = true
    return 0
  }

  #text(): string {
    const isHuffman = (this.#block[this.#at] ?? 0) >= 0x80
    const length = this.#integer(7)
    const start = this.#at
    const end = start + length
    if (this.#isBroken || end > this.#block.length) {
      this.#isBroken = true
      return ''
    }
    this.#at = end
    if (!isHuffman) return this.#block.toString('latin1', start, end)
    const decoded = huffmanDecoded(this.#block, start, end)
    if (decoded === undefined) this.#isBroken = true
    return decoded?.toString('latin1') ?? ''
  }

  #byte(): number {
    const byte = this.#block[this.#at]
    if (byte === undefined) this.#isBroken = true
    this.#at++
    return byte ?? 0
  }

  #add(field: HeaderField): void {
    this.#table.unshift(field)
    this.#tableBytes += sizeOf(field)
    this.#evict()
  }

  #resize(limit: number): void {
    this.#tableBytesLimit = limit
    this.#evict()
  }

  #evict(): void {
    while (this.#tableBytes > this.#tableBytesLimit) {
      const oldest = this.#table.pop()
      if (oldest === undefined) return
      this.#tableBytes -= sizeOf(oldest)
    }
  }
}

function sizeOf([name, value]: HeaderField): number {
  return name.length + value.length + FIELD_BYTES
}
