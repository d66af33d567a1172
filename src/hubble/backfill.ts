import type { FlowPort } from '../pipeline/contract.ts'
import { pause } from '../runtime/pause.ts'
import type { FlowsRequest, HubbleClient } from './channel.ts'
import { timestampOf } from './channel.ts'
import { type Gap, LiveReader, type LiveReaderOptions } from './live-reader.ts'
import type { NodeEntry } from './node-book.ts'
import type { NodeReading } from './node-reading.ts'
import type { CallEnd } from './transport/transport.ts'

/** Gaps that come within this time are read by one request, which every node has to look through, in ms. */
const GATHER_MS = 300
/** A node that hangs keeps the end of a bounded read back; the others are through by then. */
const DEADLINE_MS = 30_000
const TRIES_MAX = 3
const RETRY_MS = 5_000
/** Nodes that wait; beyond it they are read from where the stream begins. */
const GAPS_MAX = 10_000
/** A node's last flow comes again, which shows that nothing is missing in between. */
const OVERLAP_MS = 1

export interface BackfillOptions extends LiveReaderOptions {
  /** Asks only these nodes; undefined: no flow of theirs is wanted. */
  readonly requestFor: (nodes: readonly string[]) => FlowsRequest | undefined
  readonly client: () => HubbleClient | undefined
}

/**
 * Reads again what a node's ring still holds of the time in which nothing came from it: bounded reads
 * of their own beside the main stream, one at a time, only of the nodes that it is about. A gap of a
 * node that is away waits until it is back.
 */
export class Backfill {
  /** Gaps that were given up: for want of room, or since their nodes could not be read. */
  givenUp = 0
  readonly #options: BackfillOptions
  readonly #waiting = new Map<NodeReading, Gap>()
  readonly #tries = new WeakMap<NodeReading, number>()
  #wake = Promise.withResolvers<void>()

  constructor(options: BackfillOptions) {
    this.#options = options
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** A gap with the reading of one that is not filled yet is the same one, grown. */
  add(gap: Gap): void {
    if (!this.#waiting.has(gap.reading) && this.#waiting.size >= GAPS_MAX) {
      this.givenUp++
      return
    }
    this.#waiting.set(gap.reading, gap)
    this.#wake.resolve()
  }

  /** Until `signal` aborts. */
  async run(to: FlowPort, signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#wake.resolve(), { once: true })
    while (!signal.aborted) {
      if (this.#waiting.size === 0) {
        this.#wake = Promise.withResolvers()
        await this.#wake.promise
      }
      await pause(GATHER_MS, signal)
      if (signal.aborted) return
      if (!(await this.#fill(this.#next(), to, signal))) await pause(RETRY_MS, signal)
    }
  }

  /** By node: one gap of each that can be read, and all about as long, as each node gives as much. */
  #next(): Map<string, Gap> {
    const gaps = new Map<string, Gap>()
    let size: number | undefined
    for (const [reading, gap] of this.#waiting) {
      if (gaps.has(gap.node) || this.#options.book.known(gap.node)?.isAway === true) continue
      const own = Math.floor(Math.log2(Math.max(1, gap.toMs - gap.fromMs)))
      size ??= own
      if (own !== size) continue
      gaps.set(gap.node, gap)
      this.#waiting.delete(reading)
    }
    return gaps
  }

  /** False where a gap is left, and may be read later. */
  async #fill(gaps: ReadonlyMap<string, Gap>, to: FlowPort, signal: AbortSignal): Promise<boolean> {
    if (gaps.size === 0) return false
    const request = this.#options.requestFor([...gaps.keys()])
    if (request === undefined) return true
    const reader = new LiveReader(this.#options, { kind: 'fill', gaps })
    const deadline = new AbortController()
    const timer = setTimeout(() => deadline.abort(), DEADLINE_MS).unref()
    const end = await this.#read(
      request,
      reader,
      gaps,
      to,
      AbortSignal.any([signal, deadline.signal]),
    )
    clearTimeout(timer)
    const { connected, failed } = reader.receiver
    let isDone = true
    for (const gap of gaps.values()) {
      const node = this.#options.book.known(gap.node)
      if (end?.code === 0 && connected.has(gap.node) && !failed.has(gap.node)) {
        this.#tries.delete(gap.reading)
        continue
      }
      isDone = false
      // It may be the one that hangs; if it is not, it speaks, or answers, before long.
      const isSilent = node !== undefined && !reader.heard.has(node)
      if (deadline.signal.aborted && isSilent) node.isAway = true
      const isServerAway = end === undefined || (end.code !== 0 && !deadline.signal.aborted)
      this.#leave(gap, node, isServerAway)
    }
    return isDone
  }

  async #read(
    request: FlowsRequest,
    reader: LiveReader,
    gaps: ReadonlyMap<string, Gap>,
    to: FlowPort,
    signal: AbortSignal,
  ): Promise<CallEnd | undefined> {
    const all = [...gaps.values()]
    const fromMs = Math.min(...all.map((gap) => gap.fromMs))
    const toMs = Math.max(...all.map((gap) => gap.toMs))
    const bounds = {
      since: timestampOf(Math.floor(fromMs - OVERLAP_MS)),
      until: timestampOf(toMs),
    }
    to.notice({ kind: 'reopened', reason: 'backfill' })
    return this.#options.client()?.openFlows(
      { ...request, ...bounds },
      (bytes, start, stop) => {
        reader.read(bytes, start, stop, to)
        return undefined
      },
      signal,
    )
  }

  /** For another try, from as far as this one came; `isServerAway`: it says nothing of the node. */
  #leave(gap: Gap, node: NodeEntry | undefined, isServerAway: boolean): void {
    const { reading, toMs } = gap
    const fromMs = Math.min(Math.max(gap.fromMs, reading.newestMs), toMs - 1)
    const isFutile = !isServerAway && fromMs <= gap.fromMs
    const tries = (this.#tries.get(reading) ?? 0) + (isFutile ? 1 : 0)
    this.#tries.set(reading, tries)
    if (tries >= TRIES_MAX && node?.isAway !== true) {
      this.#tries.delete(reading)
      // Nothing came of it since: the next stream finds the same gap.
      if (node?.reading !== reading) this.givenUp++
      return
    }
    if (!this.#waiting.has(reading)) this.#waiting.set(reading, { ...gap, fromMs })
  }
}
