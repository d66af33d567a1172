import type { NodeCoverage as CoverageOfNode } from '../pipeline/contract.ts'
import { keptText } from '../runtime/kept-text.ts'
import { NodeCoverage } from './node-coverage.ts'
import { NodeReading } from './node-reading.ts'

/** Nodes that left are forgotten beyond this many; Kubernetes is tested with 5,000. */
const NODES_MAX = 10_000
/** No node's name is that long, in characters. */
const NAME_MAX = 1_024
const AHEAD_MAX_MS = 5 * 60_000
const ADVANCE_EVERY_MS = 1_000

/** What a source knows of one node. */
export class NodeEntry {
  readonly name: string
  /** What a stream reads on with; a backfill does so while no stream has anything of the node (`Gap`). */
  reading = new NodeReading()
  readonly coverage: NodeCoverage
  /**
   * Unix ms up to which everything was read, as far as the ring held it: the time of its last new
   * flow. The end of a backfill is no such mark: a ring holds its newest flow back, and a clock may
   * be behind.
   */
  readToMs: number
  /** Time of the last flow that a stream brought of it, new or not; Infinity before the first one. */
  lastMs = Number.POSITIVE_INFINITY
  /** Wall time, Unix ms, at which a message of it last came; 0: never. */
  heardMs = 0
  /** It cannot be read, as Relay says; holds until it speaks or answers again. */
  isAway = false

  constructor(name: string, sinceMs: number, nowMs: number) {
    this.name = name
    this.readToMs = sinceMs
    this.coverage = new NodeCoverage(nowMs)
  }
}

/** The nodes behind one source: how far each has been read, and what was missed of it. */
export class NodeBook {
  /** Nodes that were forgotten to make room: their rings may count twice. */
  evicted = 0
  readonly #byName = new Map<string, NodeEntry>()
  readonly #sinceMs: number
  #advancedMs = Number.NEGATIVE_INFINITY
  #last: NodeEntry | undefined

  /** Nothing from before `sinceMs` was asked for. */
  constructor(sinceMs: number) {
    this.#sinceMs = sinceMs
  }

  get size(): number {
    return this.#byName.size
  }

  /** `nowMs` in Unix ms. */
  node(name: string, nowMs: number): NodeEntry {
    if (this.#last?.name === name) return this.#last
    let entry = this.#byName.get(name)
    if (entry === undefined) {
      if (name.length > NAME_MAX) return this.node(keptText(name, NAME_MAX), nowMs)
      this.#makeRoom()
      entry = new NodeEntry(name, this.#sinceMs, nowMs)
      this.#byName.set(name, entry)
    }
    this.#last = entry
    return entry
  }

  known(name: string): NodeEntry | undefined {
    return this.#byName.get(name)
  }

  entries(): IterableIterator<NodeEntry> {
    return this.#byName.values()
  }

  forget(name: string): void {
    this.#byName.delete(name)
    if (this.#last?.name === name) this.#last = undefined
  }

  /**
   * Where a new stream starts, Unix ms: the newest flow of any node, but for nodes whose clock is
   * ahead, less `overlapMs`; where all are, not far beyond ours, or a node that is set right is not heard. Nodes that had not been read that far get a backfill. Undefined before
   * the first flow.
   */
  resumeFromMs(overlapMs: number): number | undefined {
    let heardMs = 0
    for (const node of this.#byName.values()) heardMs = Math.max(heardMs, node.heardMs)
    let newestMs: number | undefined
    let leastAheadMs: number | undefined
    for (const { reading, lastMs, heardMs: ofNode } of this.#byName.values()) {
      if (ofNode === 0) continue
      // Less than the newest where a clock was set back: what it stamps now would be passed over.
      const ms = Math.min(reading.newestMs, lastMs)
      if (ms > heardMs) leastAheadMs = Math.min(leastAheadMs ?? ms, ms)
      else newestMs = Math.max(newestMs ?? ms, ms)
    }
    const fromMs = newestMs ?? leastAheadMs
    // Whole, so that it is the same instant for the agent and for us.
    return fromMs === undefined
      ? undefined
      : Math.max(this.#sinceMs, Math.floor(Math.min(fromMs, heardMs + AHEAD_MAX_MS) - overlapMs))
  }

  /** At most once a second: the agents of one source share the book, and each calls it. */
  advance(nowMs: number): void {
    if (nowMs >= this.#advancedMs && nowMs - this.#advancedMs < ADVANCE_EVERY_MS) return
    this.#advancedMs = nowMs
    for (const { coverage } of this.#byName.values()) coverage.advance(nowMs)
  }

  /** Of nodes of which anything was to be seen lately. */
  coverage(): CoverageOfNode[] {
    const nodes: CoverageOfNode[] = []
    for (const { name, coverage, heardMs } of this.#byName.values()) {
      const { received, missed } = coverage.recent()
      if (received + missed > 0) nodes.push({ node: name, received, missed, heardMs })
    }
    return nodes
  }

  #makeRoom(): void {
    if (this.#byName.size < NODES_MAX) return
    let oldest: NodeEntry | undefined
    for (const node of this.#byName.values()) {
      if (oldest === undefined || node.heardMs < oldest.heardMs) oldest = node
    }
    if (oldest === undefined) return
    this.forget(oldest.name)
    this.evicted++
  }
}
