/** Unix time as Hubble writes it. */
export interface FlowTime {
  readonly seconds: number
  readonly nanos: number
}

/** A node that was silent for longer does not hold the resume of all others back, in seconds. */
const LAG_MAX_SECONDS = 300
/** Nodes that left are forgotten beyond this many. */
const NODES_MAX = 10_000

/** How far each node has been read. */
export class Positions {
  readonly #byNode = new Map<string, FlowTime>()

  /** Order between nodes and within one is best effort only, so a position never goes back. */
  note(node: string, seconds: number, nanos: number): void {
    const last = this.#byNode.get(node)
    if (last !== undefined && isBefore(seconds, nanos, last)) return
    if (last === undefined && this.#byNode.size >= NODES_MAX) {
      const [oldest] = this.#byNode.keys()
      if (oldest !== undefined) this.#byNode.delete(oldest)
    }
    this.#byNode.set(node, { seconds, nanos })
  }

  /**
   * Where a new stream has to start so that no node has a gap, less `overlapSeconds` for what was
   * under way; undefined before the first flow.
   */
  resumeFrom(overlapSeconds: number): FlowTime | undefined {
    let oldest: FlowTime | undefined
    let newest = 0
    for (const time of this.#byNode.values()) newest = Math.max(newest, time.seconds)
    for (const time of this.#byNode.values()) {
      if (newest - time.seconds > LAG_MAX_SECONDS) continue
      if (oldest === undefined || isBefore(time.seconds, time.nanos, oldest)) oldest = time
    }
    if (oldest === undefined) return undefined
    return { seconds: Math.max(0, oldest.seconds - overlapSeconds), nanos: oldest.nanos }
  }
}

function isBefore(seconds: number, nanos: number, than: FlowTime): boolean {
  return seconds < than.seconds || (seconds === than.seconds && nanos < than.nanos)
}
