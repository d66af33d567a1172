import type { EndpointTable } from '../../model/endpoint.ts'
import { Direction, FlowKind } from '../../model/flow-view.ts'
import { type FlowCursor, FlowFields, FlowType, UUID_MAX } from '../flow-cursor.ts'
import { UuidHash } from './uuid-hash.ts'
import { WireEndpoints } from './wire-endpoints.ts'
import { WireFlow, WireTime } from './wire-flow.ts'
import { fieldTable, WireReader, WireSpan } from './wire-reader.ts'
import { WireTable } from './wire-table.ts'

/** What one `observer.GetFlowsResponse` is; `none`: nothing of what we know. */
export const WireKind = { flow: 0, lostEvents: 1, nodeStatus: 2, none: 3, malformed: 4 } as const
export type WireKind = (typeof WireKind)[keyof typeof WireKind]

/** What is read of it, by the numbers of proto/observer/observer.proto. */
const RESPONSE = fieldTable([], [1, 2, 3, 1_000, 1_001])

/** Of some thousand nodes at most. */
const NODES = { entriesMax: 16_384, keysMax: 1_024 * 1_024, keyMax: 512 }
const SERVICES = { entriesMax: 4_096, keysMax: 512 * 1_024, keyMax: 512 }
const ADDRESSES = { entriesMax: 16_384, keysMax: 256 * 1_024, keyMax: 48 }
/** Methods and protocols. Clients choose them, so they have a table of their own. */
const TOKENS = { entriesMax: 256, keysMax: 8 * 1_024, keyMax: 32 }

/**
 * The view over encoded messages: decodes in place what stages read, and steps over the rest. It says
 * what MessageView says of the same message, but for what no agent sends: header names and uuids that
 * are not ASCII. What is not read (`ethernet`, `Summary`, policies …) is not checked beyond its length.
 * One for each source: its tables learn from what comes.
 * Source: cilium v1.20.2 `api/v1/observer/observer.proto`, `api/v1/flow/flow.proto`.
 */
export class WireView extends FlowFields implements FlowCursor {
  readonly #reader = new WireReader()
  readonly #endpoints: WireEndpoints
  readonly #flow: WireFlow
  readonly #time = new WireTime()
  readonly #node = new WireSpan()
  readonly #uuidHash = new UuidHash()
  readonly #nodes = new WireTable<string>(NODES)
  readonly #services = new WireTable<string>(SERVICES)
  readonly #addresses = new WireTable<string>(ADDRESSES)
  readonly #tokens = new WireTable<string>(TOKENS)

  constructor(endpoints: EndpointTable, cluster: string) {
    super(cluster, endpoints.none)
    this.#endpoints = new WireEndpoints(endpoints)
    this.#flow = new WireFlow(this.#endpoints)
  }

  /** What full tables cost: entries that gave way, and are learnt again when they come. */
  get evicted(): number {
    const { evicted } = this.#endpoints
    return evicted + this.#nodes.evicted + this.#services.evicted + this.#addresses.evicted
  }

  /**
   * Moves onto the message `bytes[start, end)`, and says what it is. The view is of use after `flow`
   * only, and only as long as the bytes stay. Never throws, never reads other bytes. `malformed`: a
   * length or a varint goes beyond its message, or a field that is read has another wire type than its
   * own; nothing of such a message is kept.
   */
  move(bytes: Buffer, start: number, end: number): WireKind {
    const reader = this.#reader
    reader.begin(bytes, start)
    this.#time.clear()
    this.#node.clear()
    let kind: WireKind = WireKind.none
    while (reader.pos < end) {
      switch (reader.next(end, RESPONSE)) {
        case 1:
          kind = WireKind.flow
          this.#flow.read(reader, end)
          break
        case 2: // node_status
          if (kind === WireKind.none) kind = WireKind.nodeStatus
          reader.pos = reader.enter(end)
          break
        case 3: // lost_events
          if (kind !== WireKind.flow) kind = WireKind.lostEvents
          reader.pos = reader.enter(end)
          break
        case 1_000: // node_name
          reader.span(this.#node, end)
          break
        case 1_001:
          this.#time.read(reader, end)
          break
      }
    }
    if (reader.isBroken) kind = WireKind.malformed
    if (kind !== WireKind.flow) this.#flow.clear()
    this.#show(this.#flow)
    return kind
  }

  #show(flow: WireFlow): void {
    const { layer4, layer7, uuid } = flow
    const time = flow.time.isSet ? flow.time : this.#time
    this.timeSeconds = time.seconds
    this.timeNanos = time.nanos
    this.verdict = flow.verdict
    this.direction = directionOf(flow.direction)
    this.isReply = flow.isReply
    this.dropReason = flow.dropReasonDesc || flow.dropReason
    this.eventType = flow.eventType
    this.eventSubType = flow.eventSubType
    this.source = this.#endpoints.intern(this.#reader, flow.source)
    this.destination = this.#endpoints.intern(this.#reader, flow.destination)
    this.sourcePort = layer4.sourcePort
    this.destinationPort = layer4.destinationPort
    this.l4Protocol = layer4.protocol
    this.tcpFlags = layer4.tcpFlags
    this.l7Type = layer7.type
    this.latencyNs = layer7.latencyNs
    this.httpStatus = layer7.httpStatus
    this.dnsRcode = layer7.dnsRcode
    this.kind = layer7.isSet ? layer7.kind : kindOf(flow.type)
    if (uuid.end - uuid.start > UUID_MAX) uuid.clear()
    this.#uuidHash.ofBytes(this.#reader.bytes, uuid.start, uuid.end)
    this.uuidHigh = this.#uuidHash.high
    this.uuidLow = this.#uuidHash.low
  }

  uuid(): string {
    return this.#reader.text(this.#flow.uuid)
  }
  /** The same string each time for the same node, without a decode. */
  nodeName(): string {
    const { node } = this.#flow
    return this.#known(this.#nodes, node.start === node.end ? this.#node : node)
  }
  sourceIp(): string {
    return this.#known(this.#addresses, this.#flow.sourceIp)
  }
  destinationIp(): string {
    return this.#known(this.#addresses, this.#flow.destinationIp)
  }
  sourceService(): string {
    return this.#service(this.#flow.sourceService)
  }
  destinationService(): string {
    return this.#service(this.#flow.destinationService)
  }
  sourceNames(): readonly string[] {
    return this.#flow.sourceNames(this.#reader)
  }
  destinationNames(): readonly string[] {
    return this.#flow.destinationNames(this.#reader)
  }
  httpMethod(): string {
    return this.#known(this.#tokens, this.#flow.layer7.method)
  }
  httpUrl(): string {
    return this.#reader.text(this.#flow.layer7.url)
  }
  httpProtocol(): string {
    return this.#known(this.#tokens, this.#flow.layer7.protocol)
  }
  httpHeader(name: string): string {
    return this.#flow.layer7.header(this.#reader, name)
  }
  dnsQuery(): string {
    return this.#reader.text(this.#flow.layer7.query)
  }
  traceId(): string {
    return this.#reader.text(this.#flow.traceId)
  }

  #known(table: WireTable<string>, span: WireSpan): string {
    if (span.start === span.end) return ''
    return table.find(this.#reader, span) ?? table.add(this.#reader, span, this.#reader.text(span))
  }

  #service(span: WireSpan): string {
    if (span.start === span.end) return ''
    const known = this.#services.find(this.#reader, span)
    if (known !== undefined) return known
    return this.#services.add(this.#reader, span, this.#flow.serviceName(this.#reader, span))
  }
}

function directionOf(number: number): Direction {
  if (number === Direction.ingress) return Direction.ingress
  return number === Direction.egress ? Direction.egress : Direction.unknown
}

function kindOf(flowType: number): FlowKind {
  if (flowType === FlowType.l7) return FlowKind.l7Other
  if (flowType === FlowType.l3l4) return FlowKind.l3l4
  return flowType === FlowType.sock ? FlowKind.sock : FlowKind.unknown
}
