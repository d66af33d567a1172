import type { Api, Confidence } from '../model/api.ts'
import type { BackendEntry, BackendIndex } from './backend-index.ts'
import type { Catalogue } from './catalogue.ts'
import { type Backends, backendsAt, type Destination } from './destination.ts'
import { type BackendHit, weighed } from './evidence.ts'
import { normalHost } from './host-index.ts'
import {
  ambiguous,
  attributed,
  hasOneApi,
  narrowed,
  type Resolution,
  type Trace,
  unresolved,
} from './resolution.ts'
import { takesMethod } from './route.ts'

/** A request as its backend got it. */
export interface BackendRequest {
  readonly method: string
  /** Without query; '' where the flow tells of no HTTP. */
  readonly path: string
  readonly destination: Destination
  /** The request comes from a gateway, so what it carries is what a gateway lets through. */
  readonly behindGateway: boolean
  /** `NAMESPACE/NAME` of that Gateway; '' or absent where it is not known. */
  readonly gateway?: string
  /** Lower-case names, as far as they are known; absent where none is. */
  readonly headers?: ReadonlyMap<string, string>
  /** All that the client sent are among them. */
  readonly hasClientHeaders?: boolean
  readonly query?: URLSearchParams
  /** Every other API is ruled out already. */
  readonly only?: Api
  readonly trace?: Trace
}

const NO_BACKEND = unresolved('no-backend')
const NO_API = unresolved('no-api')
const NO_OPERATION = unresolved('no-operation')

/** By the Service that got it, method and rewritten path. */
export function resolveAtBackend(catalogue: Catalogue, request: BackendRequest): Resolution {
  const backends = backendsAt(catalogue, request.destination)
  const { headers, query, trace, only, destination, method, path } = request
  const owner = ownerOf(catalogue, backends)
  const isPlain = [headers, query, trace, only].every((part) => part === undefined)
  if (!isPlain || owner < 0) return resolved(catalogue, request, backends)
  // Without several APIs the host decides nothing, and clients may write any.
  const host = request.behindGateway ? destination.host : ''
  const source = request.behindGateway ? `${backends.how}>${request.gateway ?? ''}` : backends.how
  const known = catalogue.cache.get(owner, method, path, host, destination.port, source)
  if (known !== undefined) return known
  const resolution = resolved(catalogue, request, backends)
  catalogue.cache.set(owner, method, path, host, destination.port, source, resolution)
  return resolution
}

/** Whose region of the cache it is; -1 where the request is none of one backend alone. */
function ownerOf(catalogue: Catalogue, { keys, sure }: Backends): number {
  const [key] = keys
  return sure && keys.length === 1 && key !== undefined
    ? (catalogue.backends.get(key)?.id ?? -1)
    : -1
}

function resolved(
  catalogue: Catalogue,
  request: BackendRequest,
  { keys, how, sure }: Backends,
): Resolution {
  const { trace } = request
  if (keys.length === 0) return NO_BACKEND
  trace?.note(`The destination is ${keys.join(' or ')}, found by ${how}.`)
  const declared = resolvedBy(catalogue, catalogue.backends, request, keys, how, sure)
  if (declared !== undefined) return declared
  const documented = resolvedBy(catalogue, catalogue.documented, request, keys, how, sure)
  if (documented !== undefined) return documented
  return byLabels(catalogue, keys, how)
}

/** undefined: no route of this index leads there. */
function resolvedBy(
  catalogue: Catalogue,
  index: BackendIndex,
  request: BackendRequest,
  keys: readonly string[],
  how: string,
  sure: boolean,
): Resolution | undefined {
  const { method, path, destination, trace } = request
  const { port } = destination
  const isAtPort = ({ ports, route }: BackendEntry): boolean =>
    (request.only === undefined || request.only === route.api) &&
    (port === 0 || ports === null || ports.has(port))
  const hits: BackendHit[] = []
  let apis = 0
  for (const key of keys) {
    const table = index.get(key)
    if (table === undefined) continue
    apis += table.apis.size
    if (path === '') continue
    table.paths.near(path, ({ entry, path: pattern }) => {
      if (!pattern.matches(path)) return
      const { route } = entry
      trace?.considered(route)
      if (!isAtPort(entry)) trace?.fell(route, `its backend has another port than ${port}`)
      else if (!takesMethod(route, method)) trace?.fell(route, `it takes ${route.method} only`)
      // A backend may see one path in two forms; the first that fits is enough.
      else if (hits.at(-1)?.at !== entry) hits.push({ route, path: pattern, at: entry })
    })
  }
  if (apis === 0) return undefined
  if (hits.length > 0) return byPath(catalogue, hits, request, how, sure)
  const there = keys.flatMap((key) => index.get(key)?.entries.filter(isAtPort) ?? [])
  trace?.note(missed(there, path, port))
  return there.length === 0 ? undefined : byServiceOnly(there, path, how)
}

function missed(there: readonly BackendEntry[], path: string, port: number): string {
  const apis = new Set(there.map(({ route }) => route.api)).size
  if (there.length === 0) return `Routes lead to it, none of them to port ${port}.`
  const lead = `${there.length === 1 ? 'One route leads' : `${there.length} routes lead`} to it, of ${apis} ${apis === 1 ? 'API' : 'APIs'}`
  return path === '' ? `${lead}; no path is known.` : `${lead}; none takes this path and method.`
}

function byPath(
  catalogue: Catalogue,
  hits: BackendHit[],
  request: BackendRequest,
  how: string,
  sure: boolean,
): Resolution {
  const { method, path, destination, trace } = request
  hits.sort((a, b) => a.at.order - b.at.order)
  // Whoever gets copies has no calls of its own.
  const confidenceOf = (left: readonly BackendHit[]): Confidence =>
    sure && !left.every(({ at }) => at.backend.mirror) ? 'high' : 'low'
  if (!request.behindGateway) {
    const own = narrowed(hits, ({ at }) => !at.backend.mirror, 'it sends copies only', trace)
    return attributed(own, confidenceOf(own), `${how}+path`)
  }
  if (request.headers === undefined && hasOneApi(hits)) {
    return attributed(hits, confidenceOf(hits), `${how}+path`)
  }
  const {
    hits: left,
    ways,
    written,
  } = weighed(catalogue, hits, {
    method,
    path,
    host: normalHost(destination.host),
    headers: request.headers ?? null,
    hasClientHeaders: request.hasClientHeaders ?? false,
    query: request.query ?? null,
    gateway: request.gateway ?? '',
    trace,
  })
  const way = [how, 'path', ...ways].join('+')
  const confidence = confidenceOf(left)
  return attributed(left, written && confidence === 'high' ? 'exact' : confidence, way)
}

/** No route leads to this path: the API is told by its Service where it is the only one there. */
function byServiceOnly(entries: readonly BackendEntry[], path: string, how: string): Resolution {
  const apis = [...new Set(entries.map(({ route }) => route.api))]
  const [only] = apis
  if (apis.length === 1 && only !== undefined) return bySight(only, how)
  // Without a path each of them is possible; with one that none of them has, none is.
  return path === '' ? ambiguous(apis, how) : NO_OPERATION
}

/** Nobody declares a route: what the Service itself is called. */
function byLabels(catalogue: Catalogue, keys: readonly string[], how: string): Resolution {
  const apis = keys.flatMap((key) => catalogue.labelled.get(key) ?? [])
  const [only] = apis
  if (only === undefined) return NO_API
  return apis.length === 1 ? bySight(only, `${how}+labels`) : ambiguous(apis, `${how}+labels`)
}

function bySight(api: Api, how: string): Resolution {
  return { api, operation: null, confidence: 'low', how, candidates: [api], more: 0 }
}
