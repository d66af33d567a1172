import type { Pod, Service } from './shop.ts'
import { CLUSTER_NAME } from './shop.ts'

/** Numbers of Hubble's enums, as far as the demo sends them. Source: cilium v1.20.2 `api/v1/flow/flow.proto`. */
const FORWARDED = 1
export const DROPPED = 2
const REQUEST = 1
export const RESPONSE = 2
export const INGRESS = 1
export const EGRESS = 2
const L3_L4 = 1
const L7 = 2
const IPV4 = 1
const POLICY_DENIED = 133
const TO_STACK = 3
const TO_ENDPOINT = 101
/** `event_type.type`: kinds of datapath events. */
const EVENT_DROP = 1
const EVENT_TRACE = 4
const EVENT_VERDICT = 5
const EVENT_L7 = 129

export interface Header {
  readonly key: string
  readonly value: string
}

export interface HttpRecord {
  readonly code?: number
  readonly method: string
  readonly url: string
  readonly protocol: string
  readonly headers: readonly Header[]
}

export interface DnsRecord {
  readonly query: string
  readonly ips?: readonly string[]
  readonly ttl?: number
  readonly observation_source: string
  readonly rcode?: number
  readonly qtypes: readonly string[]
  readonly rrtypes?: readonly string[]
}

interface EndpointMessage {
  readonly ID?: number
  readonly identity: number
  readonly cluster_name?: string
  readonly namespace?: string
  readonly labels: readonly string[]
  readonly pod_name?: string
  readonly workloads?: readonly { readonly name: string; readonly kind: string }[]
}

interface Ports {
  readonly source_port: number
  readonly destination_port: number
}

/** A `flow.Flow` as an object with proto names, before its node has given it time and uuid. */
export interface FlowMessage {
  readonly verdict: number
  readonly drop_reason?: number
  readonly drop_reason_desc?: number
  readonly IP: { readonly source: string; readonly destination: string; readonly ipVersion: number }
  readonly l4: { readonly TCP?: Ports & { readonly flags?: object }; readonly UDP?: Ports }
  readonly source: EndpointMessage
  readonly destination: EndpointMessage
  readonly Type: number
  readonly l7?: {
    readonly type: number
    readonly latency_ns?: number
    readonly http?: HttpRecord
    readonly dns?: DnsRecord
  }
  readonly reply?: boolean
  readonly is_reply?: { readonly value: boolean }
  readonly event_type: { readonly type: number; readonly sub_type?: number }
  readonly source_service?: ServiceName
  readonly destination_service?: ServiceName
  readonly traffic_direction: number
  readonly trace_observation_point?: number
  readonly Summary: string
}

interface ServiceName {
  readonly name: string
  readonly namespace: string
}

/** One end of a flow: where it is, and who is there. */
export interface End {
  readonly ip: string
  readonly port: number
  readonly pod?: Pod
  /** Where the address is a Service's, not a pod's. */
  readonly service?: Service
}

/** What is reported of one HTTP exchange by one proxy. */
export interface HttpView {
  readonly client: End
  readonly server: End
  readonly direction: typeof INGRESS | typeof EGRESS
  /** Index of the node that reports. */
  readonly node: number
}

export function podEnd(pod: Pod, port: number): End {
  return { ip: pod.ip, port, pod }
}

export function serviceEnd(service: Service): End {
  return { ip: service.clusterIp, port: service.port, service }
}

export function worldEnd(ip: string, port: number): End {
  return { ip, port }
}

export function httpRequest(view: HttpView, http: HttpRecord, verdict = FORWARDED): FlowMessage {
  const { code: _, ...record } = http
  return {
    ...l7(view.client, view.server, view, verdict, false),
    l7: { type: REQUEST, http: record },
    Summary: `${http.protocol} ${http.method} ${http.url}`,
  }
}

/** The answer travels the other way, so source and destination are swapped. */
export function httpResponse(view: HttpView, http: HttpRecord): FlowMessage {
  return {
    ...l7(view.server, view.client, view, FORWARDED, true),
    l7: { type: RESPONSE, http },
    Summary: `${http.protocol} ${http.code ?? 0} (${http.method} ${http.url})`,
  }
}

/** Query and answer as the client's DNS proxy saw them. Latency of DNS is never told. */
export function dnsFlow(view: HttpView, dns: DnsRecord, isReply: boolean): FlowMessage {
  const [from, to] = isReply ? [view.server, view.client] : [view.client, view.server]
  return {
    ...l7(from, to, view, FORWARDED, isReply),
    l4: { UDP: { source_port: from.port, destination_port: to.port } },
    l7: { type: isReply ? RESPONSE : REQUEST, dns },
    Summary: `DNS ${isReply ? 'Answer' : 'Query'} ${dns.query} ${dns.qtypes.join(' ')}`,
  }
}

/** A packet that the datapath let pass: `TCP Flags: SYN` and the like. */
export function tcpTrace(
  view: HttpView,
  flags: { readonly [flag: string]: boolean },
  isReply: boolean,
): FlowMessage {
  const [from, to] = isReply ? [view.server, view.client] : [view.client, view.server]
  const arriving = (view.direction === INGRESS) !== isReply
  const point = arriving ? TO_ENDPOINT : TO_STACK
  return {
    ...l3l4(from, to, view, FORWARDED, flags),
    ...replyFields(isReply),
    event_type: { type: EVENT_TRACE, ...(arriving ? {} : { sub_type: TO_STACK }) },
    trace_observation_point: point,
  }
}

/** A policy refused the packet: the drop, and the verdict that caused it. Nothing says what it was a reply to. */
export function policyDrop(view: HttpView): [FlowMessage, FlowMessage] {
  const packet = l3l4(view.client, view.server, view, DROPPED, { SYN: true })
  const denied = { drop_reason: POLICY_DENIED, drop_reason_desc: POLICY_DENIED }
  return [
    { ...packet, ...denied, event_type: { type: EVENT_VERDICT } },
    { ...packet, ...denied, event_type: { type: EVENT_DROP, sub_type: POLICY_DENIED } },
  ]
}

type Common = Omit<FlowMessage, 'Summary' | 'l7' | 'event_type'>

function l7(
  from: End,
  to: End,
  view: HttpView,
  verdict: number,
  isReply: boolean,
): Common & Pick<FlowMessage, 'event_type'> {
  return {
    ...ends(from, to, view, verdict),
    l4: { TCP: { source_port: from.port, destination_port: to.port } },
    Type: L7,
    ...replyFields(isReply),
    event_type: { type: EVENT_L7 },
  }
}

function l3l4(
  from: End,
  to: End,
  view: HttpView,
  verdict: number,
  flags: { readonly [flag: string]: boolean },
): Common & { Summary: string } {
  return {
    ...ends(from, to, view, verdict),
    l4: { TCP: { source_port: from.port, destination_port: to.port, flags } },
    Type: L3_L4,
    Summary: `TCP Flags: ${Object.keys(flags).join(', ')}`,
  }
}

function ends(from: End, to: End, view: HttpView, verdict: number): Omit<Common, 'l4' | 'Type'> {
  return {
    verdict,
    IP: { source: from.ip, destination: to.ip, ipVersion: IPV4 },
    source: endpoint(from, view.node),
    destination: endpoint(to, view.node),
    ...(from.service === undefined ? {} : { source_service: serviceName(from.service) }),
    ...(to.service === undefined ? {} : { destination_service: serviceName(to.service) }),
    traffic_direction: view.direction,
  }
}

function replyFields(isReply: boolean): Pick<FlowMessage, 'reply' | 'is_reply'> {
  return isReply ? { reply: true, is_reply: { value: true } } : { is_reply: { value: false } }
}

function serviceName({ name, namespace }: Service): ServiceName {
  return { name, namespace }
}

const WORLD: EndpointMessage = { identity: 2, labels: ['reserved:world'] }

/** A node tells the endpoint number only of its own pods. A Service's address has no endpoint: Hubble shows world. */
function endpoint(end: End, node: number): EndpointMessage {
  const { pod } = end
  if (pod === undefined) return WORLD
  return {
    ...(pod.node === node ? { ID: pod.endpointId } : {}),
    identity: pod.identity,
    cluster_name: CLUSTER_NAME,
    namespace: pod.namespace,
    labels: pod.labels,
    pod_name: pod.name,
    workloads: [{ name: pod.workload, kind: pod.kind }],
  }
}
