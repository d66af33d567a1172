import type { FlowPort } from '../pipeline/contract.ts'
import { pause } from '../runtime/pause.ts'
import type { FlowsRequest, HubbleClient } from './channel.ts'
import { timestampOf } from './channel.ts'
import { type Gap, LiveReader, type LiveReaderOptions } from './live-reader.ts'

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
 * of their own beside the main stream, one at a time, only of the nodes that it is about.
 */
export class Backfill {
  /** Gaps that were given up: for want of room, or since their nodes could not be read. */
  givenUp = 0
  readonly #options: BackfillOptions
  readonly #waiting = new Map<string, Gap>()
  #running: ReadonlyMap<string, Gap> = new Map()
  #wake = Promise.withResolvers<void>()

  constructor(options: BackfillOptions) {
    this.#options = options
  }

  get waiting(): number {
    return this.#waiting.size
  }

  /** A gap that begins where one begins that is not filled yet is the same one, grown. */
  add(gap: Gap): void {
    const key = keyOf(gap)
    const known = this.#waiting.get(key) ?? this.#running.get(key)
    if (known === undefined && this.#waiting.size >= GAPS_MAX) {
      this.givenUp++
      return
    }
    this.#waiting.set(key, known === undefined ? gap : { ...gap, reading: known.reading })
    this.#wake.resolve()
  }

  /** Until `signal` aborts. */
  async run(to: FlowPort, signal: AbortSignal): Promise<void> {
    const aborted = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
    while (!signal.aborted) {
      if (this.#waiting.size === 0) {
        this.#wake = Promise.withResolvers()
        await Promise.race([this.#wake.promise, aborted])
      }
      await pause(GATHER_MS, signal)
      if (signal.aborted) return
      await this.#fill(this.#next(), to, signal)
      this.#running = new Map()
    }
  }

  /** By node: one gap of each. */
  #next(): Map<string, Gap> {
    const gaps = new Map<string, Gap>()
    const running = new Map<string, Gap>()
    for (const [key, gap] of this.#waiting) {
      if (gaps.has(gap.node)) continue
      gaps.set(gap.node, gap)
      running.set(key, gap)
      this.#waiting.delete(key)
    }
    this.#running = running
    return gaps
  }

  async #fill(gaps: Map<string, Gap>, to: FlowPort, signal: AbortSignal): Promise<void> {
    for (let tries = 1; ; tries++) {
      await this.#read(gaps, to, signal)
      if (gaps.size === 0 || signal.aborted) return
      if (tries >= TRIES_MAX) {
        this.givenUp += gaps.size
        return
      }
      await pause(RETRY_MS, signal)
    }
  }

  /** Takes what was read to its end out of `gaps`. */
  async #read(gaps: Map<string, Gap>, to: FlowPort, signal: AbortSignal): Promise<void> {
    const client = this.#options.client()
    const request = this.#options.requestFor([...gaps.keys()])
    if (request === undefined) gaps.clear()
    if (client === undefined || request === undefined) return
    const all = [...gaps.values()]
    const fromMs = Math.min(...all.map((gap) => gap.fromMs))
    const toMs = Math.max(...all.map((gap) => gap.toMs))
    const reader = new LiveReader(this.#options, { kind: 'fill', gaps })
    to.notice({ kind: 'reopened', reason: 'backfill' })
    const end = await client.openFlows(
      {
        ...request,
        since: timestampOf(Math.floor(fromMs - OVERLAP_MS)),
        until: timestampOf(toMs),
      },
      (bytes, start, stop) => {
        reader.read(bytes, start, stop, to)
        return undefined
      },
      AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]),
    )
    if (end.code !== 0) return
    const { connected, failed } = reader.receiver
    for (const { node: name, toMs: readToMs } of all) {
      if (!connected.has(name) || failed.has(name)) continue
      gaps.delete(name)
      const node = this.#options.book.known(name)
      if (node !== undefined && node.readToMs < readToMs) node.readToMs = readToMs
    }
  }
}

function keyOf({ node, fromMs }: Gap): string {
  return `${fromMs} ${node}`
}
