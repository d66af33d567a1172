import type { WireReader, WireSpan } from './wire-reader.ts'

const WAYS = 4
/** Above this a call into native code costs less than a loop. */
const LOOP_MAX = 24

export interface WireTableOptions {
  /** A power of two. */
  readonly entriesMax: number
  /** Bytes of all keys together. */
  readonly keysMax: number
  /** Bytes of one key; what has a longer one is not kept. */
  readonly keyMax: number
}

/**
 * What was made of some bytes of a message, found again by those bytes. A key is compared whole, so no
 * entry is ever taken for another: that costs about 0.1 µs for the 350 bytes of an endpoint, where
 * decoding them costs many times that. In a full set of four a new entry takes the place of one of
 * them, in turn; keys beyond `keysMax` empty the table, which then learns again: `evicted` counts both.
 */
export class WireTable<V> {
  evicted = 0
  readonly #hashes: Int32Array
  readonly #starts: Int32Array
  /** 0: free. */
  readonly #lengths: Int32Array
  readonly #values: (V | undefined)[] = []
  readonly #keys: Buffer
  readonly #keyMax: number
  #keysEnd = 0
  #size = 0
  #turn = 0

  constructor({ entriesMax, keysMax, keyMax }: WireTableOptions) {
    this.#hashes = new Int32Array(entriesMax)
    this.#starts = new Int32Array(entriesMax)
    this.#lengths = new Int32Array(entriesMax)
    for (let slot = 0; slot < entriesMax; slot++) this.#values.push(undefined)
    this.#keys = Buffer.alloc(keysMax)
    this.#keyMax = keyMax
  }

  find(reader: WireReader, { start, end }: WireSpan): V | undefined {
    const slot = this.#slotOf(hashOf(reader, start, end), reader.bytes, start, end)
    return slot < 0 ? undefined : this.#values[slot]
  }

  /** Keeps `value` as what these bytes stand for, also in the place of an older one, and returns it. */
  add(reader: WireReader, { start, end }: WireSpan, value: V): V {
    const length = end - start
    if (length === 0 || length > this.#keyMax) return value
    const hash = hashOf(reader, start, end)
    let slot = this.#slotOf(hash, reader.bytes, start, end)
    if (slot < 0) {
      if (this.#keysEnd + length > this.#keys.length) this.#clear()
      slot = this.#place(hash)
      this.#hashes[slot] = hash
      this.#starts[slot] = this.#keysEnd
      this.#lengths[slot] = length
      this.#keysEnd += reader.bytes.copy(this.#keys, this.#keysEnd, start, end)
    }
    this.#values[slot] = value
    return value
  }

  #slotOf(hash: number, bytes: Buffer, start: number, end: number): number {
    const length = end - start
    const set = this.#setOf(hash)
    for (let slot = set; slot < set + WAYS; slot++) {
      if (this.#hashes[slot] !== hash || this.#lengths[slot] !== length) continue
      if (this.#isKey(slot, bytes, start, end)) return slot
    }
    return -1
  }

  #isKey(slot: number, bytes: Buffer, start: number, end: number): boolean {
    const keys = this.#keys
    const at = this.#starts[slot] ?? 0
    const length = end - start
    if (length > LOOP_MAX) return keys.compare(bytes, start, end, at, at + length) === 0
    for (let i = 0; i < length; i++) if (keys[at + i] !== bytes[start + i]) return false
    return true
  }

  #setOf(hash: number): number {
    return (hash ^ (hash >>> 15)) & (this.#hashes.length - WAYS)
  }

  #place(hash: number): number {
    const set = this.#setOf(hash)
    for (let slot = set; slot < set + WAYS; slot++) {
      if (this.#lengths[slot] !== 0) continue
      this.#size++
      return slot
    }
    this.evicted++
    this.#turn = (this.#turn + 1) % WAYS
    return set + this.#turn
  }

  #clear(): void {
    this.evicted += this.#size
    this.#size = 0
    this.#keysEnd = 0
    this.#lengths.fill(0)
    this.#values.fill(undefined)
  }
}

/**
 * Of all bytes, for names may differ anywhere. In two lanes, because each step waits for the one before
 * it; rotated, because a multiplication carries differences only upwards.
 */
function hashOf({ memory, offset }: WireReader, start: number, end: number): number {
  const stop = offset + end
  let pos = offset + start
  let even = end - start
  let odd = 0x2c1b3c6d
  for (; pos + 8 <= stop; pos += 8) {
    even = Math.imul(((even << 13) | (even >>> 19)) ^ memory.getInt32(pos, true), 0x9e3779b1)
    odd = Math.imul(((odd << 13) | (odd >>> 19)) ^ memory.getInt32(pos + 4, true), 0x85ebca6b)
  }
  for (; pos < stop; pos++) even = Math.imul(even ^ memory.getUint8(pos), 0x01000193)
  even ^= odd ^ (odd >>> 13)
  return Math.imul(even ^ (even >>> 16), 0x7feb352d)
}
