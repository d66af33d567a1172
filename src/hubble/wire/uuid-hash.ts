/** FNV-1a, and a multiplier of another kind: what falls together in one does not in the other. */
const HIGH = 0x811c9dc5
const HIGH_FACTOR = 0x01000193
const LOW = 0x9e3779b9
const LOW_FACTOR = 0x5bd1e995

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
    let high = HIGH
    let low = LOW
    for (let i = start; i < end; i++) {
      const byte = bytes[i] ?? 0
      high = Math.imul(high ^ byte, HIGH_FACTOR)
      low = Math.imul((low << 5) ^ (low >>> 27) ^ byte, LOW_FACTOR)
    }
    this.high = start === end ? 0 : high >>> 0
    this.low = start === end ? 0 : low >>> 0
  }

  /** The same where every character is ASCII, as in every uuid. */
  ofText(text: string): void {
    let high = HIGH
    let low = LOW
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      high = Math.imul(high ^ code, HIGH_FACTOR)
      low = Math.imul((low << 5) ^ (low >>> 27) ^ code, LOW_FACTOR)
    }
    this.high = text === '' ? 0 : high >>> 0
    this.low = text === '' ? 0 : low >>> 0
  }
}
