import { describe, expect, it } from 'vitest'
import { EVERY_CALL } from '../../../src/respond/limited-operation.ts'
import { planOf } from '../../../src/respond/plan.ts'
import { validateCec } from '../../../src/respond/validate-cec.ts'
import { decisionOf, operationOf, POST_ORDER_MATCH, SERVICE } from './samples.ts'

/** A plan as a test may damage it. */
type Draft = { [key: string]: Draft } & Draft[]

const LISTENER = 'spec/resources/0'
const HTTP = `${LISTENER}/filter_chains/0/filters/0/typed_config`
const CLUSTER = 'spec/resources/2'
const ENFORCE = 'spec/resources/1/typed_per_filter_config/weir.local_ratelimit'
const SHADOW = 'spec/resources/1/typed_per_filter_config/weir.shadow_ratelimit'
const RULE = `${ENFORCE}/rate_limits/0/actions/0/header_value_match`
const DESCRIPTOR = `${ENFORCE}/descriptors/0`
const ADDED = [
  `${ENFORCE}/response_headers_to_add`,
  `${SHADOW}/request_headers_to_add_when_not_enforced`,
]

function draft(): Draft {
  const service = { ...SERVICE, uid: 'uid-1' }
  const decisions = [
    decisionOf(),
    decisionOf({ id: 'limit-2', operation: EVERY_CALL, addresses: ['10.0.0.3'] }),
    decisionOf({ id: 'limit-3', mode: 'shadow' }),
  ]
  const plan = planOf(service, decisions, '5be2a91f')
  if ('refusal' in plan) throw new Error(plan.refusal)
  return JSON.parse(JSON.stringify(plan.cec))
}

/** The parent of `path` in the draft, and the last key. A `/` inside of a key is written `~`. */
function at(cec: Draft, path: string): [Draft, string] {
  const keys = path.split('/').map((key) => key.replaceAll('~', '/'))
  const last = keys.pop() ?? ''
  return [keys.reduce((value, key) => (value as Record<string, Draft>)[key] as Draft, cec), last]
}

function set(path: string, value: unknown) {
  return (cec: Draft): void => {
    const [parent, key] = at(cec, path)
    ;(parent as Record<string, unknown>)[key] = value
  }
}

function drop(path: string) {
  return (cec: Draft): void => {
    const [parent, key] = at(cec, path)
    if (Array.isArray(parent)) parent.splice(Number(key), 1)
    else delete (parent as Record<string, unknown>)[key]
  }
}

function move(list: string, from: number, to: number) {
  return (cec: Draft): void => {
    const [parent, key] = at(cec, list)
    const items = (parent as Record<string, Draft>)[key] as Draft[]
    items.splice(to, 0, ...items.splice(from, 1))
  }
}

function copy(from: string) {
  return (cec: Draft): void => {
    const [parent, key] = at(cec, from)
    ;(parent as Draft[]).push(JSON.parse(JSON.stringify((parent as Record<string, Draft>)[key])))
  }
}

describe('validateCec()', () => {
  it('accepts what we plan', () => {
    expect(validateCec(draft())).toEqual([])
  })

  it.each([
    ['another kind', set('kind', 'CiliumClusterwideEnvoyConfig'), '/kind'],
    ['another API version', set('apiVersion', 'cilium.io/v1'), '/apiVersion'],
    ['an unknown field', set('spec/nodeSelector', {}), '/spec/nodeSelector'],
    ['a status', set('status', {}), '/status'],
    ['both spellings', set(`${HTTP}/httpFilters`, []), `/${HTTP}/httpFilters`],
    [
      'the other spelling',
      (cec: Draft) => {
        set(`${HTTP}/useRemoteAddress`, true)(cec)
        drop(`${HTTP}/use_remote_address`)(cec)
      },
      `/${HTTP}/use_remote_address`,
    ],
    ["a name that is not the Service's", set('metadata/name', 'weir-other'), '/metadata/name'],
    ['a namespace that is no label', set('metadata/namespace', 'Shop'), '/metadata/namespace'],
    [
      'no owner label',
      drop('metadata/labels/app.kubernetes.io~managed-by'),
      '/metadata/labels/app.kubernetes.io~1managed-by',
    ],
    [
      'a foreign Service label',
      set('metadata/labels/weir.dev~service', 'cart'),
      '/metadata/labels/weir.dev~1service',
    ],
    [
      'a further annotation',
      set('metadata/annotations/x', 'Bearer abc'),
      '/metadata/annotations/x',
    ],
    [
      'a decision with more than id, mode and expiry',
      set(
        'metadata/annotations/weir.dev~decisions',
        '[{"id":"a","mode":"enforce","token":"x","until":"2026-01-01T00:00:00.000Z"}]',
      ),
      '/metadata/annotations/weir.dev~1decisions',
    ],
    [
      'limits without a record of them',
      drop('metadata/annotations/weir.dev~decisions'),
      '/metadata/annotations/weir.dev~1decisions',
    ],
    [
      'a record without limits',
      drop('spec/resources/1/typed_per_filter_config'),
      '/metadata/annotations/weir.dev~1decisions',
    ],
    [
      'another object as owner',
      set('metadata/ownerReferences/0/kind', 'Gateway'),
      '/metadata/ownerReferences/0/kind',
    ],
    [
      'another Service as owner',
      set('metadata/ownerReferences/0/name', 'cart'),
      '/metadata/ownerReferences/0/name',
    ],
    ['a namespace left out', drop('spec/services/0/namespace'), '/spec/services/0/namespace'],
    [
      'a foreign namespace',
      set('spec/services/0/namespace', 'other'),
      '/spec/services/0/namespace',
    ],
    ['a port of 0', set('spec/services/0/ports/0', 0), '/spec/services/0/ports/0'],
    ['a port of 70000', set('spec/services/0/ports/0', 70_000), '/spec/services/0/ports/0'],
    ['a port as text', set('spec/services/0/ports/0', '8080'), '/spec/services/0/ports/0'],
    ['all ports', set('spec/services/0/ports', []), '/spec/services/0/ports'],
    ['two Services', copy('spec/services/0'), '/spec/services'],
    ['a further resource', copy('spec/resources/2'), '/spec/resources'],
    [
      'an unknown @type',
      set(`${LISTENER}/@type`, 'type.googleapis.com/x.Listener'),
      `/${LISTENER}/@type`,
    ],
    ['a listener of another name', set(`${LISTENER}/name`, 'other/weir'), `/${LISTENER}/name`],
    [
      'two filter chains with equal matches',
      set(`${LISTENER}/filter_chains/1/filter_chain_match/transport_protocol`, 'raw_buffer'),
      `/${LISTENER}/filter_chains/1/filter_chain_match`,
    ],
    [
      "an address of the client's choice",
      set(`${HTTP}/use_remote_address`, false),
      `/${HTTP}/use_remote_address`,
    ],
    [
      'a stat prefix of another Service',
      set(`${HTTP}/stat_prefix`, 'weir-shop-cart'),
      `/${HTTP}/stat_prefix`,
    ],
    [
      'our mark let in',
      set(`${HTTP}/early_header_mutation_extensions`, []),
      `/${HTTP}/early_header_mutation_extensions`,
    ],
    [
      'l7policy behind our filters',
      move(`${HTTP}/http_filters`, 0, 2),
      `/${HTTP}/http_filters/0/name`,
    ],
    ['no l7policy', drop(`${HTTP}/http_filters/0`), `/${HTTP}/http_filters`],
    ['two l7policy filters', copy(`${HTTP}/http_filters/0`), `/${HTTP}/http_filters`],
    ['the router not last', move(`${HTTP}/http_filters`, 3, 1), `/${HTTP}/http_filters/1/name`],
    [
      'a router without config',
      drop(`${HTTP}/http_filters/3/typed_config`),
      `/${HTTP}/http_filters/3/typed_config`,
    ],
    [
      'another cluster for TLS',
      set(`${LISTENER}/filter_chains/1/filters/0/typed_config/cluster`, 'shop/checkout'),
      `/${LISTENER}/filter_chains/1/filters/0/typed_config/cluster`,
    ],
    [
      'an empty map of filters',
      set('spec/resources/1/typed_per_filter_config', {}),
      '/spec/resources/1/typed_per_filter_config',
    ],
    [
      'rules for a filter that is not there',
      set('spec/resources/1/typed_per_filter_config/lua', {}),
      '/spec/resources/1/typed_per_filter_config/lua',
    ],
    [
      'a changed route',
      set('spec/resources/1/virtual_hosts/0/routes/0/route/timeout', '15s'),
      '/spec/resources/1/virtual_hosts',
    ],
    [
      'x-ratelimit headers',
      set(`${ENFORCE}/enable_x_ratelimit_headers`, 'DRAFT_VERSION_03'),
      `/${ENFORCE}/enable_x_ratelimit_headers`,
    ],
    ['a stage', set(`${ENFORCE}/rate_limits/0/stage`, 7), `/${ENFORCE}/rate_limits/0/stage`],
    [
      'half enforced',
      set(`${ENFORCE}/filter_enforced/default_value/numerator`, 50),
      `/${ENFORCE}/filter_enforced`,
    ],
    [
      'a shadow that enforces',
      set(`${SHADOW}/filter_enforced/default_value/numerator`, 100),
      `/${SHADOW}/filter_enforced`,
    ],
    ['no default bucket', drop(`${ENFORCE}/token_bucket`), `/${ENFORCE}/token_bucket`],
    [
      'a default bucket that empties',
      set(`${ENFORCE}/token_bucket/max_tokens`, 100),
      `/${ENFORCE}/token_bucket`,
    ],
    [
      'the default bucket always drained',
      set(`${ENFORCE}/always_consume_default_token_bucket`, true),
      `/${ENFORCE}/always_consume_default_token_bucket`,
    ],
    [
      'a lone % in a header',
      set(`${ADDED[0]}/0/header/value`, 'enforce; r=9c41d07e; c=100%'),
      `/${ADDED[0]}/0/header/value`,
    ],
    [
      'a secret in a header',
      set(`${ADDED[0]}/0/header/value`, 'enforce; r=9c41d07e; c=%REQ(authorization)%'),
      `/${ADDED[0]}/0/header/value`,
    ],
    [
      'a mark that a forged one comes before',
      set(`${ADDED[1]}/0/append_action`, 'APPEND_IF_EXISTS_OR_ADD'),
      `/${ADDED[1]}/0/append_action`,
    ],
    [
      'a nonce that is none',
      set(`${ADDED[1]}/0/header/value`, 'r=; c=%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%'),
      `/${ADDED[1]}/0/header/value`,
    ],
    [
      'eleven headers',
      set(
        ADDED[0] ?? '',
        Array.from({ length: 11 }, () => ({})),
      ),
      `/${ADDED[0]}`,
    ],
    [
      'a retry-after in words',
      set(`${ADDED[0]}/1/header/value`, 'soon'),
      `/${ADDED[0]}/1/header/value`,
    ],
    [
      'an expression that is not anchored',
      set(`${RULE}/headers/1/string_match/safe_regex/regex`, '/orders'),
      `/${RULE}/headers/1/string_match/safe_regex/regex`,
    ],
    [
      'a look-ahead',
      set(`${RULE}/headers/1/string_match/safe_regex/regex`, '^/(?!x)$'),
      `/${RULE}/headers/1/string_match/safe_regex/regex`,
    ],
    [
      'an expression that does not compile',
      set(`${RULE}/headers/1/string_match/safe_regex/regex`, '^/(a$'),
      `/${RULE}/headers/1/string_match/safe_regex/regex`,
    ],
    [
      'an expression too large for Envoy',
      set(`${RULE}/headers/1/string_match/safe_regex/regex`, `^${'/[^/]+'.repeat(20)}$`),
      `/${RULE}/headers/1/string_match/safe_regex/regex`,
    ],
    [
      'a match on a cookie',
      set(`${RULE}/headers/0`, { name: 'cookie', string_match: { exact: 'x' } }),
      `/${RULE}/headers/0/name`,
    ],
    ['no match on the path', drop(`${RULE}/headers/1`), `/${ENFORCE}/rate_limits/0`],
    [
      'actions in the wrong order',
      move(`${ENFORCE}/rate_limits/0/actions`, 1, 0),
      `/${ENFORCE}/rate_limits/0/actions/0/remote_address`,
    ],
    [
      'entries in the wrong order',
      move(`${DESCRIPTOR}/entries`, 1, 0),
      `/${DESCRIPTOR}/entries/0/key`,
    ],
    [
      'a slug without a hash',
      set(`${DESCRIPTOR}/entries/0/value`, 'get-order'),
      `/${DESCRIPTOR}/entries/0/value`,
    ],
    [
      'a descriptor that nothing produces',
      set(`${DESCRIPTOR}/entries/0/value`, 'x-00000000'),
      `/${DESCRIPTOR}`,
    ],
    ['an entry without a descriptor', drop(DESCRIPTOR), `/${ENFORCE}/rate_limits/0`],
    ['a descriptor twice', copy(DESCRIPTOR), `/${ENFORCE}/descriptors/2`],
    ['one call charged twice', copy(`${ENFORCE}/rate_limits/0`), `/${ENFORCE}/rate_limits/2`],
    [
      'a name for an address',
      set(`${DESCRIPTOR}/entries/1/value`, 'localhost'),
      `/${DESCRIPTOR}/entries/1/value`,
    ],
    [
      'another spelling of an address',
      set(`${DESCRIPTOR}/entries/1/value`, '2001:DB8::1'),
      `/${DESCRIPTOR}/entries/1/value`,
    ],
    [
      'loopback',
      set(`${DESCRIPTOR}/entries/1/value`, '127.0.0.1'),
      `/${DESCRIPTOR}/entries/1/value`,
    ],
    ['a blank value', drop(`${DESCRIPTOR}/entries/1/value`), `/${DESCRIPTOR}/entries/1/value`],
    [
      'no token',
      set(`${DESCRIPTOR}/token_bucket/max_tokens`, 0),
      `/${DESCRIPTOR}/token_bucket/max_tokens`,
    ],
    [
      'a token count above 32 bits',
      set(`${DESCRIPTOR}/token_bucket/tokens_per_fill`, 4_294_967_296),
      `/${DESCRIPTOR}/token_bucket/tokens_per_fill`,
    ],
    [
      'half a token',
      set(`${DESCRIPTOR}/token_bucket/max_tokens`, 1.5),
      `/${DESCRIPTOR}/token_bucket/max_tokens`,
    ],
    [
      'a burst above a second',
      set(`${DESCRIPTOR}/token_bucket/max_tokens`, 11),
      `/${DESCRIPTOR}/token_bucket/max_tokens`,
    ],
    [
      'an interval below 50 ms',
      set(`${DESCRIPTOR}/token_bucket/fill_interval`, '0.04s'),
      `/${DESCRIPTOR}/token_bucket/fill_interval`,
    ],
    [
      'a duration in another unit',
      set(`${DESCRIPTOR}/token_bucket/fill_interval`, '100ms'),
      `/${DESCRIPTOR}/token_bucket/fill_interval`,
    ],
    [
      'a shadow mode in a descriptor',
      set(`${DESCRIPTOR}/shadow_mode`, true),
      `/${DESCRIPTOR}/shadow_mode`,
    ],
    ['a cluster name with a slash', set(`${CLUSTER}/name`, 'shop/checkout'), `/${CLUSTER}/name`],
    [
      'endpoints of another port',
      set(`${CLUSTER}/eds_cluster_config/service_name`, 'shop/checkout:9090'),
      `/${CLUSTER}/eds_cluster_config/service_name`,
    ],
    [
      'a number that is none',
      set(`${CLUSTER}/circuit_breakers/thresholds/0/max_retries`, Number.NaN),
      `/${CLUSTER}/circuit_breakers/thresholds/0/max_retries`,
    ],
  ] as const)('refuses %s', (_why, damage, path) => {
    const cec = draft()
    damage(cec)
    expect(validateCec(cec).map((problem) => problem.path)).toContain(path)
  })

  it('tells every problem at once', () => {
    const cec = draft()
    set('spec/services/0/ports/0', 0)(cec)
    set(`${DESCRIPTOR}/token_bucket/max_tokens`, 0)(cec)
    set(`${CLUSTER}/lb_policy`, 'RANDOM')(cec)
    expect(validateCec(cec).length).toBeGreaterThanOrEqual(3)
  })

  it('refuses two entries of one operation unless they exclude each other', () => {
    const matches = [POST_ORDER_MATCH, { ...POST_ORDER_MATCH, method: 'PUT' }]
    const operation = operationOf({ scope: 'api', matches })
    const plan = planOf(SERVICE, [decisionOf({ operation })], '')
    if ('refusal' in plan) throw new Error(plan.refusal)
    const cec: Draft = JSON.parse(JSON.stringify(plan.cec))
    expect(validateCec(cec)).toEqual([])
    set(
      `${ENFORCE}/rate_limits/1/actions/0/header_value_match/headers/0/string_match/exact`,
      'POST',
    )(cec)
    expect(validateCec(cec)).toEqual([
      {
        path: `/${ENFORCE}/rate_limits/1`,
        message: expect.stringContaining('charge a call twice'),
      },
    ])
  })

  it.each([null, 'x', 7, [], {}, { spec: { resources: 'x' } }, { metadata: { annotations: [] } }])(
    'refuses %j without throwing',
    (cec) => {
      expect(validateCec(cec).length).toBeGreaterThan(0)
    },
  )
})
