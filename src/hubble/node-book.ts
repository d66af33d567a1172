import type { NodeCoverage as CoverageOfNode } from '../pipeline/contract.ts'
import { NodeCoverage } from './node-coverage.ts'
import { NodeReading } from './node-reading.ts'

/** Nodes that left are forgotten beyond this many; Kubernetes is tested with 5,000. */
const NODES_MAX = 10_000

/** What a source knows of one node. */
export class NodeEntry {
  readonly name: string
  readonly reading = new NodeReading()
  readonly coverage: NodeCoverage
  /** Unix ms up to which everything was read, as far as the ring held it: by its flows, or by a backfill that came to its end. */
  readToMs: number
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
   * ahead, less `overlapMs`. Nodes that had not been read that far get a backfill. Undefined before
   * the first flow.
   */
  resumeFromMs(overlapMs: number): number | undefined {
    let heardMs = 0
    for (const node of this.#byName.values()) heardMs = Math.max(heardMs, node.heardMs)
    let newestMs: number | undefined
    let leastAheadMs: number | undefined
    for (const { reading, heardMs: ofNode } of this.#byName.values()) {
      if (ofNode === 0) continue
      const { newestMs: ms } = reading
      if (ms > heardMs) leastAheadMs = Math.min(leastAheadMs ?? ms, ms)
      else newestMs = Math.max(newestMs ?? ms, ms)
    }
    const fromMs = newestMs ?? leastAheadMs
    // Whole, so that it is the same instant for the agent and for us.
    return fromMs === undefined
      ? undefined
      : Math.max(this.#sinceMs, Math.floor(fromMs - overlapMs))
  }

  advance(nowMs: number): void {
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
