import type { FlowPort } from '../pipeline/contract.ts'
import { fingerprintOf } from './fingerprint.ts'
import type { FlowCursor } from './flow-cursor.ts'
import type { FlowsMessage } from './flow-message.ts'
import type { NodeBook, NodeEntry } from './node-book.ts'
import { NodeReading } from './node-reading.ts'
import { observerService } from './proto.ts'
import { Receiver, type TimeBounds } from './receiver.ts'
import { WireKind, type WireView } from './wire/wire-view.ts'

/** How far a flow's time may be ahead of ours and still be believed, in ms. */
const AHEAD_MAX_MS = 5 * 60_000

/** What has to be read again of one node: from before its reading stopped up to where another stream takes over. */
export interface Gap {
  readonly node: string
  /** Unix ms; `to` itself belongs to the other stream. */
  readonly fromMs: number
  readonly toMs: number
  /** What came of it, as it stood when the gap began. */
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

  constructor(options: LiveReaderOptions, purpose: Purpose) {
    const { now } = options
    this.#now = now
    this.#view = options.view
    this.receiver = new Receiver({
      ...options,
      isNew:
        purpose.kind === 'follow'
          ? (flow, node, ms) => this.#follow(flow, node, ms, purpose)
          : (flow, node, ms) => {
              const gap = purpose.gaps.get(node.name)
              if (gap === undefined || !isBefore(flow, gap.toMs)) return false
              return take(gap.reading, flow, ms, now())
            },
    })
  }

  /** One message, valid only inside the call. */
  read(bytes: Buffer, start: number, end: number, to: FlowPort): void {
    const view = this.#view
    const kind = view.move(bytes, start, end)
    if (kind === WireKind.flow) this.receiver.flow(view, to)
    else if (kind === WireKind.malformed) this.receiver.rejected('malformed', to)
    else if (kind === WireKind.none) this.receiver.rejected('unsupported', to)
    else this.#other(bytes.subarray(start, end), to)
  }

  #follow(
    flow: FlowCursor,
    node: NodeEntry,
    ms: number,
    { fromMs, onGap }: Purpose & { kind: 'follow' },
  ): boolean {
    const { reading } = node
    if (!this.heard.has(node)) {
      this.heard.add(node)
      if (node.readToMs < fromMs) onGap(gapOf(node, fromMs))
    }
    const isNew = take(reading, flow, ms, this.#now())
    if (isNew && ms > node.readToMs) node.readToMs = ms
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
  return { node: name, fromMs: readToMs, toMs, reading: new NodeReading(reading) }
}

/** A node's clock that is far ahead must not make all that follows look old. */
function take(reading: NodeReading, flow: FlowCursor, ms: number, nowMs: number): boolean {
  const noted = ms > nowMs + AHEAD_MAX_MS ? nowMs : ms
  let { uuidHigh: high, uuidLow: low } = flow
  if (high === 0 && low === 0) {
    const print = fingerprintOf(flow)
    high = print.high
    low = print.low
  }
  return reading.take(noted, high, low)
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
