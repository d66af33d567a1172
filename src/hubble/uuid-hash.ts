/**
 * 64 bits that stand for a uuid, as two unsigned 32-bit integers; both 0 for an empty one. One object,
 * used again: nothing is allocated. Takes whatever length and form it gets; two uuids of one node
 * that fall together would cost one flow.
 */
export class UuidHash {
  high = 0
  low = 0

  /** Of `bytes[start, end)`. */
  ofBytes(bytes: Uint8Array, start: number, end: number): void {
    this.#begin()
    for (let i = start; i < end; i++) this.#add(bytes[i] ?? 0)
    this.#end(end - start)
  }

  /** The same where every character is ASCII, as in every uuid. */
  ofText(text: string): void {
    this.#begin()
    for (let i = 0; i < text.length; i++) this.#add(text.charCodeAt(i))
    this.#end(text.length)
  }

  #begin(): void {
    this.high = 0x811c9dc5
    this.low = 0x9e3779b9
  }

  /** FNV-1a, and a multiplier of another kind: what falls together in one does not in the other. */
  #add(byte: number): void {
    this.high = Math.imul(this.high ^ byte, 0x01000193)
    this.low = Math.imul((this.low << 5) ^ (this.low >>> 27) ^ byte, 0x5bd1e995)
  }

  #end(length: number): void {
    this.high = length === 0 ? 0 : this.high >>> 0
    this.low = length === 0 ? 0 : this.low >>> 0
  }
}
