/** Events that a client must show before it gets a state of its own, while the doorkeeper stands. */
const ADMIT_AT = 4

/**
 * Lets clients in at their fourth event: so addresses that call once never push out a state. Counts
 * in a small count-min sketch, which may let a client in early, never late; cleared when it has
 * taken as many events as it has cells, so that it forgets.
 */
export class Doorkeeper {
  readonly #cells: Uint8Array
  readonly #mask: number
  #taken = 0

  constructor(clientsMax: number) {
    const size = 2 ** Math.ceil(Math.log2(Math.max(64, clientsMax * 4)))
    this.#cells = new Uint8Array(size)
    this.#mask = size - 1
  }

  /** Counts an event of the client; true: let it in. `salt` tells apart what the client calls. */
  admits(client: string, salt: number): boolean {
    if (this.#taken++ > this.#mask) {
      this.#cells.fill(0)
      this.#taken = 0
    }
    // FNV-1a, then a second, independent enough cell out of the same hash.
    let hash = (0x811c9dc5 ^ salt) >>> 0
    for (let i = 0; i < client.length; i++) {
      hash = Math.imul(hash ^ client.charCodeAt(i), 0x01000193) >>> 0
    }
    const first = hash & this.#mask
    const second = (Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 7) & this.#mask
    const a = Math.min(ADMIT_AT, (this.#cells[first] ?? 0) + 1)
    this.#cells[first] = a
    if (second === first) return a >= ADMIT_AT
    const b = Math.min(ADMIT_AT, (this.#cells[second] ?? 0) + 1)
    this.#cells[second] = b
    return Math.min(a, b) >= ADMIT_AT
  }
}
