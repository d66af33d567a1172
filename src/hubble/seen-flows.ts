import { type FlowView, timeMsOf } from '../model/flow-view.ts'

/** A whole ring at its largest: no node reads more than this again (docs/hubble.md, Rings). */
const RING_MAX = 65_535
/** Nodes that left are forgotten beyond this many. */
const NODES_MAX = 10_000

/** How far a node had been read when each generation began, in Unix ms of its own clock. */
interface NodeMarks {
  newestMs: number
  previousMs: number
  /** Flows up to here came, and their uuids are forgotten. */
  forgottenMs: number
  /** Flows in a row that were taken for doubles by their time alone. */
  rereads: number
}

/**
 * Remembers which flows came, so that a ring that is read again does not count twice. Two
 * generations of at most `flowsMax` uuids each: the older one goes when the newer one is full. What
 * is older than that is told by its time: a node's flows come in the order of its ring, so a flow
 * from before the forgotten ones is one of them. A node whose clock was set back looks the same, so
 * that holds for one whole ring in a row at most.
 * Source: docs/hubble.md, Rings; uuids are per event and node, and stable while the ring holds it.
 */
export class SeenFlows {
  #newer = new Set<string>()
  #older = new Set<string>()
  readonly #nodes = new Map<string, NodeMarks>()
  readonly #canReread: boolean
  readonly #flowsMax: number

  /** `canReread`: a ring may be read again at any time; a file never is. */
  constructor(canReread: boolean, flowsMax = 131_072) {
    this.#canReread = canReread
    this.#flowsMax = flowsMax
  }

  /** True the first time. Agents before 1.14 send no uuid: node, time, 5-tuple, type and verdict stand in. */
  add(flow: FlowView): boolean {
    const key = flow.uuid() || fingerprintOf(flow)
    if (this.#newer.has(key) || this.#older.has(key)) return false
    if (this.#canReread && this.#isForgotten(flow.nodeName(), timeMsOf(flow))) return false
    if (this.#newer.size >= this.#flowsMax) this.#forget()
    this.#newer.add(key)
    return true
  }

  #forget(): void {
    this.#older = this.#newer
    this.#newer = new Set()
    for (const marks of this.#nodes.values()) {
      marks.forgottenMs = marks.previousMs
      marks.previousMs = marks.newestMs
    }
  }

  #isForgotten(node: string, ms: number): boolean {
    const marks = this.#nodes.get(node)
    if (marks === undefined) {
      if (this.#nodes.size >= NODES_MAX) {
        const [oldest] = this.#nodes.keys()
        if (oldest !== undefined) this.#nodes.delete(oldest)
      }
      this.#nodes.set(node, { newestMs: ms, previousMs: -1, forgottenMs: -1, rereads: 0 })
      return false
    }
    if (ms > marks.forgottenMs) {
      marks.rereads = 0
      marks.newestMs = Math.max(marks.newestMs, ms)
      return false
    }
    if (marks.rereads++ < RING_MAX) return true
    Object.assign(marks, { newestMs: ms, previousMs: -1, forgottenMs: -1, rereads: 0 })
    return false
  }
}

function fingerprintOf(flow: FlowView): string {
  const time = `${flow.nodeName()}|${flow.timeSeconds}|${flow.timeNanos}`
  const from = `${flow.sourceIp()}|${flow.sourcePort}`
  const to = `${flow.destinationIp()}|${flow.destinationPort}`
  return `${time}|${from}|${to}|${flow.l4Protocol}|${flow.kind}|${flow.l7Type}|${flow.verdict}`
}
