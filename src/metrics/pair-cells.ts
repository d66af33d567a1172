const KEY_SIZE = 5
const SLOTS_FIRST = 64

/** Two workloads, each by the ids of its namespace and name, and a code: what one cell counts. */
export interface Workload {
  readonly namespace: number
  readonly name: number
}

/** Cells by workload pair and code. Open addressing on integers; as many entries as are put. */
export class PairCells {
  #size = 0
  #keys = new Int32Array(SLOTS_FIRST * KEY_SIZE)
  /** 0: the slot is free. */
  #cells = new Int32Array(SLOTS_FIRST)

  /** 0: none. */
  get(from: Workload, to: Workload, code: number): number {
    return this.#cells[this.#slotOf(from.namespace, from.name, to.namespace, to.name, code)] ?? 0
  }

  /** `cell` is not 0. */
  put(from: Workload, to: Workload, code: number, cell: number): void {
    if (this.get(from, to, code) === 0) this.#size++
    if (this.#size * 2 > this.#cells.length) this.#grow()
    this.#putKey(from.namespace, from.name, to.namespace, to.name, code, cell)
  }

  #putKey(a: number, b: number, c: number, d: number, e: number, cell: number): void {
    const slot = this.#slotOf(a, b, c, d, e)
    this.#keys.set([a, b, c, d, e], slot * KEY_SIZE)
    this.#cells[slot] = cell
  }

  /** Where the key is, or would be put. */
  #slotOf(a: number, b: number, c: number, d: number, e: number): number {
    const keys = this.#keys
    const cells = this.#cells
    const mask = cells.length - 1
    let slot = hashOf(a, b, c, d, e) & mask
    while (cells[slot] !== 0) {
      const at = slot * KEY_SIZE
      const isSame =
        keys[at] === a &&
        keys[at + 1] === b &&
        keys[at + 2] === c &&
        keys[at + 3] === d &&
        keys[at + 4] === e
      if (isSame) break
      slot = (slot + 1) & mask
    }
    return slot
  }

  #grow(): void {
    const keys = this.#keys
    const cells = this.#cells
    this.#keys = new Int32Array(keys.length * 2)
    this.#cells = new Int32Array(cells.length * 2)
    cells.forEach((cell, slot) => {
      if (cell === 0) return
      const [a = 0, b = 0, c = 0, d = 0, e = 0] = keys.subarray(slot * KEY_SIZE)
      this.#putKey(a, b, c, d, e, cell)
    })
  }
}

function hashOf(a: number, b: number, c: number, d: number, e: number): number {
  let hash = Math.imul(a, 0x9e3779b1) ^ b
  hash = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b) ^ c
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35) ^ d
  hash = Math.imul(hash ^ (hash >>> 16), 0x27d4eb2f) ^ e
  hash = Math.imul(hash ^ (hash >>> 15), 0x165667b1)
  return hash ^ (hash >>> 13)
}
