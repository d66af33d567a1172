import type { EndpointTable } from '../model/endpoint.ts'
import { timeMsOf } from '../model/flow-view.ts'
import type { FlowPort, LossReason, SourceNotice } from '../pipeline/contract.ts'
import {
  type FlowsMessage,
  isTimestamp,
  type LostEventMessage,
  type NodeStatusMessage,
} from './flow-message.ts'
import { MessageView } from './message-view.ts'
import { Positions } from './positions.ts'
import { SeenFlows } from './seen-flows.ts'

/** `flow.LostEventSource`: where in Hubble events were lost. */
const LOSS_REASONS: readonly LossReason[] = ['unknown', 'perf_ring', 'events_queue', 'hubble_ring']
const RING = 3
/** `relay.NodeState`. */
const NODE_STATES = ['unknown', 'connected', 'unavailable', 'gone', 'error'] as const
const NODES_SHOWN_MAX = 10
const TEXT_MAX = 300
const NODES_MAX = 10_000

const DUPLICATE: SourceNotice = { kind: 'rejected', reason: 'duplicate', count: 1 }
const MALFORMED: SourceNotice = { kind: 'rejected', reason: 'malformed', count: 1 }
const UNSUPPORTED: SourceNotice = { kind: 'rejected', reason: 'unsupported', count: 1 }
const FILTERED: SourceNotice = { kind: 'rejected', reason: 'filtered', count: 1 }

/** Unix ms; outside of them flows are counted as filtered. */
export interface TimeBounds {
  readonly sinceMs?: number | undefined
  readonly untilMs?: number | undefined
}

export interface ReceiverOptions extends TimeBounds {
  /** Wall clock, Unix ms, of a source that reads rings: what was read may come again. Absent: a file. */
  readonly now?: (() => number) | undefined
}

/**
 * Takes one response after the other, of whatever transport, and hands its flow on: once each, with
 * the position of its node noted. What is no flow becomes a notice.
 */
export class Receiver {
  readonly positions = new Positions()
  /** Flows handed on so far. */
  handed = 0
  readonly #view: MessageView
  readonly #seen: SeenFlows
  readonly #options: ReceiverOptions
  /** Nodes whose ring has told of its first loss in this stream. */
  readonly #ringTold = new Set<string>()
  #isUncoveredTold = false

  constructor(endpoints: EndpointTable, options: ReceiverOptions = {}) {
    this.#view = new MessageView(endpoints, 'default')
    this.#seen = new SeenFlows(options.now !== undefined)
    this.#options = options
  }

  /** A stream begins: each node reads its ring back to `since` anew. */
  streamOpened(): void {
    this.#ringTold.clear()
    this.#isUncoveredTold = false
  }

  /**
   * True where it was a flow, new or not. `resuming`: the stream asked for `since`, so a node's first
   * loss in its ring, where it is of one event, only says that the ring does not reach back that far
   * (docs/hubble.md, Rings): it is not counted, and told once a stream.
   */
  receive(message: FlowsMessage, to: FlowPort, resuming: boolean): boolean {
    if (message.flow) {
      this.#flow(message, message.flow, to)
      return true
    }
    if (message.lost_events) this.#lost(message, message.lost_events, to, resuming)
    else if (message.node_status) to.notice(nodesNotice(message.node_status))
    else to.notice(UNSUPPORTED)
    return false
  }

  #flow(message: FlowsMessage, flow: NonNullable<FlowsMessage['flow']>, to: FlowPort): void {
    if (!isTimestamp(flow.time ?? message.time)) {
      to.notice(MALFORMED)
      return
    }
    const view = this.#view
    view.move(message, flow)
    const ms = timeMsOf(view)
    const { sinceMs = 0, untilMs = Number.POSITIVE_INFINITY, now } = this.#options
    if (ms < sinceMs || ms > untilMs) {
      to.notice(FILTERED)
      return
    }
    if (!this.#seen.add(view)) {
      to.notice(DUPLICATE)
      return
    }
    if (now !== undefined) this.#note(view.nodeName(), ms, now())
    this.handed++
    to.flow(view)
  }

  /** A node whose clock is ahead must not move the resume of all others into the future. */
  #note(node: string, ms: number, nowMs: number): void {
    if (ms === 0) return
    if (ms <= nowMs) this.positions.note(node, this.#view.timeSeconds, this.#view.timeNanos)
    else this.positions.note(node, Math.floor(nowMs / 1_000), 0)
  }

  #lost(
    { node_name: node = '' }: FlowsMessage,
    { source = 0, num_events_lost: count = 0 }: LostEventMessage,
    to: FlowPort,
    resuming: boolean,
  ): void {
    if (resuming && source === RING && !this.#ringTold.has(node)) {
      if (this.#ringTold.size < NODES_MAX) this.#ringTold.add(node)
      if (count === 1) {
        if (!this.#isUncoveredTold) to.notice({ kind: 'reopened', reason: 'since_not_covered' })
        this.#isUncoveredTold = true
        return
      }
    }
    to.notice({ kind: 'lost', node, reason: LOSS_REASONS[source] ?? 'unknown', count })
  }
}

function nodesNotice(status: NodeStatusMessage): SourceNotice {
  const names = status.node_names ?? []
  return {
    kind: 'nodes',
    state: NODE_STATES[status.state_change ?? 0] ?? 'unknown',
    count: names.length,
    names: names.slice(0, NODES_SHOWN_MAX).map((name) => name.slice(0, TEXT_MAX)),
    message: (status.message ?? '').slice(0, TEXT_MAX),
  }
}
