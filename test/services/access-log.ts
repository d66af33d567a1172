/** One end of a connection, as Cilium's access log names it. */
interface AccessLogEndpoint {
  readonly ID?: number
  readonly IPv4?: string
  readonly IPv6?: string
  readonly Port?: number
  readonly Identity?: number
  /** `SOURCE:KEY=VALUE`, such as `k8s:app=checkout`. */
  readonly Labels?: readonly string[]
}

/**
 * What Cilium's proxy hands to an agent for one request or response, in the JSON of
 * cilium v1.20.2 `pkg/proxy/accesslog/record.go`. Absent `Timestamp`: now.
 */
export interface AccessLogRecord {
  readonly Type: 'Request' | 'Response' | 'Sample'
  /** RFC 3339. Tells the latency only: a flow's time is when the record was fed. */
  readonly Timestamp?: string
  readonly ObservationPoint: 'Ingress' | 'Egress'
  /** Source and destination of this message, so a response has them swapped. */
  readonly SourceEndpoint: AccessLogEndpoint
  readonly DestinationEndpoint: AccessLogEndpoint
  /** 0: IPv4, 1: IPv6. */
  readonly IPVersion?: 0 | 1
  readonly Verdict: 'Forwarded' | 'Denied' | 'Error' | 'Redirected'
  /** 6: TCP, 17: UDP. */
  readonly TransportProtocol: 6 | 17
  readonly HTTP?: {
    /** 0 in a request. */
    readonly Code?: number
    readonly Method: string
    readonly URL: {
      readonly Scheme?: string
      readonly Host?: string
      readonly Path?: string
      readonly RawQuery?: string
    }
    readonly Protocol: string
    readonly Headers?: Readonly<Record<string, readonly string[]>>
  }
  readonly DNS?: {
    readonly Query: string
    readonly IPs?: readonly string[]
    readonly TTL?: number
    readonly CNAMEs?: readonly string[]
    readonly RCode?: number
    readonly QTypes?: readonly number[]
    readonly AnswerTypes?: readonly number[]
    readonly ObservationSource?: 'proxy' | 'standalone-proxy'
  }
}

/** An HTTP call as a test thinks of it. */
export interface HttpCall {
  readonly from: AccessLogEndpoint
  readonly to: AccessLogEndpoint
  readonly method: string
  readonly host: string
  /** With the query, if any. */
  readonly path: string
  readonly status: number
  readonly requestHeaders?: Readonly<Record<string, readonly string[]>>
  readonly responseHeaders?: Readonly<Record<string, readonly string[]>>
  readonly reporter?: 'Ingress' | 'Egress'
  /** When the request began; default now. */
  readonly at?: Date
  /** Default 5. */
  readonly latencyMs?: number
}

/** The two records that Cilium's proxy writes of a call. */
export function recordsOfCall(call: HttpCall): [AccessLogRecord, AccessLogRecord] {
  const { from, to, method, host, latencyMs = 5, at = new Date() } = call
  const [path, query] = call.path.split('?', 2)
  const url = { Scheme: 'http', Host: host, ...(path === undefined ? {} : { Path: path }) }
  const http = {
    Method: method,
    URL: query === undefined ? url : { ...url, RawQuery: query },
    Protocol: 'HTTP/1.1',
  }
  const common = {
    ObservationPoint: call.reporter ?? 'Ingress',
    Verdict: 'Forwarded',
    TransportProtocol: 6,
  } as const
  const request: AccessLogRecord = {
    ...common,
    Type: 'Request',
    Timestamp: at.toISOString(),
    SourceEndpoint: from,
    DestinationEndpoint: to,
    HTTP: { ...http, Headers: call.requestHeaders ?? {} },
  }
  const response: AccessLogRecord = {
    ...common,
    Type: 'Response',
    Timestamp: new Date(at.getTime() + latencyMs).toISOString(),
    SourceEndpoint: to,
    DestinationEndpoint: from,
    HTTP: { ...http, Code: call.status, Headers: call.responseHeaders ?? {} },
  }
  return [request, response]
}
