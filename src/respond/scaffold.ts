import type { JsonObject } from './canonical-json.ts'

export const CEC_API_VERSION = 'cilium.io/v2'
export const CEC_KIND = 'CiliumEnvoyConfig'
export const MANAGED_BY_LABEL = 'app.kubernetes.io/managed-by'
export const MANAGED_BY = 'weir'
export const SERVICE_LABEL = 'weir.dev/service'
export const ORIGINAL_SOURCE_ANNOTATION = 'cec.cilium.io/use-original-source-address'
export const ARMED_ANNOTATION = 'weir.dev/armed'
export const DECISIONS_ANNOTATION = 'weir.dev/decisions'
export const ENFORCE_FILTER = 'weir.local_ratelimit'
export const SHADOW_FILTER = 'weir.shadow_ratelimit'
export const SHADOW_HEADER = 'x-weir-would-limit'
export const MARK_HEADER = 'x-weir'
/** Name of our Listener and RouteConfiguration; the agent qualifies it with namespace and CEC. */
export const RESOURCE_NAME = 'weir'
/** Without a slash, so that the agent qualifies it: a name with one is shared between CECs. */
export const CLUSTER_NAME = 'weir-backend'
export const ACCESS_LOG_PATH = '/var/run/cilium/envoy/sockets/access_log.sock'

const TYPES = 'type.googleapis.com/'
export const TYPE = {
  listener: `${TYPES}envoy.config.listener.v3.Listener`,
  tlsInspector: `${TYPES}envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector`,
  http: `${TYPES}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
  headerMutation: `${TYPES}envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation`,
  l7Policy: `${TYPES}cilium.L7Policy`,
  localRateLimit: `${TYPES}envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit`,
  router: `${TYPES}envoy.extensions.filters.http.router.v3.Router`,
  tcpProxy: `${TYPES}envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy`,
  routes: `${TYPES}envoy.config.route.v3.RouteConfiguration`,
  cluster: `${TYPES}envoy.config.cluster.v3.Cluster`,
  protocolOptions: `${TYPES}envoy.extensions.upstreams.http.v3.HttpProtocolOptions`,
} as const

/** The Service that a CEC takes over. */
export interface ArmedService {
  readonly namespace: string
  readonly service: string
  /** The Service's port, not the pod's. */
  readonly port: number
  /** Of the Service object, so that the CEC goes with it; null where it is not known. */
  readonly uid: string | null
}

/** Owned CECs are named after their Service. */
export function cecNameOf(service: string): string {
  return `weir-${service}`
}

/**
 * The listener, armed once: `cilium.l7policy` stands before our filters, or Hubble shows our 429
 * without client and path; both filters are inert until the RouteConfiguration brings rules.
 */
export function listenerOf({ namespace, service }: ArmedService): JsonObject {
  return {
    '@type': TYPE.listener,
    name: RESOURCE_NAME,
    listener_filters: [
      {
        name: 'envoy.filters.listener.tls_inspector',
        typed_config: { '@type': TYPE.tlsInspector },
      },
    ],
    filter_chains: [
      {
        filter_chain_match: { transport_protocol: 'raw_buffer' },
        filters: [
          {
            name: 'envoy.filters.network.http_connection_manager',
            typed_config: httpConnectionManagerOf(`weir-${namespace}-${service}`),
          },
        ],
      },
      {
        // TLS on the port passes through untouched.
        filter_chain_match: { transport_protocol: 'tls' },
        filters: [
          {
            name: 'envoy.filters.network.tcp_proxy',
            typed_config: {
              '@type': TYPE.tcpProxy,
              stat_prefix: `weir-${namespace}-${service}-tls`,
              cluster: CLUSTER_NAME,
            },
          },
        ],
      },
    ],
  }
}

function httpConnectionManagerOf(statPrefix: string): JsonObject {
  return {
    '@type': TYPE.http,
    stat_prefix: statPrefix,
    use_remote_address: true, // else clients choose their own key by X-Forwarded-For
    skip_xff_append: true,
    stream_idle_timeout: '0s',
    upgrade_configs: [{ upgrade_type: 'websocket' }],
    early_header_mutation_extensions: [
      {
        name: 'weir.strip', // clients must not bring our mark
        typed_config: { '@type': TYPE.headerMutation, mutations: [{ remove: SHADOW_HEADER }] },
      },
    ],
    rds: { route_config_name: RESOURCE_NAME },
    http_filters: [
      {
        name: 'cilium.l7policy',
        typed_config: { '@type': TYPE.l7Policy, access_log_path: ACCESS_LOG_PATH },
      },
      {
        name: ENFORCE_FILTER,
        typed_config: { '@type': TYPE.localRateLimit, stat_prefix: 'weir' },
      },
      {
        name: SHADOW_FILTER,
        typed_config: { '@type': TYPE.localRateLimit, stat_prefix: 'weir_shadow' },
      },
      { name: 'envoy.filters.http.router', typed_config: { '@type': TYPE.router } },
    ],
  }
}

/** No time limits of our own: Envoy's 15 s default would cut slow calls. */
export function virtualHostsOf(): JsonObject[] {
  const route = {
    cluster: CLUSTER_NAME,
    timeout: '0s',
    max_stream_duration: { max_stream_duration: '0s' },
  }
  return [{ name: RESOURCE_NAME, domains: ['*'], routes: [{ match: { prefix: '/' }, route }] }]
}

export function clusterOf({ namespace, service, port }: ArmedService): JsonObject {
  const limits = {
    max_connections: 65_536,
    max_pending_requests: 65_536,
    max_requests: 65_536,
    max_retries: 3,
  }
  const options = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'
  return {
    '@type': TYPE.cluster,
    name: CLUSTER_NAME,
    connect_timeout: '5s',
    type: 'EDS',
    eds_cluster_config: { service_name: `${namespace}/${service}:${port}` },
    lb_policy: 'LEAST_REQUEST',
    circuit_breakers: { thresholds: [limits] }, // the default of 1024 answers 503 under load
    typed_extension_protocol_options: {
      [options]: {
        '@type': TYPE.protocolOptions,
        use_downstream_protocol_config: { http2_protocol_options: {} },
      },
    },
  }
}
