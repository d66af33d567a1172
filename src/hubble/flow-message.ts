/**
 * `observer.GetFlowsResponse` as `proto.ts` decodes it, and as `proto-json.ts` reads it from a
 * capture: fields that are not set are absent, enums are numbers. Only what Weir reads is listed.
 */
export interface FlowsMessage {
  readonly flow?: FlowMessage | null
  readonly node_status?: NodeStatusMessage | null
  readonly lost_events?: LostEventMessage | null
  readonly node_name?: string
  readonly time?: TimestampMessage | null
}

interface TimestampMessage {
  readonly seconds?: number
  readonly nanos?: number
}

export interface FlowMessage {
  readonly time?: TimestampMessage | null
  readonly uuid?: string
  readonly verdict?: number
  readonly IP?: { readonly source?: string; readonly destination?: string } | null
  readonly l4?: Layer4Message | null
  readonly source?: EndpointMessage | null
  readonly destination?: EndpointMessage | null
  readonly Type?: number
  readonly node_name?: string
  readonly source_names?: readonly string[]
  readonly destination_names?: readonly string[]
  readonly l7?: Layer7Message | null
  readonly reply?: boolean
  readonly is_reply?: { readonly value?: boolean } | null
  readonly source_service?: ServiceMessage | null
  readonly destination_service?: ServiceMessage | null
  readonly traffic_direction?: number
  readonly event_type?: { readonly type?: number; readonly sub_type?: number } | null
  readonly drop_reason?: number
  readonly drop_reason_desc?: number
  readonly trace_context?: { readonly parent?: { readonly trace_id?: string } | null } | null
}

interface Layer4Message {
  readonly TCP?: PortsMessage | null
  readonly UDP?: PortsMessage | null
  readonly SCTP?: PortsMessage | null
  readonly ICMPv4?: object | null
  readonly ICMPv6?: object | null
}

export interface PortsMessage {
  readonly source_port?: number
  readonly destination_port?: number
  readonly flags?: { readonly [flag: string]: boolean | undefined } | null
}

export interface EndpointMessage {
  readonly identity?: number
  readonly namespace?: string
  readonly labels?: readonly string[]
  readonly pod_name?: string
  readonly workloads?: readonly { readonly name?: string; readonly kind?: string }[]
  readonly cluster_name?: string
}

export interface ServiceMessage {
  readonly name?: string
  readonly namespace?: string
}

interface Layer7Message {
  readonly type?: number
  readonly latency_ns?: number
  readonly http?: HttpMessage | null
  readonly dns?: { readonly query?: string; readonly rcode?: number } | null
  readonly kafka?: object | null
}

interface HttpMessage {
  readonly code?: number
  readonly method?: string
  readonly url?: string
  readonly protocol?: string
  readonly headers?: readonly { readonly key?: string; readonly value?: string }[]
}

export interface NodeStatusMessage {
  readonly state_change?: number
  readonly node_names?: readonly string[]
  readonly message?: string
}

export interface LostEventMessage {
  readonly source?: number
  readonly num_events_lost?: number
}
