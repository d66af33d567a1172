import { type ServerWritableStream, status } from '@grpc/grpc-js'
import { type DemoNode, msOf, type StoredFlow, type Timestamp, timestampOf } from './demo-node.ts'
import { type FlowFilter, flowTest } from './flow-filter.ts'

/** `observer.GetFlowsRequest` as it is decoded: what is not set may be absent or null. */
export interface FlowsRequest {
  readonly number?: number | string
  readonly follow?: boolean
  readonly first?: boolean
  readonly since?: Partial<Timestamp> | null
  readonly until?: Partial<Timestamp> | null
  readonly whitelist?: readonly FlowFilter[]
  readonly blacklist?: readonly FlowFilter[]
}

export type FlowsCall = ServerWritableStream<FlowsRequest, object>

/** `relay.NodeState`. */
export const NODE_CONNECTED = 1
export const NODE_ERROR = 4
/** `flow.LostEventSource`. */
const HUBBLE_RING_BUFFER = 3
/** A loss is told at most this often, and only right before the next flow that matches. */
const LOST_EVERY_MS = 1_000

/** Where one stream stands in one node's ring. */
interface Cursor {
  readonly node: DemoNode
  /** Number of the flow to be read next. */
  next: number
  /** First number that is not read; Infinity while following. */
  end: number
  /** Flows that may still be sent of this node. */
  left: number
  lost: number
  lostToldMs: number
}

/**
 * One GetFlows call. Each node is read from its ring at this reader's own pace: one that is too slow
 * loses what is overwritten, and is told so. Flows of several nodes come in the order of their
 * times as far as they are there, without the wait of Relay's sort queue: as with `number=1`.
 * Source: cilium v1.20.2 `pkg/hubble/observer/local_observer.go`, `pkg/hubble/relay/observer`.
 */
export class FlowStream {
  readonly #call: FlowsCall
  readonly #cursors: Cursor[]
  readonly #matches: (flow: StoredFlow) => boolean
  readonly #untilMs: number
  #blocked = false
  #ended = false

  /** `nodes`: at least one. The request is valid: {@link requestError} had nothing to say. */
  constructor(call: FlowsCall, nodes: readonly DemoNode[]) {
    const { request } = call
    this.#call = call
    this.#matches = flowTest(request.whitelist, request.blacklist)
    this.#untilMs = request.until ? msOf(wholeTimestamp(request.until)) : Number.POSITIVE_INFINITY
    this.#cursors = nodes.map((node) => this.#startOf(node))
    call.on('drain', () => {
      this.#blocked = false
      this.pump()
    })
    call.on('cancelled', () => {
      this.#ended = true
    })
    call.on('error', () => {
      this.#ended = true
    })
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Sends what is there, until the client's window is full. Ends the call where nothing more can come. */
  pump(): void {
    while (!this.#blocked && !this.#ended) {
      const cursor = this.#earliest()
      if (cursor === undefined) break
      const flow = cursor.node.at(cursor.next++)
      if (flow === undefined) continue
      if (msOf(flow.time) > this.#untilMs) cursor.end = 0
      else if (this.#matches(flow)) this.#send(cursor, flow)
    }
    if (this.#ended || this.#cursors.some((cursor) => !isDone(cursor))) return
    this.#ended = true
    this.#call.end()
  }

  /** The relay goes away: what the client has not got yet, it does not get. */
  abandon(): void {
    if (this.#ended) return
    this.#ended = true
    this.#call.emit('error', { code: status.UNAVAILABLE, details: 'the relay stops' })
  }

  #send(cursor: Cursor, flow: StoredFlow): void {
    const { node } = cursor
    const nowMs = msOf(flow.time)
    const envelope = { node_name: node.name, time: flow.time }
    if (cursor.lost > 0 && nowMs - cursor.lostToldMs >= LOST_EVERY_MS) {
      const lost_events = {
        source: HUBBLE_RING_BUFFER,
        num_events_lost: cursor.lost,
        first: timestampOf(nowMs),
        last: timestampOf(nowMs),
      }
      cursor.lost = 0
      cursor.lostToldMs = nowMs
      this.#call.write({ lost_events, ...envelope })
    }
    this.#blocked = !this.#call.write({ flow, ...envelope })
    if (--cursor.left <= 0) cursor.end = 0
  }

  /** The cursor whose next flow is the oldest; undefined when all are read up. */
  #earliest(): Cursor | undefined {
    let best: Cursor | undefined
    let bestMs = Number.POSITIVE_INFINITY
    for (const cursor of this.#cursors) {
      if (isDone(cursor)) continue
      const { node } = cursor
      if (cursor.next < node.oldest) {
        cursor.lost += node.oldest - cursor.next
        cursor.next = node.oldest
      }
      const flow = node.at(cursor.next)
      if (flow === undefined) continue
      const ms = msOf(flow.time)
      if (ms < bestMs) {
        best = cursor
        bestMs = ms
      }
    }
    return best
  }

  #startOf(node: DemoNode): Cursor {
    const { request } = this.#call
    const number = Number(request.number ?? 0)
    const follow = request.follow === true
    const cursor: Cursor = {
      node,
      next: node.seen,
      end: follow ? Number.POSITIVE_INFINITY : node.seen,
      // A follow stream is never ended by `number`: it only says how far to go back.
      left: follow || number === 0 ? Number.POSITIVE_INFINITY : number,
      lost: 0,
      lostToldMs: 0,
    }
    if (request.since) {
      const sinceMs = msOf(wholeTimestamp(request.since))
      while (cursor.next > node.oldest && timeOf(node, cursor.next - 1) >= sinceMs) cursor.next--
      // As an agent does: the reader begins one slot before what a full ring still holds.
      if (cursor.next === node.oldest && node.oldest > 0) cursor.lost = 1
    } else if (request.first === true) {
      cursor.next = node.oldest
    } else {
      let found = 0
      while (cursor.next > node.oldest && found < number) {
        const flow = node.at(--cursor.next)
        if (flow !== undefined && msOf(flow.time) <= this.#untilMs && this.#matches(flow)) found++
      }
    }
    return cursor
  }
}

/** Why an agent would refuse the request; '' when it would not. */
export function requestError(request: FlowsRequest): string {
  return request.follow === true && request.first === true
    ? 'first cannot be specified with follow'
    : ''
}

function isDone(cursor: Cursor): boolean {
  return cursor.next >= cursor.end
}

function timeOf(node: DemoNode, number: number): number {
  const flow = node.at(number)
  return flow === undefined ? 0 : msOf(flow.time)
}

function wholeTimestamp({ seconds = 0, nanos = 0 }: Partial<Timestamp>): Timestamp {
  return { seconds: Number(seconds), nanos }
}
