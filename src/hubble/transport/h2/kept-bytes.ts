const BYTES_FIRST = 16_384

/**
 * What came on a stream while it waits, in one buffer: frames may be tiny, and an object for each
 * would cost many times its bytes. Flow control bounds it; it is used again when it is empty.
 */
export class KeptBytes {
  bytes: Buffer = Buffer.alloc(0)
  start = 0
  end = 0

  get size(): number {
    return this.end - this.start
  }

  append(bytes: Buffer, start: number, end: number): void {
    const added = end - start
    if (this.end + added > this.bytes.length) this.#makeRoom(this.size + added)
    bytes.copy(this.bytes, this.end, start, end)
    this.end += added
  }

  /** What comes before `start` was used. */
  dropTo(start: number): void {
    this.start = start
    if (start < this.end) return
    this.start = 0
    this.end = 0
  }

  clear(): void {
    this.bytes = Buffer.alloc(0)
    this.start = 0
    this.end = 0
  }

  #makeRoom(wanted: number): void {
    // A buffer that is at most half full is moved in place, so that a byte is moved once on average.
    const isRoomy = wanted * 2 <= this.bytes.length
    const next = isRoomy
      ? this.bytes
      : Buffer.allocUnsafeSlow(Math.max(wanted, this.bytes.length * 2, BYTES_FIRST))
    this.bytes.copy(next, 0, this.start, this.end)
    this.bytes = next
    this.end = this.size
    this.start = 0
  }
}
