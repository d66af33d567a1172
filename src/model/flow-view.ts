import type { Endpoint } from './endpoint.ts'

/** What a flow is about, told from its type and its layer 7 record. The names are values of the `type` label. */
export const FlowKind = {
  unknown: 0,
  l3l4: 1,
  sock: 2,
  http: 3,
  dns: 4,
  kafka: 5,
  l7Other: 6,
} as const
export type FlowKind = (typeof FlowKind)[keyof typeof FlowKind]
export const FLOW_KIND_NAMES = [
  'unknown',
  'l3_l4',
  'sock',
  'http',
  'dns',
  'kafka',
  'l7_other',
] as const

/** Numbers of `flow.Verdict`; an open set: newer agents may send others. */
export const Verdict = { unknown: 0, forwarded: 1, dropped: 2, error: 3, audit: 4 } as const

/** Numbers of `flow.TrafficDirection`. On layer 7: INGRESS, the server's proxy reported; EGRESS, the client's. */
export const Direction = { unknown: 0, ingress: 1, egress: 2 } as const
export type Direction = (typeof Direction)[keyof typeof Direction]

/** Numbers of `flow.L7FlowType`. */
export const L7Type = { unknown: 0, request: 1, response: 2, sample: 3 } as const

/** What stands in place of a header's value that the cluster's operator redacts. */
export const REDACTED = 'HUBBLE_REDACTED'

/** Bits of `tcpFlags`. */
export const TcpFlag = {
  fin: 1,
  syn: 2,
  rst: 4,
  psh: 8,
  ack: 16,
  urg: 32,
  ece: 64,
  cwr: 128,
  ns: 256,
} as const

/** IP protocol numbers of `l4Protocol`; 0: none, or one that Weir does not know. */
export const L4Protocol = { none: 0, icmp: 1, tcp: 6, udp: 17, icmp6: 58, sctp: 132 } as const

/**
 * A cursor over one flow, valid only inside the call that hands it over: it is moved to the next
 * message afterwards. Whoever keeps something copies it. Methods decode on demand; what is absent
 * in the message is 0 or ''. All text is chosen by whoever sent the traffic: treat it as hostile.
 * Source of the meanings: cilium v1.20.2 `api/v1/flow/flow.proto`.
 */
export interface FlowView {
  readonly kind: FlowKind
  /** Name of the cluster whose Hubble sent it, as the configuration has it. */
  readonly cluster: string
  /** Unix time at which the agent handled the event: whole seconds, and nanoseconds within it. */
  readonly timeSeconds: number
  readonly timeNanos: number
  readonly verdict: number
  readonly direction: Direction
  readonly l7Type: number
  /** -1: not told (all drops); 0: no; 1: yes. */
  readonly isReply: -1 | 0 | 1
  /** `flow.DropReason`; 0 when there is none. */
  readonly dropReason: number
  readonly source: Endpoint
  readonly destination: Endpoint
  readonly sourcePort: number
  readonly destinationPort: number
  readonly l4Protocol: number
  readonly tcpFlags: number
  /** `CiliumEventType`: 1 drop, 4 trace, 5 policy verdict, 7 socket trace, 129 access log …; 0 when absent. */
  readonly eventType: number
  /** Of a drop its reason, of a trace where it was observed. */
  readonly eventSubType: number
  /** HTTP status; 0 on requests. */
  readonly httpStatus: number
  /** Nanoseconds from request to response; 0: not known (the agent's cache is keyed by x-request-id alone). */
  readonly latencyNs: number
  /** DNS response code; 0 is NOERROR. */
  readonly dnsRcode: number

  /** Random per event and node, kept when the ring is read again; '' before Cilium 1.14. */
  uuid(): string
  /** `CLUSTER/NODE`, or the bare node in the default cluster. */
  nodeName(): string
  sourceIp(): string
  destinationIp(): string
  /** `NAMESPACE/NAME` of the Service whose address this end shows; ''. */
  sourceService(): string
  destinationService(): string
  /** Names that the DNS proxy learnt for the address. */
  sourceNames(): readonly string[]
  destinationNames(): readonly string[]
  httpMethod(): string
  /** As Envoy saw it, with scheme, authority and query; may be empty or unparsable. */
  httpUrl(): string
  httpProtocol(): string
  /** Value of the first header of that name (lower case), whatever its case on the wire; '' when absent. */
  httpHeader(name: string): string
  dnsQuery(): string
  /** W3C trace id, hex; on a RESPONSE it may be another call's. */
  traceId(): string
}

/** Unix ms, with the fraction. */
export function timeMsOf(flow: Pick<FlowView, 'timeSeconds' | 'timeNanos'>): number {
  return flow.timeSeconds * 1_000 + flow.timeNanos / 1e6
}
