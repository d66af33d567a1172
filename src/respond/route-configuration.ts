import { type Bucket, retryAfterOf } from './bucket.ts'
import type { JsonObject } from './canonical-json.ts'
import { ANY_OPERATION, type LimitedOperation } from './limited-operation.ts'
import {
  ENFORCE_FILTER,
  MARK_HEADER,
  RESOURCE_NAME,
  SHADOW_FILTER,
  SHADOW_HEADER,
  TYPE,
  virtualHostsOf,
} from './scaffold.ts'

/** One bucket: an operation and the address that Envoy keys on. */
export interface Rule {
  readonly operation: LimitedOperation
  readonly address: string
  readonly bucket: Bucket
}

/** Rules of one RouteConfiguration, sorted by {@link compareRules}; no two with one operation and address. */
export interface RuleSet {
  readonly enforce: readonly Rule[]
  readonly shadow: readonly Rule[]
}

/** Not reachable in practice: calls without a descriptor of ours drain it, and 2 × this stays below 2^32. */
export const DEFAULT_TOKENS = 1_000_000_000
export const OPERATION_KEY = 'weir_operation'
export const ADDRESS_KEY = 'remote_address'
const CLIENT = '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%'

/** By slug, the client-wide one last, then by address. */
export function compareRules(a: Rule, b: Rule): number {
  return compareSlugs(a.operation.slug, b.operation.slug) || compareText(a.address, b.address)
}

/**
 * The acting RouteConfiguration; without rules the inert one. Rules stand at RouteConfiguration
 * level inside our filters' own config: one bucket for all virtual hosts, and nothing of the routes
 * changes. Order of actions = order of a descriptor's entries, or there is silently no limit.
 */
export function routeConfigurationOf(rules: RuleSet, revision: string, nonce: string): JsonObject {
  const filters: { [name: string]: JsonObject } = {}
  if (rules.enforce.length > 0) filters[ENFORCE_FILTER] = enforceFilterOf(rules.enforce, revision)
  if (rules.shadow.length > 0) filters[SHADOW_FILTER] = shadowFilterOf(rules.shadow, nonce)
  const acting = Object.keys(filters).length > 0
  return {
    '@type': TYPE.routes,
    name: RESOURCE_NAME,
    ...(acting ? { typed_per_filter_config: filters } : {}),
    virtual_hosts: virtualHostsOf(),
  }
}

function enforceFilterOf(rules: readonly Rule[], revision: string): JsonObject {
  const retryAfter = String(retryAfterOf(rules.map(({ bucket }) => bucket)))
  return {
    '@type': TYPE.localRateLimit,
    stat_prefix: 'weir',
    filter_enabled: share('weir.enabled', 100),
    filter_enforced: share('weir.enforced', 100),
    token_bucket: defaultBucket(),
    always_consume_default_token_bucket: false,
    status: { code: 'TooManyRequests' },
    rate_limited_as_resource_exhausted: true,
    response_headers_to_add: [
      header(MARK_HEADER, `enforce; r=${revision}; c=${CLIENT}`),
      header('retry-after', retryAfter),
    ],
    rate_limits: entriesOf(rules),
    descriptors: rules.map(descriptorOf),
  }
}

function shadowFilterOf(rules: readonly Rule[], nonce: string): JsonObject {
  return {
    '@type': TYPE.localRateLimit,
    stat_prefix: 'weir_shadow',
    filter_enabled: share('weir.shadow_enabled', 100),
    filter_enforced: share('weir.shadow_enforced', 0),
    token_bucket: defaultBucket(),
    always_consume_default_token_bucket: false,
    request_headers_to_add_when_not_enforced: [header(SHADOW_HEADER, `r=${nonce}; c=${CLIENT}`)],
    rate_limits: entriesOf(rules),
    descriptors: rules.map(descriptorOf),
  }
}

/** `:method` first: it spares the expression. */
function entriesOf(rules: readonly Rule[]): JsonObject[] {
  const operations = new Map(rules.map(({ operation }) => [operation.slug, operation]))
  return [...operations.values()].flatMap(({ slug, entries }): JsonObject[] => {
    if (slug === ANY_OPERATION) {
      const every = { descriptor_key: OPERATION_KEY, descriptor_value: ANY_OPERATION }
      return [{ actions: [{ generic_key: every }, { remote_address: {} }] }]
    }
    return entries.map((headers) => {
      const match = { descriptor_key: OPERATION_KEY, descriptor_value: slug, headers }
      return { actions: [{ header_value_match: match }, { remote_address: {} }] }
    })
  })
}

function descriptorOf({ operation, address, bucket }: Rule): JsonObject {
  return {
    entries: [
      { key: OPERATION_KEY, value: operation.slug },
      { key: ADDRESS_KEY, value: address },
    ],
    token_bucket: tokenBucket(bucket.maxTokens, bucket.tokensPerFill, bucket.fillIntervalMs),
  }
}

function defaultBucket(): JsonObject {
  return tokenBucket(DEFAULT_TOKENS, DEFAULT_TOKENS, 1_000)
}

function tokenBucket(max: number, perFill: number, intervalMs: number): JsonObject {
  return { max_tokens: max, tokens_per_fill: perFill, fill_interval: `${intervalMs / 1_000}s` }
}

function share(runtimeKey: string, percent: number): JsonObject {
  return {
    runtime_key: runtimeKey,
    default_value: { numerator: percent, denominator: 'HUNDRED' },
  }
}

/** OVERWRITE: with the default, a value that the client forged would come first. */
function header(key: string, value: string): JsonObject {
  return { append_action: 'OVERWRITE_IF_EXISTS_OR_ADD', header: { key, value } }
}

function compareSlugs(a: string, b: string): number {
  return Number(a === ANY_OPERATION) - Number(b === ANY_OPERATION) || compareText(a, b)
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}
