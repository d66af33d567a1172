import {
  fieldOf,
  type KubernetesObject,
  listOf,
  namespaceOf,
  portOf,
  textOf,
} from './kubernetes-object.ts'
import { regexPattern } from './path-pattern.ts'

type PathType = 'Exact' | 'PathPrefix' | 'RegularExpression'

/** A condition on a header or a query parameter. Names of headers are lower case. */
export interface ValueMatch {
  readonly name: string
  readonly value: string
  readonly regex: boolean
  /** Of the whole value. An expression that does not compile takes none: gateways refuse it, too. */
  holds(value: string): boolean
}

export interface RouteMatch {
  readonly type: PathType
  readonly path: string
  /** Upper case; `*` for every method. */
  readonly method: string
  readonly headers: readonly ValueMatch[]
  readonly query: readonly ValueMatch[]
  /** Of a GRPCRoute, whose POST is no condition; `any-service`: it names a method, and no service. */
  readonly grpc: 'any-service' | 'service' | null
}

/** What filters do to the headers of a request. Names are lower case. */
export interface HeaderEdits {
  /** Whatever the client sent is gone. */
  readonly set: ReadonlyMap<string, string>
  /** Beside what the client sent. */
  readonly add: ReadonlyMap<string, string>
  readonly remove: ReadonlySet<string>
}

export const NO_EDITS: HeaderEdits = { set: new Map(), add: new Map(), remove: new Set() }

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
  /** 0: it gets nothing. */
  readonly weight: number
}

export interface RouteRule {
  readonly matches: readonly RouteMatch[]
  readonly rewrite: Rewrite | null
  /** Host header that the backend gets; '': the client's; undefined: not known. */
  readonly sentHost: string | undefined
  readonly edits: HeaderEdits
  /** The gateway answers by itself: nothing reaches a backend. */
  readonly redirects: boolean
  readonly backends: readonly ObjectRef[]
  /** Get copies of the requests. */
  readonly mirrors: readonly ObjectRef[]
  readonly extensions: readonly ObjectRef[]
}

export const GATEWAY_GROUP = 'gateway.networking.k8s.io'
const ANY: RouteMatch = {
  type: 'PathPrefix',
  path: '/',
  method: '*',
  headers: [],
  query: [],
  grpc: null,
}

/** The rules of an HTTPRoute or a GRPCRoute, whatever version it was written in. */
export function rulesOf(route: KubernetesObject): RouteRule[] {
  const readMatch = route.kind === 'GRPCRoute' ? grpcMatchOf : httpMatchOf
  return listOf(route, 'spec', 'rules').map((rule) => {
    const filters = listOf(rule, 'filters')
    const matches = listOf(rule, 'matches').map(readMatch)
    const rewrite = ofType(filters, 'URLRewrite').map((filter) => fieldOf(filter, 'urlRewrite'))[0]
    const backends = listOf(rule, 'backendRefs')
    return {
      matches: matches.length === 0 ? [ANY] : matches,
      rewrite: pathRewriteOf(fieldOf(rewrite, 'path')),
      sentHost: textOf(rewrite, 'hostname').toLowerCase(),
      edits: editsOf(filters, backends),
      redirects: ofType(filters, 'RequestRedirect').length > 0,
      backends: backends.map((ref) => backendRefOf(ref, namespaceOf(route))),
      mirrors: ofType(filters, 'RequestMirror').map((filter) =>
        backendRefOf(fieldOf(filter, 'requestMirror', 'backendRef'), namespaceOf(route)),
      ),
      extensions: ofType(filters, 'ExtensionRef').map((filter) =>
        refOf(fieldOf(filter, 'extensionRef'), namespaceOf(route)),
      ),
    }
  })
}

const ofType = (filters: readonly unknown[], type: string): readonly unknown[] =>
  filters.filter((filter) => textOf(filter, 'type') === type)

/** Of a rule; those of its backends count where there is one, so that they hold for every request. */
function editsOf(filters: readonly unknown[], backends: readonly unknown[]): HeaderEdits {
  const own = backends.length === 1 ? listOf(backends[0], 'filters') : []
  const modifiers = ofType([...filters, ...own], 'RequestHeaderModifier').map((filter) =>
    fieldOf(filter, 'requestHeaderModifier'),
  )
  if (modifiers.length === 0) return NO_EDITS
  const pairs = (kind: string): [string, string][] =>
    modifiers.flatMap((modifier) =>
      listOf(modifier, kind).map((header): [string, string] => [
        textOf(header, 'name').toLowerCase(),
        textOf(header, 'value'),
      ]),
    )
  const removed = modifiers.flatMap((modifier) => listOf(modifier, 'remove'))
  return {
    set: new Map(pairs('set')),
    add: new Map(pairs('add')),
    remove: new Set(removed.filter((name) => typeof name === 'string').map(lower)),
  }
}

const lower = (text: string): string => text.toLowerCase()

/** A backend reference means a Service of the core group where it does not say otherwise. */
export function backendRefOf(ref: unknown, namespace: string): ObjectRef {
  const read = refOf(ref, namespace)
  return read.kind === '' ? { ...read, kind: 'Service' } : read
}

export function refOf(ref: unknown, namespace: string): ObjectRef {
  return {
    group: textOf(ref, 'group'),
    kind: textOf(ref, 'kind'),
    namespace: textOf(ref, 'namespace') || namespace,
    name: textOf(ref, 'name'),
    port: portOf(fieldOf(ref, 'port')),
    weight: fieldOf(ref, 'weight') === 0 ? 0 : 1,
  }
}

function httpMatchOf(match: unknown): RouteMatch {
  const type = textOf(match, 'path', 'type')
  return {
    type: type === 'Exact' || type === 'RegularExpression' ? type : 'PathPrefix',
    path: textOf(match, 'path', 'value') || '/',
    method: textOf(match, 'method').toUpperCase() || '*',
    headers: conditionsOf(listOf(match, 'headers'), lower),
    query: conditionsOf(listOf(match, 'queryParams'), (name) => name),
    grpc: null,
  }
}

/** gRPC is a POST to `/SERVICE/METHOD`; a match may leave out one of the two, or name it by expression. */
function grpcMatchOf(match: unknown): RouteMatch {
  const service = textOf(match, 'method', 'service')
  const method = textOf(match, 'method', 'method')
  const shared = { ...httpMatchOf(match), method: 'POST', grpc: 'service' } as const
  if (service === '' && method === '') return { ...shared, type: 'PathPrefix', path: '/' }
  if (textOf(match, 'method', 'type') === 'RegularExpression' || service === '') {
    const path = `/${service || '[^/]+'}/${method || '[^/]+'}`
    return {
      ...shared,
      type: 'RegularExpression',
      path,
      grpc: service === '' ? 'any-service' : 'service',
    }
  }
  if (method === '') return { ...shared, type: 'PathPrefix', path: `/${service}` }
  return { ...shared, type: 'Exact', path: `/${service}/${method}` }
}

/** Most matches have none: they share one list of them. */
const NO_CONDITIONS: readonly ValueMatch[] = []

function conditionsOf(
  matches: readonly unknown[],
  nameOf: (name: string) => string,
): readonly ValueMatch[] {
  if (matches.length === 0) return NO_CONDITIONS
  return matches.map((match) => ({ ...valueMatchOf(match), name: nameOf(textOf(match, 'name')) }))
}

function valueMatchOf(match: unknown): ValueMatch {
  const value = textOf(match, 'value')
  const regex = textOf(match, 'type') === 'RegularExpression'
  const pattern = regex ? regexPattern(value) : ''
  return {
    name: textOf(match, 'name'),
    value,
    regex,
    holds: (actual) =>
      regex ? typeof pattern !== 'string' && pattern.matches(actual) : actual === value,
  }
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
