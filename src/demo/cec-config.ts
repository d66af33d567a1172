import { RE2JS } from 're2js'

/** What an Envoy takes from one CiliumEnvoyConfig, as far as local rate limits go. */
export interface CecConfig {
  /** NAMESPACE/NAME. */
  readonly key: string
  readonly services: readonly RedirectedService[]
  /** In the order of the connection manager's filter chain. */
  readonly limiters: readonly LimiterConfig[]
  /** The RouteConfiguration as text with sorted keys: as long as it stays, buckets keep what is in them. */
  readonly routeText: string
}

interface RedirectedService {
  readonly namespace: string
  readonly name: string
  /** Service ports; empty: all. */
  readonly ports: readonly number[]
}

/** One `LocalRateLimit` filter's rules. Source: envoy v1.37 `local_ratelimit/v3/local_rate_limit.proto`. */
export interface LimiterConfig {
  readonly filter: string
  /** Shares of requests, 0 … 1. */
  readonly enabled: number
  readonly enforced: number
  readonly status: number
  readonly responseHeaders: readonly HeaderTemplate[]
  readonly shadowHeaders: readonly HeaderTemplate[]
  readonly entries: readonly (readonly Action[])[]
  /** By {@link descriptorKey}. */
  readonly descriptors: ReadonlyMap<string, Bucket>
}

export interface HeaderTemplate {
  readonly key: string
  readonly value: string
}

/** Size in tokens; refill in tokens a second. */
export interface Bucket {
  readonly max: number
  readonly perSecond: number
}

export type Pair = readonly [key: string, value: string]

export type Action =
  | { readonly kind: 'remote_address' }
  | { readonly kind: 'generic'; readonly pair: Pair }
  | {
      readonly kind: 'headers'
      readonly pair: Pair
      readonly expect: boolean
      readonly matchers: readonly HeaderMatcher[]
    }

interface HeaderMatcher {
  /** Lower case, or `:method`, `:path`. */
  readonly name: string
  readonly matches: (value: string) => boolean
  readonly invert: boolean
}

export function descriptorKey(pairs: readonly Pair[]): string {
  return JSON.stringify(pairs)
}

const PARTS: { readonly [denominator: string]: number } = {
  HUNDRED: 100,
  TEN_THOUSAND: 1e4,
  MILLION: 1e6,
}
const UINT32_MAX = 4_294_967_295
const FILL_INTERVAL_MIN_MS = 50
const REMOTE_ADDRESS = '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%'

/**
 * Reads a CiliumEnvoyConfig in its snake_case spelling.
 * @throws {Error} with the reason for which an agent would drop it or Envoy refuse it: what was in
 * force before then stays. Only what a limit needs is looked at.
 */
export function parseCec(cec: unknown): CecConfig {
  const root = object(cec, 'the object')
  const metadata = object(root['metadata'], 'metadata')
  const spec = object(root['spec'], 'spec')
  const resources = list(spec['resources'], 'spec.resources').map((r) => object(r, 'a resource'))
  const listener = resources.find((r) => typeOf(r) === 'envoy.config.listener.v3.Listener')
  const manager = connectionManager(listener)
  const routeName = optional(manager['rds'])?.['route_config_name']
  const route =
    optional(manager['route_config']) ??
    resources.find(
      (r) => typeOf(r) === 'envoy.config.route.v3.RouteConfiguration' && r['name'] === routeName,
    )
  const perFilter = optional(route?.['typed_per_filter_config']) ?? {}
  const chain = list(manager['http_filters'], 'http_filters').map((f) =>
    text(object(f, 'an http filter')['name'], 'name of an http filter'),
  )
  const limiters = chain
    .filter((name) => perFilter[name] !== undefined)
    .map((name) => parseLimiter(name, object(perFilter[name], name)))
  return {
    key: `${text(metadata['namespace'], 'namespace')}/${text(metadata['name'], 'name')}`,
    services: list(spec['services'] ?? [], 'spec.services').map(parseService),
    limiters,
    routeText: canonical(route),
  }
}

function connectionManager(listener: Fields | undefined): Fields {
  for (const chain of list(listener?.['filter_chains'] ?? [], 'filter_chains')) {
    for (const filter of list(optional(chain)?.['filters'] ?? [], 'filters')) {
      const config = optional(optional(filter)?.['typed_config'])
      if (config !== undefined && typeOf(config).endsWith('.HttpConnectionManager')) return config
    }
  }
  throw new Error('no listener with an HTTP connection manager')
}

function parseService(value: unknown): RedirectedService {
  const service = object(value, 'a service')
  return {
    // Neither defaulted nor overridden by the agent: absent, it redirects nothing.
    namespace: typeof service['namespace'] === 'string' ? service['namespace'] : '',
    name: text(service['name'], 'name of a service'),
    ports: list(service['ports'] ?? [], 'ports').map((port) => number(port, 'a port')),
  }
}

function parseLimiter(filter: string, config: Fields): LimiterConfig {
  text(config['stat_prefix'], 'stat_prefix')
  parseBucket(config['token_bucket'])
  const descriptors = new Map<string, Bucket>()
  for (const value of list(config['descriptors'] ?? [], 'descriptors')) {
    const descriptor = object(value, 'a descriptor')
    const pairs = list(descriptor['entries'], 'entries').map((e): Pair => {
      const entry = object(e, 'an entry')
      return [text(entry['key'], 'key of an entry'), text(entry['value'], 'value of an entry')]
    })
    const key = descriptorKey(pairs)
    if (descriptors.has(key)) throw new Error(`duplicate descriptor ${key}`)
    descriptors.set(key, parseBucket(descriptor['token_bucket']))
  }
  const entries = list(config['rate_limits'] ?? [], 'rate_limits').map((value) => {
    const entry = object(value, 'a rate limit')
    if (entry['stage'] !== undefined) throw new Error('stage is not allowed in an embedded entry')
    return list(entry['actions'], 'actions').map(parseAction)
  })
  const status = optional(config['status'])?.['code']
  return {
    filter,
    enabled: share(config['filter_enabled']),
    enforced: share(config['filter_enforced']),
    // Below 400 Envoy takes 429 as well.
    status: typeof status === 'number' && status >= 400 ? status : 429,
    responseHeaders: headers(config['response_headers_to_add']),
    shadowHeaders: headers(config['request_headers_to_add_when_not_enforced']),
    entries,
    descriptors,
  }
}

function parseAction(value: unknown): Action {
  const action = object(value, 'an action')
  if (action['remote_address'] !== undefined) return { kind: 'remote_address' }
  const generic = optional(action['generic_key'])
  if (generic !== undefined) {
    const key = text(generic['descriptor_key'] ?? 'generic_key', 'descriptor_key')
    return { kind: 'generic', pair: [key, text(generic['descriptor_value'], 'descriptor_value')] }
  }
  const match = optional(action['header_value_match'])
  if (match === undefined) throw new Error(`unknown action ${Object.keys(action).join()}`)
  const key = text(match['descriptor_key'] ?? 'header_match', 'descriptor_key')
  return {
    kind: 'headers',
    pair: [key, text(match['descriptor_value'], 'descriptor_value')],
    expect: match['expect_match'] !== false,
    matchers: list(match['headers'], 'headers').map(parseMatcher),
  }
}

function parseMatcher(value: unknown): HeaderMatcher {
  const matcher = object(value, 'a header matcher')
  const name = text(matcher['name'], 'name of a header').toLowerCase()
  const rule = object(matcher['string_match'], `string_match of ${name}`)
  const regex = optional(rule['safe_regex'])?.['regex']
  let matches: (value: string) => boolean
  if (typeof rule['exact'] === 'string') {
    const { exact } = rule
    matches = (v) => v === exact
  } else if (typeof rule['prefix'] === 'string') {
    const { prefix } = rule
    matches = (v) => v.startsWith(String(prefix))
  } else if (typeof regex === 'string') {
    // The same engine as Envoy's; throws for what RE2 refuses. The whole value must match.
    const compiled = RE2JS.compile(regex)
    matches = (v) => compiled.matches(v)
  } else {
    throw new Error(`unknown string_match of ${name}: ${Object.keys(rule).join()}`)
  }
  return { name, matches, invert: matcher['invert_match'] === true }
}

function parseBucket(value: unknown): Bucket {
  const bucket = object(value, 'token_bucket')
  const max = number(bucket['max_tokens'], 'max_tokens')
  const fill = number(bucket['tokens_per_fill'] ?? 1, 'tokens_per_fill')
  const interval = /^(\d+(?:\.\d+)?)s$/.exec(text(bucket['fill_interval'], 'fill_interval'))
  const intervalMs = Number(interval?.[1] ?? Number.NaN) * 1_000
  const valid = max > 0 && max <= UINT32_MAX && fill > 0 && fill <= UINT32_MAX
  if (!valid || !(intervalMs >= FILL_INTERVAL_MIN_MS)) throw new Error('token_bucket out of range')
  return { max, perSecond: (fill * 1_000) / intervalMs }
}

/** Absent: 0 %, so a filter without it is inert. */
function share(value: unknown): number {
  const fraction = optional(optional(value)?.['default_value'])
  if (fraction === undefined) return 0
  const denominator = text(fraction['denominator'] ?? 'HUNDRED', 'denominator')
  const parts = PARTS[denominator]
  if (parts === undefined) throw new Error(`unknown denominator ${denominator}`)
  return number(fraction['numerator'] ?? 0, 'numerator') / parts
}

function headers(value: unknown): HeaderTemplate[] {
  return list(value ?? [], 'headers to add').map((h) => {
    const header = object(object(h, 'a header')['header'], 'header')
    const template = { key: text(header['key'], 'key'), value: text(header['value'], 'value') }
    const rest = template.value.replaceAll('%%', '').replaceAll(REMOTE_ADDRESS, '')
    if (rest.includes('%')) throw new Error(`unknown formatter in ${template.value}`)
    return template
  })
}

/** The header's value for a request of `address`. */
export function formatHeader({ value }: HeaderTemplate, address: string): string {
  return value.replaceAll(REMOTE_ADDRESS, address).replaceAll('%%', '%')
}

type Fields = { readonly [name: string]: unknown }

function optional(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : undefined
}

function object(value: unknown, what: string): Fields {
  const fields = optional(value)
  if (fields === undefined) throw new Error(`${what} is not an object`)
  return fields
}

function list(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new Error(`${what} is not a list`)
  return value
}

function text(value: unknown, what: string): string {
  if (typeof value !== 'string' || value === '') throw new Error(`${what} is not a text`)
  return value
}

function number(value: unknown, what: string): number {
  if (typeof value !== 'number' || !Number.isInteger(value)) {
    throw new Error(`${what} is not a whole number`)
  }
  return value
}

function typeOf(fields: Fields): string {
  const type = fields['@type']
  return typeof type === 'string' ? type.replace('type.googleapis.com/', '') : ''
}

function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_key, inner: unknown) => {
      const fields = optional(inner)
      if (fields === undefined) return inner
      return Object.fromEntries(Object.entries(fields).toSorted(([a], [b]) => (a < b ? -1 : 1)))
    }) ?? ''
  )
}
