import type { Catalogue } from './catalogue.ts'
import { type KnownParts, meets } from './conditions.ts'
import { type HostTier, normalHost } from './host-index.ts'
import { precedes } from './precedence.ts'
import {
  attributed,
  type Hit,
  hasOneApi,
  type Resolution,
  type Trace,
  unresolved,
} from './resolution.ts'
import { type Route, type RouteEntry, takesMethod } from './route.ts'

/** A request as its client sent it. */
export interface GatewayRequest extends KnownParts {
  /** ''. */
  readonly method: string
  /** Authority; ''. */
  readonly host: string
  /** Without query. */
  readonly path: string
  /** The gateway's port that the client called; 0 where it is not known. */
  readonly port?: number
  readonly trace?: Trace
}

const NO_ROUTE = unresolved('no-route')
/** Gateways may make these one before they look at a path; nothing says whether they do. */
const ODD_PATH = /\/\/|\/\.{1,2}(?:\/|$)|%[0-9a-f]{2}/i

/** By host and full path, as the gateway itself decides. Paths are compared as they were recorded. */
export function resolveAtGateway(catalogue: Catalogue, request: GatewayRequest): Resolution {
  const { cache } = catalogue
  const isPlain = request.headers === null && request.query === null
  if (!isPlain || request.trace !== undefined) return resolved(catalogue, request)
  const { method, host, path, port = 0 } = request
  const tier = catalogue.hosts.firstTier(normalHost(host))
  const known = cache.get(tier.id, method, path, host, port, '')
  if (known !== undefined) return known
  const resolution = resolved(catalogue, request)
  cache.set(tier.id, method, path, host, port, '', resolution)
  return resolution
}

function resolved(catalogue: Catalogue, request: GatewayRequest): Resolution {
  const host = normalHost(request.host)
  if (request.path === '') return NO_ROUTE
  const { hits, sure } = gatewayChoice(catalogue, host, request)
  if (hits.length === 0) return NO_ROUTE
  const how = host === '' ? 'path' : 'host+path'
  if (!ODD_PATH.test(request.path)) return attributed(hits, sure ? 'exact' : 'high', how)
  const other = gatewayChoice(catalogue, host, { ...request, path: normalPath(request.path) }).hits
  const all = [...hits, ...other]
  const agreed = other.length > 0 && hasOneApi(all)
  if (!agreed && other.length > 0) {
    request.trace?.note('The path would lead elsewhere if the gateway put it straight first.')
    return attributed(all, 'high', how)
  }
  return attributed(hits, sure && agreed ? 'exact' : 'high', how)
}

interface Choice {
  readonly hits: readonly Hit[]
  /** The gateway must have taken one of them, whatever is not known of it. */
  readonly sure: boolean
}

/** The routes that gateways may have taken for a request to `host` (normal). */
export function gatewayChoice(catalogue: Catalogue, host: string, request: GatewayRequest): Choice {
  if (host === '') return { hits: chosenOf(anywhere(catalogue, request), request), sure: false }
  const tiers = catalogue.hosts.tiers(host)
  let isGuess = false
  let hits: Hit[] = []
  for (const [index, tier] of tiers.entries()) {
    const found = matching(tier, request)
    if (index === 0 || found.length === 0) {
      hits = index === 0 ? found : hits
      continue
    }
    const isUnnamedSettled = hits.some(({ at }) => groupOf(at) === '')
    for (const hit of found) {
      const group = groupOf(hit.at)
      const isHidden = tiers.slice(0, index).some(({ groups }) => groups.has(group))
      // Routes without a Gateway may be of several: one that has the host, one that has the path.
      if (isHidden && (group !== '' || isUnnamedSettled)) {
        request.trace?.fell(hit.route, 'its gateway has a more specific host for this request')
        continue
      }
      if (isHidden) isGuess = true
      hits.push(hit)
    }
  }
  const left = hits.length > 1 ? chosenOf(hits, request) : hits
  return { hits: left, sure: !isGuess && left.some((hit) => isCertain(hit, request)) }
}

/** Each route once, whatever its hosts. */
function anywhere({ hosts }: Catalogue, request: GatewayRequest): Hit[] {
  const byRoute = new Map<Route, Hit>()
  for (const tier of hosts.all()) {
    for (const hit of matching(tier, request)) byRoute.set(hit.route, hit)
  }
  return [...byRoute.values()]
}

const groupOf = (at: Hit['at']): string => (at as RouteEntry).group

function isCertain({ route }: Hit, request: GatewayRequest): boolean {
  return meets(route, request) === 'yes' && (request.method !== '' || route.method === '*')
}

function matching(tier: HostTier, request: GatewayRequest): Hit[] {
  const { method, path, trace } = request
  const hits: Hit[] = []
  tier.routes.near(path, ({ route, entry }) => {
    if (!route.path.matches(path)) return
    trace?.considered(route)
    if (!takesMethod(route, method)) trace?.fell(route, `it takes ${route.method} only`)
    else if (meets(route, request) === 'no') {
      trace?.fell(route, 'the request does not meet its conditions')
    } else hits.push({ route, path: route.path, at: entry })
  })
  return hits
}

function chosenOf(hits: readonly Hit[], request: GatewayRequest): readonly Hit[] {
  const first = hits[0] === undefined ? '' : groupOf(hits[0].at)
  const isOneGroup = hits.every(({ at }) => groupOf(at) === first)
  const groups = isOneGroup ? [hits] : [...Map.groupBy(hits, ({ at }) => groupOf(at)).values()]
  return atPort(groups, request).flatMap((group) => chosen(group, request))
}

/** Listeners of another port are none, where one of the port is among them. */
function atPort(
  groups: readonly (readonly Hit[])[],
  { port = 0, host, trace }: GatewayRequest,
): readonly (readonly Hit[])[] {
  if (groups.length === 1) return groups
  const called = port || Number(/:(\d{1,5})$/.exec(host)?.[1] ?? 0)
  const portOf = (hits: readonly Hit[]): number =>
    (hits[0]?.at as RouteEntry | undefined)?.port ?? 0
  if (called === 0 || !groups.some((hits) => portOf(hits) === called)) return groups
  return groups.filter((hits) => {
    const own = portOf(hits)
    const stays = own === 0 || own === called
    if (!stays) for (const { route } of hits) trace?.fell(route, `its listener has port ${own}`)
    return stays
  })
}

/** What of the matching routes of one group the gateway may have taken, by its own rules; all where they do not decide. */
function chosen(hits: readonly Hit[], request: GatewayRequest): readonly Hit[] {
  const { trace } = request
  if (hits.length === 1) return hits
  if (hits.every(({ route }) => route.model === 'apk')) {
    // APK asks default versions last; among the others the order is that of a Go map.
    const first = hits.filter(({ route }) => !route.last)
    if (first.length === 0 || first.length === hits.length) return hits
    for (const { route } of hits) {
      if (route.last) trace?.fell(route, 'APK asks default versions after all others')
    }
    return first
  }
  if (hits.some(({ route }) => route.model === 'apk')) return hits
  // Whatever a route beats that is sure to match cannot have been taken.
  const certain = hits.filter(({ route }) => meets(route, request) === 'yes')
  return hits.filter((hit) => {
    const { controller } = hit.at as RouteEntry
    const better = certain.find((other) => precedes(other.route, hit.route, controller))
    if (better === undefined) return true
    const { object, rule } = better.route.origin
    trace?.fell(hit.route, `${object} (rule ${rule}) comes before it`)
    return false
  })
}

/** What a gateway that puts paths straight would make of it: slashes merged, dots resolved, plain letters decoded. */
function normalPath(path: string): string {
  const decoded = path.replace(/%(2[de]|3\d|[46][1-9a-f]|[57][0-9a]|5f|7e)/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  const kept: string[] = []
  const segments = decoded.split('/').slice(1)
  for (const [index, segment] of segments.entries()) {
    const isLast = index === segments.length - 1
    if (segment === '..') kept.pop()
    else if (segment !== '.' && segment !== '') kept.push(segment)
    if (isLast && (segment === '' || segment === '.' || segment === '..')) kept.push('')
  }
  return `/${kept.join('/')}`
}
