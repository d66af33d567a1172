import type { Endpoint } from '../model/endpoint.ts'
import { Direction, FlowKind, type FlowView } from '../model/flow-view.ts'

/** A view that the room itself moves: it also tells one event from another. */
export interface FlowCursor extends FlowView {
  /**
   * 64 random bits of the flow's uuid, as two unsigned 32-bit integers (`UuidHash`). Both 0 where
   * there is no uuid (agents before 1.14).
   */
  readonly uuidHigh: number
  readonly uuidLow: number
}

/** A cursor's numbers, which each kind of message fills in its own way. */
export abstract class FlowFields {
  readonly cluster: string
  kind: FlowKind = FlowKind.unknown
  timeSeconds = 0
  timeNanos = 0
  verdict = 0
  direction: Direction = Direction.unknown
  l7Type = 0
  isReply: -1 | 0 | 1 = -1
  dropReason = 0
  source: Endpoint
  destination: Endpoint
  sourcePort = 0
  destinationPort = 0
  l4Protocol = 0
  tcpFlags = 0
  eventType = 0
  eventSubType = 0
  httpStatus = 0
  latencyNs = 0
  dnsRcode = 0
  uuidHigh = 0
  uuidLow = 0

  /** `none`: the end of which nothing is known. */
  constructor(cluster: string, none: Endpoint) {
    this.cluster = cluster
    this.source = none
    this.destination = none
  }
}

/** Numbers of `flow.FlowType`. */
export const FlowType = { l3l4: 1, l7: 2, sock: 3 } as const

/** A real uuid has 36 characters; what is longer is none, and would be kept whole. */
export const UUID_MAX = 64
