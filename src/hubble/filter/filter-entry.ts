/**
 * One `flow.FlowFilter`, in its protojson spelling: all keys must match, of one key's values one is
 * enough. Only keys that a {@link FlowView} can be checked against: an older agent passes over keys
 * that it does not know, so each one is checked again here.
 */
export interface FilterEntry {
  /** Address, or CIDR. */
  readonly source_ip?: Values<string>
  readonly destination_ip?: Values<string>
  /** `NAMESPACE/PREFIX`, `NAMESPACE/`, `/PREFIX`, or `PREFIX` in the namespace `default`. */
  readonly source_pod?: Values<string>
  readonly destination_pod?: Values<string>
  /** DNS name, with `*` for any letters, digits, `-` and `.`. */
  readonly source_fqdn?: Values<string>
  readonly destination_fqdn?: Values<string>
  /** Label selector of Kubernetes; keys may have a source (`k8s:app=web`). */
  readonly source_label?: Values<string>
  readonly destination_label?: Values<string>
  readonly source_port?: Values<string | number>
  readonly destination_port?: Values<string | number>
  /** As pods. */
  readonly source_service?: Values<string>
  readonly destination_service?: Values<string>
  readonly source_workload?: Values<WorkloadEntry>
  readonly destination_workload?: Values<WorkloadEntry>
  readonly source_identity?: Values<number>
  readonly destination_identity?: Values<number>
  readonly source_cluster_name?: Values<string>
  readonly destination_cluster_name?: Values<string>
  /** Names of `flow.Verdict`. */
  readonly verdict?: Values<string>
  readonly event_type?: Values<EventTypeEntry>
  /** `404`, or a beginning: `5+`, `40+`. */
  readonly http_status_code?: Values<string | number>
  /** tcp, udp, sctp, icmp, icmpv4, icmpv6, http, dns. */
  readonly protocol?: Values<string>
  readonly reply?: Values<boolean>
  /** RE2, found anywhere in the text, as are the next two. */
  readonly dns_query?: Values<string>
  readonly http_path?: Values<string>
  readonly http_url?: Values<string>
  readonly http_method?: Values<string>
  /** Flags that are all set; others may be. */
  readonly tcp_flags?: Values<{ readonly [flag: string]: boolean | undefined }>
  /** `NODE`, `CLUSTER/NODE`, `CLUSTER/`; `*` as in DNS names. */
  readonly node_name?: Values<string>
  /** IPv4, IPv6. */
  readonly ip_version?: Values<string>
  /** Names of `flow.TrafficDirection`. */
  readonly traffic_direction?: Values<string>
  readonly trace_id?: Values<string>
  /** Names of `flow.DropReason`. */
  readonly drop_reason_desc?: Values<string>
}

type Values<T> = readonly T[] | undefined

/** One of both is set. */
export interface WorkloadEntry {
  readonly name?: string | undefined
  readonly kind?: string | undefined
}

export interface EventTypeEntry {
  /** 1 drop, 4 trace, 5 policy verdict, 7 socket trace, 129 layer 7 … */
  readonly type: number
  /** Default: whether `sub_type` is set; true without it means 0. */
  readonly match_sub_type?: boolean | undefined
  readonly sub_type?: number | undefined
}
