import { timeMsOf } from '../model/flow-view.ts'
import type { FlowPort, LossReason, RejectReason, SourceNotice } from '../pipeline/contract.ts'
import type { FlowCursor } from './flow-cursor.ts'
import type { LostEventMessage, NodeStatusMessage } from './flow-message.ts'
import type { NodeBook, NodeEntry } from './node-book.ts'

/** `flow.LostEventSource`: where in Hubble events were lost. */
const LOSS_REASONS: readonly LossReason[] = ['unknown', 'perf_ring', 'events_queue', 'hubble_ring']
const RING = 3
/** `relay.NodeState`. */
const NODE_STATES = ['unknown', 'connected', 'unavailable', 'gone', 'error'] as const
const NODES_SHOWN_MAX = 10
/** Nodes that one stream remembers for each reason, and the length of a name. */
const NODES_MAX = 10_000
const NAME_MAX = 1_024
/** More than any ring or queue can lose at once; a sum with such a number in it still counts single events. */
const LOST_MAX = 0xffff_ffff
const TEXT_MAX = 300
/** The last second of the year 9999, where protobuf's Timestamp ends. */
const SECONDS_MAX = 253_402_300_799

const REJECTED: { readonly [reason in RejectReason]: SourceNotice } = {
  duplicate: { kind: 'rejected', reason: 'duplicate', count: 1 },
  malformed: { kind: 'rejected', reason: 'malformed', count: 1 },
  filtered: { kind: 'rejected', reason: 'filtered', count: 1 },
  too_large: { kind: 'rejected', reason: 'too_large', count: 1 },
  unsupported: { kind: 'rejected', reason: 'unsupported', count: 1 },
}

/** Unix ms, inclusive; outside of them flows are counted as filtered. */
export interface TimeBounds {
  readonly sinceMs?: number | undefined
  readonly untilMs?: number | undefined
}

export interface ReceiverOptions extends TimeBounds {
  /** False: not asked for. What is asked of Hubble is asked again here: old agents overlook what they do not know. */
  readonly accepts?: ((flow: FlowCursor) => boolean) | undefined
  readonly book: NodeBook
  /** Whether the flow came for the first time. */
  readonly isNew: (flow: FlowCursor, node: NodeEntry, ms: number) => boolean
  /** Unix ms. */
  readonly now: () => number
}

/**
 * Takes what one stream brings, message by message, and hands its flows on: once each, within the
 * bounds, and noted in the book of nodes. Whatever else comes becomes a notice.
 */
export class Receiver {
  /** Flows handed on so far. */
  handed = 0
  /** What a node reported as NODE_ERROR last; '' while there is none. */
  nodeError = ''
  /** Nodes that this stream was to read, as Relay says; those of them that it does not read. */
  readonly connected = new Set<string>()
  readonly failed = new Set<string>()
  /** Nodes whose ring does not reach back to where this stream begins. */
  readonly notCovered = new Set<string>()
  readonly #options: ReceiverOptions
  readonly #sinceMs: number
  readonly #untilMs: number
  /** Nodes whose ring has told of its first loss in this stream. */
  readonly #ringTold = new Set<string>()

  constructor(options: ReceiverOptions) {
    this.#options = options
    this.#sinceMs = options.sinceMs ?? 0
    this.#untilMs = options.untilMs ?? Number.POSITIVE_INFINITY
  }

  /** `view` stands on a flow. */
  flow(view: FlowCursor, to: FlowPort): void {
    const { book, now, accepts, isNew } = this.#options
    const { timeSeconds: seconds, timeNanos: nanos } = view
    if (!(seconds >= 0 && seconds <= SECONDS_MAX && nanos >= 0 && nanos < 1e9)) {
      to.notice(REJECTED.malformed)
      return
    }
    const ms = timeMsOf(view)
    if (ms < this.#sinceMs || ms > this.#untilMs) {
      to.notice(REJECTED.filtered)
      return
    }
    const nowMs = now()
    const node = book.node(view.nodeName(), nowMs)
    node.heardMs = nowMs
    node.isAway = false
    if (!isNew(view, node, ms)) {
      to.notice(REJECTED.duplicate)
      return
    }
    node.coverage.received()
    if (accepts !== undefined && !accepts(view)) {
      to.notice(REJECTED.filtered)
      return
    }
    this.handed++
    to.flow(view)
  }

  /**
   * `resuming`: the stream asked for `since`, so a node's first loss in its ring, where it is of one
   * event, only says that the ring does not reach back that far (docs/hubble.md, Rings): it is not
   * counted, and told once a stream.
   */
  lost(
    name: string,
    { source = 0, num_events_lost: lost = 0 }: LostEventMessage,
    to: FlowPort,
    resuming: boolean,
  ): void {
    const count = Math.min(lost, LOST_MAX)
    if (resuming && source === RING && !this.#ringTold.has(name)) {
      remember(this.#ringTold, name)
      if (count === 1) {
        if (this.notCovered.size === 0) {
          to.notice({ kind: 'reopened', reason: 'since_not_covered' })
        }
        remember(this.notCovered, name)
        return
      }
    }
    const { book, now } = this.#options
    const node = book.node(name, now())
    node.coverage.lost(count, source === RING)
    to.notice({ kind: 'lost', node: node.name, reason: LOSS_REASONS[source] ?? 'unknown', count })
  }

  /** Flows that were taken for doubles by a clock that was set back, and were none. */
  passedOver({ name, coverage }: NodeEntry, count: number, to: FlowPort): void {
    coverage.lost(count, true)
    to.notice({ kind: 'lost', node: name, reason: 'unknown', count })
  }

  status(status: NodeStatusMessage, to: FlowPort): void {
    const names = status.node_names ?? []
    const message = (status.message ?? '').slice(0, TEXT_MAX)
    const state = NODE_STATES[status.state_change ?? 0] ?? 'unknown'
    if (state === 'error') this.nodeError = message
    for (const name of names) {
      if (state === 'connected') remember(this.connected, name)
      if (state !== 'error' && state !== 'unavailable') continue
      remember(this.failed, name)
      const node = this.#options.book.known(name)
      if (node !== undefined) node.isAway = true
    }
    to.notice({
      kind: 'nodes',
      state,
      count: names.length,
      names: names.slice(0, NODES_SHOWN_MAX).map((name) => name.slice(0, TEXT_MAX)),
      message,
    })
  }

  rejected(reason: RejectReason, to: FlowPort): void {
    to.notice(REJECTED[reason])
  }
}

function remember(names: Set<string>, name: string): void {
  if (names.size < NODES_MAX && name.length <= NAME_MAX) names.add(name)
}
