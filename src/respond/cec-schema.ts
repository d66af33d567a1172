import { canonicalAddress } from '../model/ip-address.ts'
import { NO_CLIENT } from './address.ts'
import type { Json } from './canonical-json.ts'
import { ANY_OPERATION } from './limited-operation.ts'
import { DESCRIPTORS_MAX, OPERATIONS_MAX } from './plan.ts'
import { RE2_PROGRAM_MAX, re2ProgramBoundOf } from './re2-expression.ts'
import { ADDRESS_KEY, DEFAULT_TOKENS, OPERATION_KEY } from './route-configuration.ts'
import {
  ACCESS_LOG_PATH,
  ARMED_ANNOTATION,
  CEC_API_VERSION,
  CEC_KIND,
  CLUSTER_NAME,
  DECISIONS_ANNOTATION,
  ENFORCE_FILTER,
  MANAGED_BY,
  MANAGED_BY_LABEL,
  MARK_HEADER,
  ORIGINAL_SOURCE_ANNOTATION,
  RESOURCE_NAME,
  SERVICE_LABEL,
  SHADOW_FILTER,
  SHADOW_HEADER,
  TYPE,
} from './scaffold.ts'
import {
  either,
  integer,
  list,
  literal,
  message,
  type SchemaRule,
  text,
  tuple,
} from './schema-rule.ts'

const UINT32_MAX = 4_294_967_295
/** Of Envoy: a shorter interval is refused. */
const FILL_INTERVAL_MIN_MS = 50
const FILL_INTERVAL_MAX_MS = 3_600_000
const MATCHERS_MAX = 64

const label = text('a DNS label', (value) => /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(value))
const cecName = text('weir-SERVICE', (value) =>
  /^weir-[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(value),
)
const plain = text('of letters, digits and -', (value) => /^[a-zA-Z0-9-]{1,160}$/.test(value))

const decisions = text('a list of decisions, each with id, mode and until', (value) => {
  const decision =
    /^\{"id":"[a-zA-Z0-9:._-]{1,128}","mode":"(?:enforce|shadow)","until":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"\}$/
  const inner = /^\[(.+)\]$/.exec(value)?.[1]
  return inner?.split(/(?<=\}),/).every((item) => decision.test(item)) ?? false
})

const metadata = message(
  {
    name: cecName,
    namespace: label,
    labels: message({ [MANAGED_BY_LABEL]: literal(MANAGED_BY), [SERVICE_LABEL]: label }),
    annotations: message(
      { [ORIGINAL_SOURCE_ANNOTATION]: literal('true'), [ARMED_ANNOTATION]: literal('1') },
      { [DECISIONS_ANNOTATION]: decisions },
    ),
  },
  {
    ownerReferences: tuple(
      message({
        apiVersion: literal('v1'),
        kind: literal('Service'),
        name: label,
        uid: text('a UID', (value) => /^[a-zA-Z0-9-]{1,64}$/.test(value)),
      }),
    ),
  },
)

const services = tuple(
  message({
    name: label,
    namespace: label, // as written: the agent does not default it
    listener: literal(RESOURCE_NAME),
    ports: tuple(integer(1, 65_535)), // outside of 0 to 65535 all CEC handling stops, cluster-wide
  }),
)

/** A filter whose whole config is known. */
function filter(name: string, config: Json): SchemaRule {
  return message({ name: literal(name), typed_config: literal(config) })
}

const httpConnectionManager = message({
  '@type': literal(TYPE.http),
  stat_prefix: plain,
  use_remote_address: literal(true),
  skip_xff_append: literal(true),
  stream_idle_timeout: literal('0s'),
  upgrade_configs: literal([{ upgrade_type: 'websocket' }]),
  early_header_mutation_extensions: tuple(
    filter('weir.strip', { '@type': TYPE.headerMutation, mutations: [{ remove: SHADOW_HEADER }] }),
  ),
  rds: literal({ route_config_name: RESOURCE_NAME }),
  // The order is the point: Hubble's filter before ours, the router last, each once.
  http_filters: tuple(
    filter('cilium.l7policy', { '@type': TYPE.l7Policy, access_log_path: ACCESS_LOG_PATH }),
    filter(ENFORCE_FILTER, { '@type': TYPE.localRateLimit, stat_prefix: 'weir' }),
    filter(SHADOW_FILTER, { '@type': TYPE.localRateLimit, stat_prefix: 'weir_shadow' }),
    filter('envoy.filters.http.router', { '@type': TYPE.router }),
  ),
})

const listener = message({
  '@type': literal(TYPE.listener),
  name: literal(RESOURCE_NAME),
  listener_filters: tuple(
    filter('envoy.filters.listener.tls_inspector', { '@type': TYPE.tlsInspector }),
  ),
  filter_chains: tuple(
    message({
      filter_chain_match: literal({ transport_protocol: 'raw_buffer' }),
      filters: tuple(
        message({
          name: literal('envoy.filters.network.http_connection_manager'),
          typed_config: httpConnectionManager,
        }),
      ),
    }),
    message({
      filter_chain_match: literal({ transport_protocol: 'tls' }),
      filters: tuple(
        message({
          name: literal('envoy.filters.network.tcp_proxy'),
          typed_config: message({
            '@type': literal(TYPE.tcpProxy),
            stat_prefix: plain,
            cluster: literal(CLUSTER_NAME),
          }),
        }),
      ),
    }),
  ),
})

function share(runtimeKey: string, percent: number): SchemaRule {
  return literal({
    runtime_key: runtimeKey,
    default_value: { numerator: percent, denominator: 'HUNDRED' },
  })
}

/** Envoy formats header values: a lone `%` is refused, an unknown operator too. */
function header(key: string, is: string, test: RegExp): SchemaRule {
  return message({
    append_action: literal('OVERWRITE_IF_EXISTS_OR_ADD'),
    header: message({ key: literal(key), value: text(is, (value) => test.test(value)) }),
  })
}

const MARK = /^enforce; r=[0-9a-f]{8}; c=%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%$/
const SHADOW_MARK = /^r=[0-9a-f]{8}; c=%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%$/

const slug = text('a slug that ends in a hash', (value) => {
  return value.length <= 64 && /^(?:[a-z0-9]+-)*[0-9a-f]{8}$/.test(value)
})
const operation = either(literal(ANY_OPERATION), slug)

const expression = text(
  `an expression anchored at both ends, RE2, of program size ${RE2_PROGRAM_MAX} at most`,
  (value) => /^\^.*\$$/s.test(value) && re2ProgramBoundOf(value) <= RE2_PROGRAM_MAX,
)

const method = text('a method', (value) => /^[A-Z][A-Z0-9-]{0,31}$/.test(value))
const headerMatcher = either(
  message(
    { name: literal(':method'), string_match: message({ exact: method }) },
    { invert_match: literal(true) },
  ),
  message(
    {
      name: literal(':path'),
      string_match: message({ safe_regex: message({ regex: expression }) }),
    },
    { invert_match: literal(true) },
  ),
)

const byAddress = message({ remote_address: literal({}) })
const rateLimit = message({
  actions: either(
    tuple(
      message({
        generic_key: literal({ descriptor_key: OPERATION_KEY, descriptor_value: ANY_OPERATION }),
      }),
      byAddress,
    ),
    tuple(
      message({
        header_value_match: message({
          descriptor_key: literal(OPERATION_KEY),
          descriptor_value: slug,
          headers: list(headerMatcher, 1, MATCHERS_MAX),
        }),
      }),
      byAddress,
    ),
  ),
})

const address = text("a client's address as Envoy writes it", (value) => {
  return canonicalAddress(value) === value && !NO_CLIENT.covers(value)
})

const fillInterval = text(
  `a duration from ${FILL_INTERVAL_MIN_MS}ms to 1h, in seconds`,
  (value) => {
    if (!/^\d{1,4}(?:\.\d{1,3})?s$/.test(value)) return false
    const ms = Number(value.slice(0, -1)) * 1_000
    return ms >= FILL_INTERVAL_MIN_MS && ms <= FILL_INTERVAL_MAX_MS
  },
)

const descriptor = message({
  entries: tuple(
    message({ key: literal(OPERATION_KEY), value: operation }),
    message({ key: literal(ADDRESS_KEY), value: address }),
  ),
  token_bucket: message({
    max_tokens: integer(1, UINT32_MAX), // 0 blocks everybody from Envoy 1.40 on
    tokens_per_fill: integer(1, UINT32_MAX),
    fill_interval: fillInterval,
  }),
})

const limiterFields = {
  '@type': literal(TYPE.localRateLimit),
  token_bucket: literal({
    max_tokens: DEFAULT_TOKENS,
    tokens_per_fill: DEFAULT_TOKENS,
    fill_interval: '1s',
  }),
  always_consume_default_token_bucket: literal(false),
  rate_limits: list(rateLimit, 1, OPERATIONS_MAX),
  descriptors: list(descriptor, 1, DESCRIPTORS_MAX),
}

const enforceFilter = message({
  ...limiterFields,
  stat_prefix: literal('weir'),
  filter_enabled: share('weir.enabled', 100),
  filter_enforced: share('weir.enforced', 100),
  status: literal({ code: 'TooManyRequests' }),
  rate_limited_as_resource_exhausted: literal(true),
  response_headers_to_add: tuple(
    header(MARK_HEADER, 'enforce; r=8 HEX DIGITS; c=the client that Envoy keys on', MARK),
    header('retry-after', 'whole seconds', /^[1-9]\d{0,3}$/),
  ),
})

const shadowFilter = message({
  ...limiterFields,
  stat_prefix: literal('weir_shadow'),
  filter_enabled: share('weir.shadow_enabled', 100),
  filter_enforced: share('weir.shadow_enforced', 0),
  request_headers_to_add_when_not_enforced: tuple(
    header(SHADOW_HEADER, 'r=8 HEX DIGITS; c=the client that Envoy keys on', SHADOW_MARK),
  ),
})

const route = {
  cluster: CLUSTER_NAME,
  timeout: '0s',
  max_stream_duration: { max_stream_duration: '0s' },
}

const routes = message(
  {
    '@type': literal(TYPE.routes),
    name: literal(RESOURCE_NAME),
    virtual_hosts: literal([
      { name: RESOURCE_NAME, domains: ['*'], routes: [{ match: { prefix: '/' }, route }] },
    ]),
  },
  {
    typed_per_filter_config: message(
      {},
      { [ENFORCE_FILTER]: enforceFilter, [SHADOW_FILTER]: shadowFilter },
    ),
  },
)

const cluster = message({
  '@type': literal(TYPE.cluster),
  name: literal(CLUSTER_NAME),
  connect_timeout: literal('5s'),
  type: literal('EDS'),
  eds_cluster_config: message({
    service_name: text('NAMESPACE/SERVICE:PORT', (value) =>
      /^[-a-z0-9]+\/[-a-z0-9]+:\d+$/.test(value),
    ),
  }),
  lb_policy: literal('LEAST_REQUEST'),
  circuit_breakers: message({
    thresholds: tuple(
      message({
        max_connections: integer(1, UINT32_MAX),
        max_pending_requests: integer(1, UINT32_MAX),
        max_requests: integer(1, UINT32_MAX),
        max_retries: integer(0, UINT32_MAX),
      }),
    ),
  }),
  typed_extension_protocol_options: literal({
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
      '@type': TYPE.protocolOptions,
      use_downstream_protocol_config: { http2_protocol_options: {} },
    },
  }),
})

/** The closed shape of a whole CEC of ours; what fields say about each other is `validateCec`'s. */
export const cecSchema: SchemaRule = message({
  apiVersion: literal(CEC_API_VERSION),
  kind: literal(CEC_KIND),
  metadata,
  spec: message({ services, resources: tuple(listener, routes, cluster) }),
})
