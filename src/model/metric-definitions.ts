/** One metric of the public face: names and labels are what dashboards hold on to. */
export interface MetricDefinition {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly labels: readonly string[]
  readonly help: string
  /** Upper bounds of a histogram, in the metric's unit. */
  readonly buckets?: readonly number[]
  /** Has `cluster` as its first label where the sources are of more than one cluster. */
  readonly ofCluster?: true
}

/** Names of a metric's labels, in order. `withCluster`: there is more than one source cluster. */
export function labelNamesOf(
  { labels, ofCluster }: MetricDefinition,
  withCluster: boolean,
): readonly string[] {
  return withCluster && ofCluster === true ? ['cluster', ...labels] : labels
}

const API = ['api', 'namespace', 'version', 'operation'] as const
const WORKLOADS = [
  'source_namespace',
  'source_workload',
  'destination_namespace',
  'destination_workload',
] as const
const DURATION_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10] as const

function define(
  type: MetricDefinition['type'],
  name: string,
  labels: readonly string[],
  help: string,
): MetricDefinition {
  return type === 'histogram'
    ? { name, type, labels, help, buckets: DURATION_BUCKETS }
    : { name, type, labels, help }
}

/** The same, for what flows, calls and sources of one cluster count in. */
function defineOfCluster(...args: Parameters<typeof define>): MetricDefinition {
  return { ...define(...args), ofCluster: true }
}

/** Every metric that Weir exposes about traffic and about itself; Node's own process metrics aside. */
export const METRICS = {
  apiRequests: defineOfCluster(
    'counter',
    'weir_api_requests_total',
    [...API, 'method', 'status_class', 'environment', 'confidence'],
    'API calls; without an API they count with empty labels.',
  ),
  apiDuration: defineOfCluster(
    'histogram',
    'weir_api_request_duration_seconds',
    [...API, 'method'],
    'Time from the request to the headers of its response.',
  ),
  apiUnanswered: defineOfCluster(
    'counter',
    'weir_api_unanswered_total',
    API,
    'API calls without an answer in their time; a subset of the requests.',
  ),
  apiDenied: defineOfCluster(
    'counter',
    'weir_api_denied_total',
    API,
    'API calls that a layer 7 policy denied; a subset of the requests.',
  ),
  apiLimited: defineOfCluster(
    'counter',
    'weir_api_limited_total',
    [...API, 'by'],
    'API calls that a rate limit refused, ours (weir) or another (other); a subset of the requests.',
  ),
  flowsReceived: defineOfCluster(
    'counter',
    'weir_flows_received_total',
    ['source', 'type'],
    'Flows kept, after duplicates.',
  ),
  flowsRejected: defineOfCluster(
    'counter',
    'weir_flows_rejected_total',
    ['source', 'reason'],
    'Messages that were not taken as flows.',
  ),
  flowsLost: defineOfCluster(
    'counter',
    'weir_flows_lost_total',
    ['source', 'node', 'reason'],
    'Events that Hubble says it lost before Weir could see them.',
  ),
  sourceConnected: defineOfCluster(
    'gauge',
    'weir_source_connected',
    ['source'],
    '1 while the source answers with at least one connected node.',
  ),
  sourceLag: defineOfCluster(
    'gauge',
    'weir_source_lag_seconds',
    ['source', 'node'],
    'Age of the newest flow of a node when it arrived.',
  ),
  sourceCoverage: defineOfCluster(
    'gauge',
    'weir_source_coverage_ratio',
    ['source', 'node'],
    'Share of what happened on a node in the last one to two minutes that was seen.',
  ),
  sourceReopened: defineOfCluster(
    'counter',
    'weir_source_reopened_total',
    ['source', 'reason'],
    'Streams that were opened again.',
  ),
  sourceNodeStates: defineOfCluster(
    'counter',
    'weir_source_node_states_total',
    ['source', 'state'],
    'States that Relay reported, one for each node that a report names.',
  ),
  pipelineItems: define(
    'counter',
    'weir_pipeline_items_total',
    ['stage', 'outcome', 'reason'],
    "Each stage's inputs, outputs, and what ended in it.",
  ),
  pipelineInFlight: define(
    'gauge',
    'weir_pipeline_in_flight',
    ['stage'],
    'Inputs that a stage holds.',
  ),
  pipelineUnaccounted: define(
    'gauge',
    'weir_pipeline_unaccounted',
    ['stage'],
    'in - out - ended - in flight: anything but 0 is a defect.',
  ),
  networkDrops: defineOfCluster(
    'counter',
    'weir_network_drops_total',
    ['reason', ...WORKLOADS],
    'Packets that the datapath dropped.',
  ),
  dnsResponses: defineOfCluster(
    'counter',
    'weir_dns_responses_total',
    ['rcode', ...WORKLOADS],
    'DNS answers that the proxy saw; the source is who asked.',
  ),
  tcpResets: defineOfCluster(
    'counter',
    'weir_tcp_resets_total',
    [...WORKLOADS],
    'TCP segments with RST, by who sent them.',
  ),
  events: define(
    'counter',
    'weir_events_total',
    ['publisher', 'topic', 'outcome'],
    'Events by what became of them.',
  ),
  eventsPruned: define(
    'counter',
    'weir_events_pruned_total',
    [],
    'Delivered events that left the SQLite file again, oldest first, to keep it within its bound.',
  ),
  spans: define('counter', 'weir_spans_total', ['outcome'], 'Spans by what became of them.'),
  findings: define(
    'counter',
    'weir_findings_total',
    ['rule', 'api', 'severity'],
    'Findings, told again where they grew more severe.',
  ),
  discoveries: define(
    'gauge',
    'weir_discoveries',
    ['kind'],
    'Open differences between the APIs that are declared and those that are called.',
  ),
  limits: define('gauge', 'weir_limits', ['state'], 'Limits by their state.'),
  limitRequests: define(
    'counter',
    'weir_limit_requests_total',
    ['api', 'outcome'],
    'Calls of limited clients while their limit acted.',
  ),
  limitEffect: define(
    'counter',
    'weir_limit_effect_total',
    ['effect'],
    'Verdicts on whether a limit works.',
  ),
  catalogueApis: define('gauge', 'weir_catalogue_apis', [], 'APIs that are known by name.'),
  labelOverflow: define(
    'counter',
    'weir_metric_label_overflow_total',
    ['label'],
    'Updates whose label value, or whose label set (`series`), was beyond its bound, counted as `other`.',
  ),
  evicted: define(
    'counter',
    'weir_evicted_total',
    ['what'],
    'What full tables cost, by table: entries that left before their time, or found no room.',
  ),
  buildInfo: define('gauge', 'weir_build_info', ['version', 'node'], 'Always 1.'),
  configInfo: define('gauge', 'weir_config_info', ['hash'], 'Always 1.'),
} as const
