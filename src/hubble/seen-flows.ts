import type { FlowView } from '../model/flow-view.ts'

/**
 * Remembers which flows came, so that a ring that is read again does not count twice. Two
 * generations of at most `flowsMax` each: the older one goes when the newer one is full, so at
 * least the last `flowsMax` flows are known.
 * Source: facts of hubble 2.4; uuids are per event and node, and stable while the ring holds it.
 */
export class SeenFlows {
  #newer = new Set<string>()
  #older = new Set<string>()
  readonly #flowsMax: number

  constructor(flowsMax = 131_072) {
    this.#flowsMax = flowsMax
  }

  /** True the first time. Agents before 1.14 send no uuid: node, time, 5-tuple, type and verdict stand in. */
  add(flow: FlowView): boolean {
    const key = flow.uuid() || fingerprintOf(flow)
    if (this.#newer.has(key) || this.#older.has(key)) return false
    if (this.#newer.size >= this.#flowsMax) {
      this.#older = this.#newer
      this.#newer = new Set()
    }
    this.#newer.add(key)
    return true
  }
}

function fingerprintOf(flow: FlowView): string {
  const time = `${flow.nodeName()}|${flow.timeSeconds}|${flow.timeNanos}`
  const from = `${flow.sourceIp()}|${flow.sourcePort}`
  const to = `${flow.destinationIp()}|${flow.destinationPort}`
  return `${time}|${from}|${to}|${flow.l4Protocol}|${flow.kind}|${flow.l7Type}|${flow.verdict}`
}
