import type { EndpointTable } from '../../model/endpoint.ts'
import { Direction, FlowKind, L4Protocol, TcpFlag } from '../../model/flow-view.ts'
import { endpointFieldsOf } from '../endpoint-fields.ts'
import { type FlowCursor, FlowFields, FlowType, UUID_MAX } from '../flow-cursor.ts'
import type { FlowMessage, FlowsMessage, PortsMessage, ServiceMessage } from '../flow-message.ts'
import { UuidHash } from '../wire/uuid-hash.ts'

const NO_FLOW: FlowMessage = {}
const TCP_FLAGS = Object.entries(TcpFlag).map(([name, bit]) => [name.toUpperCase(), bit] as const)

/** The view over decoded messages: one object, moved from message to message. */
export class MessageView extends FlowFields implements FlowCursor {
  readonly #uuidHash = new UuidHash()
  readonly #endpoints: EndpointTable
  #flow: FlowMessage = NO_FLOW
  #nodeName = ''

  constructor(endpoints: EndpointTable, cluster: string) {
    super(cluster, endpoints.none)
    this.#endpoints = endpoints
  }

  /** Moves the view onto the flow of `message`; its response's node and time stand in where the flow has none. */
  move(message: FlowsMessage, flow: FlowMessage): void {
    this.#flow = flow
    this.#nodeName = flow.node_name || message.node_name || ''
    const time = flow.time ?? message.time
    this.timeSeconds = time?.seconds ?? 0
    this.timeNanos = time?.nanos ?? 0
    this.#uuidHash.ofText(this.uuid())
    this.uuidHigh = this.#uuidHash.high
    this.uuidLow = this.#uuidHash.low
    this.verdict = flow.verdict ?? 0
    this.direction = directionOf(flow.traffic_direction)
    this.isReply = flow.is_reply ? (flow.is_reply.value ? 1 : 0) : -1
    this.dropReason = flow.drop_reason_desc || flow.drop_reason || 0
    this.eventType = flow.event_type?.type ?? 0
    this.eventSubType = flow.event_type?.sub_type ?? 0
    this.source = this.#endpoints.intern(endpointFieldsOf(flow.source))
    this.destination = this.#endpoints.intern(endpointFieldsOf(flow.destination))
    this.#moveLayer4(flow)
    this.#moveLayer7(flow)
  }

  #moveLayer4({ l4 }: FlowMessage): void {
    const ports = l4?.TCP ?? l4?.UDP ?? l4?.SCTP
    this.sourcePort = ports?.source_port ?? 0
    this.destinationPort = ports?.destination_port ?? 0
    this.tcpFlags = l4?.TCP ? tcpFlagsOf(l4.TCP) : 0
    if (l4?.TCP) this.l4Protocol = L4Protocol.tcp
    else if (l4?.UDP) this.l4Protocol = L4Protocol.udp
    else if (l4?.SCTP) this.l4Protocol = L4Protocol.sctp
    else if (l4?.ICMPv4) this.l4Protocol = L4Protocol.icmp
    else this.l4Protocol = l4?.ICMPv6 ? L4Protocol.icmp6 : L4Protocol.none
  }

  #moveLayer7({ l7, Type }: FlowMessage): void {
    this.l7Type = l7?.type ?? 0
    this.latencyNs = l7?.latency_ns ?? 0
    this.httpStatus = l7?.http?.code ?? 0
    this.dnsRcode = l7?.dns?.rcode ?? 0
    if (l7?.http) this.kind = FlowKind.http
    else if (l7?.dns) this.kind = FlowKind.dns
    else if (l7?.kafka) this.kind = FlowKind.kafka
    else if (l7 || Type === FlowType.l7) this.kind = FlowKind.l7Other
    else if (Type === FlowType.l3l4) this.kind = FlowKind.l3l4
    else this.kind = Type === FlowType.sock ? FlowKind.sock : FlowKind.unknown
  }

  uuid(): string {
    const uuid = this.#flow.uuid ?? ''
    return uuid.length <= UUID_MAX ? uuid : ''
  }
  nodeName(): string {
    return this.#nodeName
  }
  sourceIp(): string {
    return this.#flow.IP?.source ?? ''
  }
  destinationIp(): string {
    return this.#flow.IP?.destination ?? ''
  }
  sourceService(): string {
    return serviceName(this.#flow.source_service)
  }
  destinationService(): string {
    return serviceName(this.#flow.destination_service)
  }
  sourceNames(): readonly string[] {
    return this.#flow.source_names ?? []
  }
  destinationNames(): readonly string[] {
    return this.#flow.destination_names ?? []
  }
  httpMethod(): string {
    return this.#flow.l7?.http?.method ?? ''
  }
  httpUrl(): string {
    return this.#flow.l7?.http?.url ?? ''
  }
  httpProtocol(): string {
    return this.#flow.l7?.http?.protocol ?? ''
  }
  httpHeader(name: string): string {
    for (const { key, value } of this.#flow.l7?.http?.headers ?? []) {
      if (key?.length === name.length && key.toLowerCase() === name) return value ?? ''
    }
    return ''
  }
  dnsQuery(): string {
    return this.#flow.l7?.dns?.query ?? ''
  }
  traceId(): string {
    return this.#flow.trace_context?.parent?.trace_id ?? ''
  }
}

function directionOf(number: number | undefined): Direction {
  if (number === Direction.ingress) return Direction.ingress
  return number === Direction.egress ? Direction.egress : Direction.unknown
}

function tcpFlagsOf({ flags }: PortsMessage): number {
  let bits = 0
  if (flags) for (const [name, bit] of TCP_FLAGS) if (flags[name] === true) bits |= bit
  return bits
}

function serviceName(service: ServiceMessage | null | undefined): string {
  if (!service?.name) return ''
  return `${service.namespace ?? ''}/${service.name}`
}
