import { fingerprintTextOf } from '../fingerprint.ts'
import type { FlowCursor } from '../flow-cursor.ts'

/**
 * Remembers which flows of a capture came: two generations of at most `flowsMax` uuids each; the older
 * one goes when the newer one is full. A capture may hold flows in any order, so their time does not
 * tell.
 */
export class SeenFlows {
  #newer = new Set<string>()
  #older = new Set<string>()
  readonly #flowsMax: number

  constructor(flowsMax = 131_072) {
    this.#flowsMax = flowsMax
  }

  /** True the first time. Agents before 1.14 send no uuid: node, time, 5-tuple, type and verdict stand in. */
  add(flow: FlowCursor): boolean {
    const key = flow.uuid() || fingerprintTextOf(flow)
    if (this.#newer.has(key) || this.#older.has(key)) return false
    if (this.#newer.size >= this.#flowsMax) {
      this.#older = this.#newer
      this.#newer = new Set()
    }
    this.#newer.add(key)
    return true
  }
}
