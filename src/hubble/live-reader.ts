import type { FlowPort } from '../pipeline/contract.ts'
import { fingerprintOf } from './fingerprint.ts'
import type { FlowCursor } from './flow-cursor.ts'
import type { FlowsMessage } from './flow-message.ts'
import type { NodeBook, NodeEntry } from './node-book.ts'
import { NodeReading } from './node-reading.ts'
import { observerService } from './proto.ts'
import { Receiver, type TimeBounds } from './receiver.ts'
import { WireKind, type WireView } from './wire/wire-view.ts'

/** What has to be read again of one node: from where its reading stopped up to where another stream takes over. */
export interface Gap {
  readonly node: string
  /** Unix ms; `to` itself belongs to the other stream. */
  readonly fromMs: number
  readonly toMs: number
  /**
   * What came of it. The node's own until the stream has something of it, so that whatever is read
   * of a silent node counts; then the gap's alone, and the node goes on with a copy. Gaps with the
   * same one are the same gap, grown.
   */
  readonly reading: NodeReading
}

export interface LiveReaderOptions extends TimeBounds {
  /** Shared by all streams of a source: it knows their endpoints, and is moved from message to message. */
  readonly view: WireView
  readonly accepts?: ((flow: FlowCursor) => boolean) | undefined
  readonly book: NodeBook
  /** Unix ms. */
  readonly now: () => number
}

/** What a stream is for: all that is new, or what a gap holds. */
export type Purpose =
  | {
      readonly kind: 'follow'
      /** Unix ms from which the stream was asked for. */
      readonly fromMs: number
      /** A node speaks for the first time in this stream, and was not read up to where it begins. */
      readonly onGap: (gap: Gap) => void
    }
  | { readonly kind: 'fill'; readonly gaps: ReadonlyMap<string, Gap> }

/** Reads the messages of one stream from their bytes. */
export class LiveReader {
  readonly receiver: Receiver
  /** Nodes that sent a flow in this stream, new or not. */
  readonly heard = new Set<NodeEntry>()
  readonly #view: WireView
  readonly #now: () => number
  /** Flows of a node that were taken for doubles, as it just turned out. */
  #passedOver: { readonly node: NodeEntry; readonly count: number } | undefined

  constructor(options: LiveReaderOptions, purpose: Purpose) {
    const { now, untilMs } = options
    // A bounded read has no present: however long it takes, what comes again is old.
    this.#now = untilMs === undefined ? now : () => untilMs
    this.#view = options.view
    this.receiver = new Receiver({
      ...options,
      isNew:
        purpose.kind === 'follow'
          ? (flow, node, ms) => this.#follow(flow, node, ms, purpose)
          : (flow, node, ms) => this.#fill(flow, node, ms, purpose.gaps.get(node.name)),
    })
  }

  /** One message, valid only inside the call. */
  read(bytes: Buffer, start: number, end: number, to: FlowPort): void {
    const view = this.#view
    const kind = view.move(bytes, start, end)
    if (kind === WireKind.flow) this.#flow(view, to)
    else if (kind === WireKind.malformed) this.receiver.rejected('malformed', to)
    else if (kind === WireKind.none) this.receiver.rejected('unsupported', to)
    else this.#other(bytes.subarray(start, end), to)
  }

  #flow(view: WireView, to: FlowPort): void {
    this.receiver.flow(view, to)
    if (this.#passedOver === undefined) return
    const { node, count } = this.#passedOver
    this.#passedOver = undefined
    this.receiver.passedOver(node, count, to)
  }

  #follow(
    flow: FlowCursor,
    node: NodeEntry,
    ms: number,
    { fromMs, onGap }: Purpose & { kind: 'follow' },
  ): boolean {
    if (!this.heard.has(node)) {
      this.heard.add(node)
      if (node.readToMs < fromMs) {
        onGap(gapOf(node, fromMs))
        node.reading = new NodeReading(node.reading)
      }
    }
    const { reading } = node
    node.lastMs = ms
    const before = reading.misjudged
    const isNew = take(reading, flow, ms, this.#now())
    if (isNew && ms <= reading.newestMs) node.readToMs = ms
    if (reading.misjudged > before) this.#passedOver = { node, count: reading.misjudged - before }
    return isNew
  }

  #fill(flow: FlowCursor, node: NodeEntry, ms: number, gap: Gap | undefined): boolean {
    this.heard.add(node)
    if (gap === undefined || !isBefore(flow, gap.toMs)) return false
    const isNew = take(gap.reading, flow, ms, this.#now())
    const { reading } = gap
    if (isNew && node.reading === reading && ms <= reading.newestMs) node.readToMs = ms
    return isNew
  }

  /** Rare, and of no fixed size: decoded whole. */
  #other(bytes: Buffer, to: FlowPort): void {
    const message = decode(bytes)
    if (message?.lost_events) {
      this.receiver.lost(message.node_name ?? '', message.lost_events, to, true)
    } else if (message?.node_status) this.receiver.status(message.node_status, to)
    else this.receiver.rejected('malformed', to)
  }
}

export function gapOf({ name, readToMs, reading }: NodeEntry, toMs: number): Gap {
  return { node: name, fromMs: readToMs, toMs, reading }
}

function take(reading: NodeReading, flow: FlowCursor, ms: number, nowMs: number): boolean {
  let { uuidHigh: high, uuidLow: low } = flow
  if (high === 0 && low === 0) {
    const print = fingerprintOf(flow)
    high = print.high
    low = print.low
  }
  return reading.take(ms, high, low, nowMs)
}

/** Exact to the nanosecond, as the agent compares: `ms` is a whole number. */
function isBefore({ timeSeconds, timeNanos }: FlowCursor, ms: number): boolean {
  return timeSeconds * 1_000 + Math.floor(timeNanos / 1e6) < ms
}

const definition = observerService()['GetFlows']

function decode(bytes: Buffer): FlowsMessage | undefined {
  try {
    return definition?.responseDeserialize(bytes) as FlowsMessage
  } catch {
    return undefined
  }
}
