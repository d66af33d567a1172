import type { BackendEntry } from './backend-index.ts'
import { addressOfHost } from './backend-refs.ts'
import type { Catalogue } from './catalogue.ts'
import { meets } from './conditions.ts'
import { gatewayChoice } from './gateway-resolver.ts'
import { namesHost, servesEveryHost } from './host-index.ts'
import type { HeaderEdits } from './http-route.ts'
import { type Hit, hasOneApi, narrowed, type Trace } from './resolution.ts'
import type { Route, RouteBackend } from './route.ts'

/** What routes write for whoever comes behind the gateway; the cure where several APIs share a backend. */
export const IDENTITY_HEADERS = ['x-api-id', 'x-api-name', 'x-api-version'] as const
/** Hosts of one route that are tried out; more of them than this decide nothing. */
const HOSTS_MAX = 16
/** More ways than this are not told apart by order: each of them costs a look at its gateway. */
const ORDERED_MAX = 64
/** No client can send it, so that it is no host that anybody names. */
const SOME_HOST = '\0'

/** A way into an API that a request at a backend may have taken. */
export interface BackendHit extends Hit {
  readonly at: BackendEntry
}

/** A request behind a gateway, as its backend got it. */
export interface Arrived {
  readonly method: string
  readonly path: string
  /** Normal; ''. */
  readonly host: string
  /** Lower-case names; null where none is known. What is not among them may have been there. */
  readonly headers: ReadonlyMap<string, string> | null
  /** All that the client sent are among the headers, but for what gateways add. */
  readonly hasClientHeaders: boolean
  readonly query: URLSearchParams | null
  /** `NAMESPACE/NAME` of the Gateway that it comes from; ''. */
  readonly gateway: string
  readonly trace?: Trace | undefined
}

/** What of the hits stays, and in which ways they were told apart. */
export interface Evidence {
  readonly hits: readonly BackendHit[]
  readonly ways: readonly string[]
  /** The gateway itself wrote the identity of what is left, over whatever the client had sent. */
  readonly written: boolean
}

/** Whatever a gateway leaves of a request that tells one route from another. Only excludes. */
export function weighed(
  catalogue: Catalogue,
  all: readonly BackendHit[],
  arrived: Arrived,
): Evidence {
  const { trace } = arrived
  const ways: string[] = []
  const step = (
    way: string,
    before: readonly BackendHit[],
    after: readonly BackendHit[],
  ): readonly BackendHit[] => {
    if (after.length < before.length) ways.push(way)
    return after
  }
  let hits = narrowed(all, (hit) => isAttached(hit, arrived), 'it is of another gateway', trace)
  if (hits.length < all.length) ways.push('gateway')
  hits = step('mirror', hits, withoutCopies(hits, arrived))
  hits = step(
    'header',
    hits,
    narrowed(
      hits,
      ({ route }) => agrees(route, arrived),
      'the headers are not what it lets through',
      trace,
    ),
  )
  const writers = hits.filter(({ route }) => isWritten(route.edits, arrived))
  const isProved = writers.length > 0 && hasOneApi(writers) && hasOneApi(hits)
  if (writers.length > 0) {
    const why = 'it does not write the identity that the request carries'
    hits = step(
      'header',
      hits,
      narrowed(hits, (hit) => writers.includes(hit), why, trace),
    )
  }
  hits = step('host', hits, withinHost(hits, arrived))
  if (!hasOneApi(hits) && hits.length <= ORDERED_MAX)
    hits = step('order', hits, inOrder(catalogue, hits, arrived))
  if (isProved && !ways.includes('header')) ways.push('header')
  return { hits, ways: [...new Set(ways)], written: isProved && hasOneApi(hits) }
}

function isAttached({ route }: BackendHit, { gateway }: Arrived): boolean {
  if (gateway === '') return true
  return route.entries.some((entry) => entry.gateway === '' || entry.gateway === gateway)
}

/** Envoy marks the host of a copy; without such a mark it is rather the request itself. */
function withoutCopies(hits: readonly BackendHit[], arrived: Arrived): readonly BackendHit[] {
  const isCopy = arrived.host.endsWith('-shadow')
  const why = isCopy ? 'the request is a copy' : 'it sends copies only'
  return narrowed(hits, ({ at }) => at.backend.mirror === isCopy, why, arrived.trace)
}

/** Conditions must have been met, and what the gateway writes must be there as it wrote it. */
function agrees(route: Route, { headers, hasClientHeaders, query }: Arrived): boolean {
  const { edits } = route
  if (headers === null && query === null) return true
  for (const [name, value] of edits.set) {
    const actual = headers?.get(name)
    if (actual !== undefined && actual !== value) return false
  }
  for (const name of edits.remove) {
    if (headers?.has(name) === true && !edits.set.has(name) && !edits.add.has(name)) return false
  }
  const touched = (name: string): boolean =>
    edits.set.has(name) || edits.add.has(name) || edits.remove.has(name)
  const conditions = route.headers.filter(
    ({ name }) => !touched(name) && (hasClientHeaders || headers?.has(name) === true),
  )
  return meets({ ...route, headers: conditions }, { headers, query }) !== 'no'
}

/** The route writes an identity, and the request carries it. */
function isWritten({ set, add }: HeaderEdits, { headers }: Arrived): boolean {
  if (headers === null) return false
  let carries = false
  for (const name of IDENTITY_HEADERS) {
    const value = set.get(name) ?? add.get(name)
    if (value === undefined) continue
    const actual = headers.get(name)
    if (actual === undefined) return false
    const values = set.has(name) ? [actual] : actual.split(',').map((part) => part.trim())
    if (!values.includes(value)) return false
    carries = true
  }
  return carries
}

/** A gateway puts its own host in, or lets through none but the route's. */
function withinHost(hits: readonly BackendHit[], { host, trace }: Arrived): readonly BackendHit[] {
  if (host === '') return hits
  // A name of the Service itself is what somebody wrote who knows no route's.
  const isOwnName = hits.some(({ at }) => isNameOf(host, at.backend))
  if (isOwnName && !hits.some((hit) => isNamed(hit, host))) return hits
  const why = `a request of it would not carry the host ${host}`
  return narrowed(hits, (hit) => isNamed(hit, host) || isOpen(hit), why, trace)
}

function isNameOf(host: string, { namespace, service }: RouteBackend): boolean {
  const named = addressOfHost(host, namespace)
  return service !== '' && named.service === service && named.namespace === namespace
}

function isNamed({ route, at }: BackendHit, host: string): boolean {
  if (at.backend.sentHost !== '') return at.backend.sentHost === host || namesHost(route, host)
  if (route.sentHost === undefined) return false
  return route.sentHost === '' ? namesHost(route, host) : route.sentHost === host
}

function isOpen({ route, at }: BackendHit): boolean {
  if (at.backend.sentHost !== '' || route.entries.length === 0) return false
  return route.sentHost === undefined || (route.sentHost === '' && servesEveryHost(route))
}

/**
 * Without routes that their own gateway would not have taken: another one comes before them for
 * whatever the client must have sent.
 */
function inOrder(
  catalogue: Catalogue,
  hits: readonly BackendHit[],
  arrived: Arrived,
): readonly BackendHit[] {
  const why = 'its gateway would have taken another route for this request'
  return narrowed(hits, ({ route }) => mayBeTaken(catalogue, route, arrived), why, arrived.trace)
}

function mayBeTaken(catalogue: Catalogue, route: Route, arrived: Arrived): boolean {
  if (route.model !== 'gateway-api' || route.backwards === null) return true
  const { method, host, query, headers, hasClientHeaders } = arrived
  const isServed = namesHost(route, host) || servesEveryHost(route)
  const keepsHost = route.sentHost === '' && host !== '' && isServed
  const hosts = keepsHost ? [host] : route.entries.flatMap((entry) => entry.hosts)
  if (hosts.length === 0 || hosts.length > HOSTS_MAX) return true
  const sent = hasClientHeaders && headers !== null ? headers : null
  return hosts.some((own) =>
    route.backwards?.(arrived.path).some((path) => {
      const at = own === '' ? SOME_HOST : own.replace(/^\*/, SOME_HOST)
      const request = { method, host: at, path, headers: sent, query, assumed: route }
      return gatewayChoice(catalogue, at, request).hits.some((hit) => hit.route === route)
    }),
  )
}
