import {
  fieldOf,
  type KubernetesObject,
  listOf,
  namespaceOf,
  portOf,
  textOf,
} from './kubernetes-object.ts'

type PathType = 'Exact' | 'PathPrefix' | 'RegularExpression'

/** A condition on a header or a query parameter. Names of headers are lower case. */
export interface ValueMatch {
  readonly name: string
  readonly value: string
  readonly regex: boolean
}

export interface RouteMatch {
  readonly type: PathType
  readonly path: string
  /** Upper case; `*` for every method. */
  readonly method: string
  readonly headers: readonly ValueMatch[]
  readonly query: readonly ValueMatch[]
}

/** What the gateway makes of the path before the backend gets it. */
export type Rewrite =
  | { readonly kind: 'full' | 'prefix'; readonly target: string }
  | { readonly kind: 'regex'; readonly pattern: string; readonly substitution: string }

/** A reference to another object; its namespace already stands for what was left out. */
export interface ObjectRef {
  readonly group: string
  readonly kind: string
  readonly namespace: string
  readonly name: string
  /** 0 where the reference has none. */
  readonly port: number
}

export interface RouteRule {
  readonly matches: readonly RouteMatch[]
  readonly rewrite: Rewrite | null
  /** The gateway answers by itself: nothing reaches a backend. */
  readonly redirects: boolean
  readonly backends: readonly ObjectRef[]
  readonly extensions: readonly ObjectRef[]
}

export const GATEWAY_GROUP = 'gateway.networking.k8s.io'
const ANY: RouteMatch = { type: 'PathPrefix', path: '/', method: '*', headers: [], query: [] }

/** The rules of an HTTPRoute or a GRPCRoute, whatever version it was written in. */
export function rulesOf(route: KubernetesObject): RouteRule[] {
  const readMatch = route.kind === 'GRPCRoute' ? grpcMatchOf : httpMatchOf
  return listOf(route, 'spec', 'rules').map((rule) => {
    const filters = listOf(rule, 'filters')
    const matches = listOf(rule, 'matches').map(readMatch)
    return {
      matches: matches.length === 0 ? [ANY] : matches,
      rewrite: rewriteOf(filters),
      redirects: filters.some((filter) => textOf(filter, 'type') === 'RequestRedirect'),
      backends: listOf(rule, 'backendRefs').map((ref) => backendRefOf(ref, namespaceOf(route))),
      extensions: filters
        .filter((filter) => textOf(filter, 'type') === 'ExtensionRef')
        .map((filter) => refOf(fieldOf(filter, 'extensionRef'), namespaceOf(route))),
    }
  })
}

/** A backend reference means a Service of the core group where it does not say otherwise. */
export function backendRefOf(ref: unknown, namespace: string): ObjectRef {
  const read = refOf(ref, namespace)
  return read.kind === '' ? { ...read, kind: 'Service' } : read
}

function refOf(ref: unknown, namespace: string): ObjectRef {
  return {
    group: textOf(ref, 'group'),
    kind: textOf(ref, 'kind'),
    namespace: textOf(ref, 'namespace') || namespace,
    name: textOf(ref, 'name'),
    port: portOf(fieldOf(ref, 'port')),
  }
}

function httpMatchOf(match: unknown): RouteMatch {
  const type = textOf(match, 'path', 'type')
  return {
    type: type === 'Exact' || type === 'RegularExpression' ? type : 'PathPrefix',
    path: textOf(match, 'path', 'value') || '/',
    method: textOf(match, 'method').toUpperCase() || '*',
    headers: listOf(match, 'headers').map((header) => ({
      ...valueMatchOf(header),
      name: textOf(header, 'name').toLowerCase(),
    })),
    query: listOf(match, 'queryParams').map(valueMatchOf),
  }
}

/** gRPC is a POST to `/SERVICE/METHOD`; a match may leave out one of the two, or name it by expression. */
function grpcMatchOf(match: unknown): RouteMatch {
  const service = textOf(match, 'method', 'service')
  const method = textOf(match, 'method', 'method')
  const shared = { ...httpMatchOf(match), method: 'POST' }
  if (service === '' && method === '') return { ...shared, type: 'PathPrefix', path: '/' }
  if (textOf(match, 'method', 'type') === 'RegularExpression' || service === '') {
    const path = `/${service || '[^/]+'}/${method || '[^/]+'}`
    return { ...shared, type: 'RegularExpression', path }
  }
  if (method === '') return { ...shared, type: 'PathPrefix', path: `/${service}` }
  return { ...shared, type: 'Exact', path: `/${service}/${method}` }
}

function valueMatchOf(match: unknown): ValueMatch {
  return {
    name: textOf(match, 'name'),
    value: textOf(match, 'value'),
    regex: textOf(match, 'type') === 'RegularExpression',
  }
}

function rewriteOf(filters: readonly unknown[]): Rewrite | null {
  const filter = filters.find((candidate) => textOf(candidate, 'type') === 'URLRewrite')
  return pathRewriteOf(fieldOf(filter, 'urlRewrite', 'path'))
}

/** Reads `urlRewrite.path` of an HTTPRoute, or of Envoy Gateway's HTTPRouteFilter. */
export function pathRewriteOf(path: unknown): Rewrite | null {
  switch (textOf(path, 'type')) {
    case 'ReplaceFullPath':
      return { kind: 'full', target: textOf(path, 'replaceFullPath') }
    case 'ReplacePrefixMatch':
      return { kind: 'prefix', target: textOf(path, 'replacePrefixMatch') }
    case 'ReplaceRegexMatch':
      return {
        kind: 'regex',
        pattern: textOf(path, 'replaceRegexMatch', 'pattern'),
        substitution: textOf(path, 'replaceRegexMatch', 'substitution'),
      }
    default:
      return null
  }
}

/**
 * Hosts of a route in lower case; those of its Gateways' listeners where it names none; `''`: every
 * host. None at all for a route that no gateway serves: it steers what pods send to a Service.
 */
export function hostsOf(
  route: KubernetesObject,
  gatewayOf: (namespace: string, name: string) => KubernetesObject | undefined,
): string[] {
  const parents = listOf(route, 'spec', 'parentRefs')
  if (parents.length > 0 && parents.every((ref) => textOf(ref, 'kind') === 'Service')) return []
  const own = listOf(route, 'spec', 'hostnames').filter((host) => typeof host === 'string')
  if (own.length > 0) return own.map((host) => host.toLowerCase())
  const hosts = new Set<string>()
  for (const parent of parents) {
    const ref = refOf(parent, namespaceOf(route))
    const gateway = gatewayOf(ref.namespace, ref.name)
    const section = textOf(parent, 'sectionName')
    for (const listener of listOf(gateway, 'spec', 'listeners')) {
      if (section !== '' && textOf(listener, 'name') !== section) continue
      hosts.add(textOf(listener, 'hostname').toLowerCase())
    }
  }
  return hosts.size === 0 || hosts.has('') ? [''] : [...hosts]
}
