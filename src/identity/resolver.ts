import type { Api, Confidence, Operation } from '../model/api.ts'
import type { BackendEntry } from './backend-index.ts'
import type { Catalogue } from './catalogue.ts'
import { backendsAt, type Destination } from './destination.ts'
import { namesHost, normalHost } from './host-index.ts'
import type { ValueMatch } from './http-route.ts'
import { type PathPattern, regexPattern } from './path-pattern.ts'
import { type Route, takesMethod } from './route.ts'

/** Which API a request belongs to, how that was found, and how sure it is (docs/identity.md). */
export interface Resolution {
  readonly api: Api | null
  readonly operation: Operation | null
  readonly confidence: Confidence
  readonly how: string
  /** The chosen one first; more than one only where they are really possible. */
  readonly candidates: readonly Api[]
  /** Possible APIs beyond those in `candidates`. */
  readonly more: number
}

/** A request as its client sent it. */
export interface GatewayRequest {
  readonly method: string
  /** Authority; ''. */
  readonly host: string
  /** Without query. */
  readonly path: string
  /** Lower-case names; null where headers are not known. */
  readonly headers: ReadonlyMap<string, string> | null
  /** null where the query is not known. */
  readonly query: URLSearchParams | null
}

/** A request as its backend got it. */
export interface BackendRequest {
  readonly method: string
  readonly path: string
  readonly destination: Destination
  /** The request comes from a gateway, so its Host header is one that a gateway lets through. */
  readonly behindGateway: boolean
}

/** A way into an API that a request may have taken. */
interface Hit {
  readonly route: Route
  readonly path: PathPattern
}

const CANDIDATES_MAX = 5

function unresolved(how: string): Resolution {
  return { api: null, operation: null, confidence: 'none', how, candidates: [], more: 0 }
}
const NO_ROUTE = unresolved('no-route')
const NO_BACKEND = unresolved('no-backend')
const NO_API = unresolved('no-api')
const NO_OPERATION = unresolved('no-operation')

/** By host and full path, as the gateway itself decides. */
export function resolveAtGateway(catalogue: Catalogue, request: GatewayRequest): Resolution {
  const host = normalHost(request.host)
  if (request.path === '') return NO_ROUTE
  const tiers = catalogue.hosts.near(host, request.path)
  for (const [index, routes] of tiers.entries()) {
    const hits: Hit[] = []
    for (const route of routes) {
      const takes = takesMethod(route, request.method) && route.path.matches(request.path)
      if (takes && meets(route, request) !== 'no') hits.push({ route, path: route.path })
    }
    if (hits.length === 0) continue
    const possible = chosenByGateway(hits, request)
    // A host of its own that does not have the path would answer 404, on the gateway that has that host.
    const sure =
      host !== '' && index === 0 && possible.some(({ route }) => meets(route, request) === 'yes')
    return attributed(possible, sure ? 'exact' : 'high', host === '' ? 'path' : 'host+path')
  }
  return NO_ROUTE
}

/** By the Service that got it, method and rewritten path. */
export function resolveAtBackend(catalogue: Catalogue, request: BackendRequest): Resolution {
  const { keys, how, sure } = backendsAt(catalogue, request.destination)
  if (keys.length === 0) return NO_BACKEND
  const entries = entriesAt(catalogue, keys, request.destination.port)
  if (entries.length === 0) return NO_API
  const hits: Hit[] = []
  for (const { route, backend } of entries) {
    if (!takesMethod(route, request.method)) continue
    const path = backend.paths.find((pattern) => pattern.matches(request.path))
    if (path !== undefined) hits.push({ route, path })
  }
  if (hits.length === 0) return byServiceOnly(entries, request.path, how)
  const host = request.behindGateway ? normalHost(request.destination.host) : ''
  const narrowed = narrowedByHost(hits, host)
  const way = narrowed.length < hits.length ? `${how}+path+host` : `${how}+path`
  return attributed(narrowed, sure ? 'high' : 'low', way)
}

function entriesAt(catalogue: Catalogue, keys: readonly string[], port: number): BackendEntry[] {
  return keys.flatMap((key) =>
    catalogue.backends
      .get(key)
      .filter(({ ports }) => port === 0 || ports === null || ports.has(port)),
  )
}

/** No route leads to this path: the API is told by its Service where it is the only one there. */
function byServiceOnly(entries: readonly BackendEntry[], path: string, how: string): Resolution {
  const apis = [...new Set(entries.map(({ route }) => route.api))]
  const [only] = apis
  if (apis.length === 1 && only !== undefined) {
    return { api: only, operation: null, confidence: 'low', how, candidates: [only], more: 0 }
  }
  // Without a path each of them is possible; with one that none of them has, none is.
  return path === '' ? ambiguous(apis, how) : NO_OPERATION
}

/** A gateway that leaves the Host header as it came lets through only hosts of the route. */
function narrowedByHost(hits: readonly Hit[], host: string): readonly Hit[] {
  if (host === '' || !hits.some(({ route }) => namesHost(route, host))) return hits
  return hits.filter(({ route }) => route.hosts.includes('') || namesHost(route, host))
}

function attributed(hits: readonly Hit[], confidence: Confidence, how: string): Resolution {
  const apis = [...new Set(hits.map(({ route }) => route.api))]
  const [api] = apis
  if (api === undefined) return NO_ROUTE
  if (apis.length > 1) return ambiguous(apis, how)
  return { api, operation: operationOf(hits), confidence, how, candidates: [api], more: 0 }
}

function ambiguous(apis: readonly Api[], how: string): Resolution {
  return {
    api: null,
    operation: null,
    confidence: 'ambiguous',
    how,
    candidates: apis.slice(0, CANDIDATES_MAX),
    more: Math.max(0, apis.length - CANDIDATES_MAX),
  }
}

const KIND_RANK = { exact: 2, regex: 1, prefix: 0 } as const

/**
 * Of several operations of one API the most specific one; null where two of them look the same from
 * here, as when a rewrite makes one path of both.
 */
function operationOf(hits: readonly Hit[]): Operation | null {
  let best = hits[0]
  if (best === undefined) return null
  for (const hit of hits) if (specificity(hit, best) > 0) best = hit
  const { route, path } = best
  const same = hits.some(
    (hit) =>
      hit.route.operation !== route.operation &&
      hit.path.source === path.source &&
      hit.route.method === route.method,
  )
  return same ? null : route.operation
}

/** Positive where `a` says more about the path than `b`. */
function specificity(a: Hit, b: Hit): number {
  return (
    a.path.literalSegments - b.path.literalSegments ||
    a.path.literalLength - b.path.literalLength ||
    KIND_RANK[a.path.kind] - KIND_RANK[b.path.kind] ||
    Number(a.route.method !== '*') - Number(b.route.method !== '*')
  )
}

/** What of the matching routes the gateway may have taken, by its own rules; all where they do not decide. */
function chosenByGateway(hits: readonly Hit[], request: GatewayRequest): readonly Hit[] {
  if (hits.every(({ route }) => route.model === 'apk')) {
    // APK asks default versions last; among the others the order is that of a Go map.
    const first = hits.filter(({ route }) => !route.last)
    return first.length === 0 ? hits : first
  }
  if (hits.some(({ route }) => route.model === 'apk')) return hits
  // Whatever a route beats that is sure to match cannot have been taken.
  const certain = hits.filter(({ route }) => meets(route, request) === 'yes')
  return hits.filter((hit) => !certain.some((other) => precedes(other, hit)))
}

/**
 * Whether `a` certainly comes before `b`: exact paths, then expressions, then prefixes, the longer
 * first; then whatever has more conditions. Implementations differ in how they weigh method,
 * headers and query, so there `a` must have more of one and less of none.
 */
function precedes(a: Hit, b: Hit): boolean {
  const byPath = a.route.rank.kind - b.route.rank.kind || a.route.rank.length - b.route.rank.length
  if (byPath !== 0) return byPath > 0
  const method = Number(a.route.method !== '*') - Number(b.route.method !== '*')
  const headers = a.route.headers.length - b.route.headers.length
  const query = a.route.query.length - b.route.query.length
  return method >= 0 && headers >= 0 && query >= 0 && method + headers + query > 0
}

/** Whether the request meets a route's conditions on headers and query, as far as both are known. */
function meets(route: Route, { headers, query }: GatewayRequest): 'yes' | 'no' | 'unknown' {
  let known = true
  for (const condition of route.headers) {
    if (headers === null) known = false
    else if (!holds(condition, headers.get(condition.name))) return 'no'
  }
  for (const condition of route.query) {
    if (query === null) known = false
    else if (!holds(condition, query.get(condition.name) ?? undefined)) return 'no'
  }
  return known ? 'yes' : 'unknown'
}

function holds({ regex, value }: ValueMatch, actual: string | undefined): boolean {
  if (actual === undefined) return false
  if (!regex) return actual === value
  const pattern = regexPattern(value)
  // An expression that does not compile is one that the gateway refuses, too.
  return typeof pattern !== 'string' && pattern.matches(actual)
}
