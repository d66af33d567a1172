import type { EndpointTable } from '../model/endpoint.ts'
import { timeMsOf } from '../model/flow-view.ts'
import type { FlowPort, LossReason, SourceNotice } from '../pipeline/contract.ts'
import type { FlowsMessage, LostEventMessage, NodeStatusMessage } from './flow-message.ts'
import { MessageView } from './message-view.ts'
import { Positions } from './positions.ts'
import { SeenFlows } from './seen-flows.ts'

/** `flow.LostEventSource`: where in Hubble events were lost. */
const LOSS_REASONS: readonly LossReason[] = ['unknown', 'perf_ring', 'events_queue', 'hubble_ring']
const RING = 3
/** `relay.NodeState`. */
const NODE_STATES = ['unknown', 'connected', 'unavailable', 'gone', 'error'] as const
const NODES_SHOWN_MAX = 10

const DUPLICATE: SourceNotice = { kind: 'rejected', reason: 'duplicate', count: 1 }
const UNSUPPORTED: SourceNotice = { kind: 'rejected', reason: 'unsupported', count: 1 }
const FILTERED: SourceNotice = { kind: 'rejected', reason: 'filtered', count: 1 }

/** Unix ms; outside of them flows are counted as filtered. */
export interface TimeBounds {
  readonly sinceMs?: number | undefined
  readonly untilMs?: number | undefined
}

/**
 * Takes one response after the other, of whatever transport, and hands its flow on: once each, with
 * the position of its node noted. What is no flow becomes a notice.
 */
export class Receiver {
  readonly positions = new Positions()
  readonly #view: MessageView
  readonly #seen = new SeenFlows()
  readonly #bounds: TimeBounds

  constructor(endpoints: EndpointTable, bounds: TimeBounds = {}) {
    this.#view = new MessageView(endpoints)
    this.#bounds = bounds
  }

  /**
   * True where it was a flow, new or not. `resuming`: a ring's loss of one event then only says that
   * the ring does not reach back to `since` (facts of hubble 0.1.10), and is not counted.
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
    const view = this.#view
    view.move(message, flow)
    const ms = timeMsOf(view)
    const { sinceMs = 0, untilMs = Number.POSITIVE_INFINITY } = this.#bounds
    if (ms < sinceMs || ms > untilMs) {
      to.notice(FILTERED)
      return
    }
    if (!this.#seen.add(view)) {
      to.notice(DUPLICATE)
      return
    }
    this.positions.note(view.nodeName(), view.timeSeconds, view.timeNanos)
    to.flow(view)
  }

  #lost(
    message: FlowsMessage,
    { source = 0, num_events_lost: count = 0 }: LostEventMessage,
    to: FlowPort,
    resuming: boolean,
  ): void {
    if (resuming && source === RING && count === 1) {
      to.notice({ kind: 'reopened', reason: 'since_not_covered' })
      return
    }
    const reason = LOSS_REASONS[source] ?? 'unknown'
    to.notice({ kind: 'lost', node: message.node_name ?? '', reason, count })
  }
}

function nodesNotice(status: NodeStatusMessage): SourceNotice {
  return {
    kind: 'nodes',
    state: NODE_STATES[status.state_change ?? 0] ?? 'unknown',
    names: (status.node_names ?? []).slice(0, NODES_SHOWN_MAX),
    message: status.message ?? '',
  }
}
