export interface Rule {
  /** null: every method and path (`generic_key`). */
  readonly method: string | null
  readonly pathRegex: string
  readonly slug: string
  readonly address: string
  readonly max: number
  readonly perSecond: number
}

export interface CecFixture {
  readonly service: string
  readonly port: number
  readonly enforce?: readonly Rule[]
  readonly shadow?: readonly Rule[]
  /** Name of the filter that the scaffold lacks: rules for it then do nothing. */
  readonly without?: string
}

/** A CiliumEnvoyConfig for a Service of `shop`, as Weir writes them: scaffold by LDS, rules in the RouteConfiguration. */
export function cecFixture({ service, port, enforce, shadow, without }: CecFixture): object {
  const chain = [
    'cilium.l7policy',
    'weir.local_ratelimit',
    'weir.shadow_ratelimit',
    'envoy.filters.http.router',
  ]
  const perFilter = {
    ...(enforce === undefined
      ? {}
      : {
          'weir.local_ratelimit': limiter('weir', 100, enforce, {
            status: { code: 'TooManyRequests' },
            response_headers_to_add: [
              added('x-weir', 'enforce; r=9c41d07e; c=%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%'),
              added('retry-after', '5'),
            ],
          }),
        }),
    ...(shadow === undefined
      ? {}
      : {
          'weir.shadow_ratelimit': limiter('weir_shadow', 0, shadow, {
            request_headers_to_add_when_not_enforced: [
              added('x-weir-would-limit', 'r=5be2a91f; c=%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%'),
            ],
          }),
        }),
  }
  return {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumEnvoyConfig',
    metadata: { name: `weir-${service}`, namespace: 'shop' },
    spec: {
      services: [{ name: service, namespace: 'shop', listener: 'weir', ports: [port] }],
      resources: [
        {
          '@type': 'type.googleapis.com/envoy.config.listener.v3.Listener',
          name: 'weir',
          filter_chains: [
            {
              filters: [
                {
                  name: 'envoy.filters.network.http_connection_manager',
                  typed_config: {
                    '@type':
                      'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
                    rds: { route_config_name: 'weir' },
                    http_filters: chain
                      .filter((name) => name !== without)
                      .map((name) => ({ name })),
                  },
                },
              ],
            },
          ],
        },
        {
          '@type': 'type.googleapis.com/envoy.config.route.v3.RouteConfiguration',
          name: 'weir',
          ...(Object.keys(perFilter).length > 0 ? { typed_per_filter_config: perFilter } : {}),
          virtual_hosts: [{ name: 'weir', domains: ['*'], routes: [] }],
        },
      ],
    },
  }
}

function added(key: string, value: string): object {
  return { append_action: 'OVERWRITE_IF_EXISTS_OR_ADD', header: { key, value } }
}

function limiter(prefix: string, enforced: number, rules: readonly Rule[], more: object): object {
  return {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit',
    stat_prefix: prefix,
    filter_enabled: { default_value: { numerator: 100, denominator: 'HUNDRED' } },
    filter_enforced: { default_value: { numerator: enforced, denominator: 'HUNDRED' } },
    token_bucket: { max_tokens: 1e9, tokens_per_fill: 1e9, fill_interval: '1s' },
    always_consume_default_token_bucket: false,
    ...more,
    rate_limits: rules.map(({ method, pathRegex, slug }) => ({
      actions: [
        method === null
          ? { generic_key: { descriptor_key: 'weir_operation', descriptor_value: slug } }
          : {
              header_value_match: {
                descriptor_key: 'weir_operation',
                descriptor_value: slug,
                headers: [
                  { name: ':method', string_match: { exact: method } },
                  { name: ':path', string_match: { safe_regex: { regex: pathRegex } } },
                ],
              },
            },
        { remote_address: {} },
      ],
    })),
    descriptors: rules.map(({ slug, address, max, perSecond }) => ({
      entries: [
        { key: 'weir_operation', value: slug },
        { key: 'remote_address', value: address },
      ],
      token_bucket: { max_tokens: max, tokens_per_fill: perSecond, fill_interval: '1s' },
    })),
  }
}
