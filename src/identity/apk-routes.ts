import type { Api, Operation } from '../model/api.ts'
import { type ApiDefinition, declaredBelow, declaredTemplate } from './api-definition.ts'
import { type BackendAddress, backendAt } from './backend-refs.ts'
import type { RouteMatch, RouteRule } from './http-route.ts'
import { exactPattern, type PathPattern, prefixPattern, regexPattern } from './path-pattern.ts'
import {
  regexOfTemplate,
  shapeOfRegex,
  templateOfExact,
  templateOfPrefix,
  templateOfRegex,
} from './path-template.ts'
import { quoteMeta, unanchored } from './regex-source.ts'
import { pathsBehindApk, withoutSlash } from './rewritten-path.ts'
import {
  type Route,
  type RouteBackend,
  type RouteEntry,
  type RouteOrigin,
  rankOf,
} from './route.ts'

/** What the rules of one route of an API CR have in common. */
export interface ApkApi {
  readonly api: Api
  readonly isDefaultVersion: boolean
  /** What else clients may write in place of the version: `v1` for `v1.2.3`. */
  readonly aliases: readonly string[]
  readonly grpc: boolean
  readonly entries: readonly RouteEntry[]
  readonly origin: RouteOrigin
  readonly definition: ApiDefinition | null
}

/** A full path as the router matches it, in its two parts: only the first is taken literally. */
interface FullPath {
  readonly base: string
  readonly rest: string
}

/**
 * The routes that APK's router makes of one match: the API's own, and those without the version where
 * it is the default. Parts that cannot be used are told through `problem`.
 * Source of the rule: wso2/apk 1.3.0, adapter/internal/oasparser (route compilation).
 */
export function apkRoutesOf(
  of: ApkApi,
  rule: RouteRule,
  match: RouteMatch,
  addresses: readonly BackendAddress[],
  problem: (reason: string) => void,
): Route[] {
  const ways: { full: FullPath; path: PathPattern }[] = []
  for (const full of fullPathsOf(of, match)) {
    const path = pathPatternOf(full, match)
    if (typeof path === 'string') {
      problem(`path ${match.path}: ${path}`)
      return []
    }
    ways.push({ full, path })
  }
  const shared = sharedOf(of, rule, match)
  const operation = { method: match.method, template: templateOf(of, match) }
  // What backends see does not depend on the version in the path, but for gRPC.
  const rewritten = of.grpc ? null : backendsOf(rule, match, addresses, null, problem)
  return ways.flatMap(({ full, path }) => [
    ...declaredRoutes(of, rule, match, addresses, full),
    {
      ...shared,
      method: match.method,
      operation,
      path,
      backends: rewritten ?? backendsOf(rule, match, addresses, path, problem),
    },
  ])
}

function sharedOf(
  of: ApkApi,
  rule: RouteRule,
  match: RouteMatch,
): Omit<Route, 'method' | 'operation' | 'path' | 'backends'> {
  return {
    api: of.api,
    origin: of.origin,
    model: 'apk',
    entries: of.entries,
    headers: match.headers,
    query: match.query,
    rank: rankOf(match),
    last: of.isDefaultVersion,
    edits: rule.edits,
    // Each backend tells its own: the router puts it in place of the client's.
    sentHost: undefined,
    backwards: null,
  }
}

/**
 * Context and path, put together as they are; for a default version the same without the version,
 * which is cut out where it first stands: in the path, if the context has none.
 */
function fullPathsOf(of: ApkApi, match: RouteMatch): FullPath[] {
  const { context, version } = of.api
  const path = of.grpc ? match.path.replace(/^\//, grpcDot(match)) : match.path
  const own = { base: context, rest: path }
  if (version === '') return [own]
  const dot = withoutSlash(context).includes(`.${version}`) ? '.' : '/'
  const part = `${dot}${version}`
  const all = [own]
  const put = (text: string): void => {
    const full = context.includes(part)
      ? { base: context.replace(part, () => text), rest: path }
      : { base: context, rest: path.replace(part, () => text) }
    if (!all.some(({ base, rest }) => base === full.base && rest === full.rest)) all.push(full)
  }
  if (of.isDefaultVersion) put('')
  for (const alias of of.aliases) put(`${dot}${alias}`)
  return all
}

const grpcDot = ({ type }: RouteMatch): string => (type === 'RegularExpression' ? '\\.' : '.')
/** Whatever makes a prefix an expression; a dot is hardly ever meant as more than a dot. */
const EXPRESSION = /[\\+*?()|[\]^$]/

function pathPatternOf({ base, rest }: FullPath, { type }: RouteMatch): PathPattern | string {
  switch (type) {
    case 'Exact':
      return exactPattern(withoutSlash(`${base}${rest}`), true)
    case 'PathPrefix': {
      if (!EXPRESSION.test(rest)) return prefixPattern(`${base}${rest}`)
      // The router quotes the context alone.
      const pattern = regexPattern(`${quoteMeta(base)}${withoutSlash(rest)}(?:/.*)?`)
      return typeof pattern === 'string' ? prefixPattern(`${base}${rest}`) : pattern
    }
    case 'RegularExpression':
      return regexPattern(`${quoteMeta(base)}${withoutSlash(unanchored(rest))}/?`)
  }
}

function templateOf(of: ApkApi, match: RouteMatch): string {
  if (match.type === 'Exact') return templateOfExact(match.path)
  if (match.type === 'PathPrefix') return templateOfPrefix(match.path)
  const shape = shapeOfRegex(match.path)
  const declared = declaredTemplate(of.definition, shape, match.method)
  return declared ?? templateOfRegex(match.path)
}

function backendsOf(
  rule: RouteRule,
  match: RouteMatch,
  addresses: readonly BackendAddress[],
  unchanged: PathPattern | null,
  problem: (reason: string) => void,
): RouteBackend[] {
  if (rule.redirects) return []
  const backends: RouteBackend[] = []
  for (const address of addresses) {
    // APK's router leaves a gRPC path as it came: the backend sees the context, too.
    const paths = unchanged ? [unchanged] : pathsBehindApk(match, rule.rewrite, address.basePath)
    if (typeof paths === 'string') problem(`rewrite of ${match.path}: ${paths}`)
    else backends.push(backendAt(address, paths))
  }
  return backends
}

/** Behind a prefix that keeps the rest of the path, each declared operation is a route of its own. */
function declaredRoutes(
  of: ApkApi,
  rule: RouteRule,
  match: RouteMatch,
  addresses: readonly BackendAddress[],
  full: FullPath,
): Route[] {
  const keepsRest = rule.rewrite === null || rule.rewrite.kind === 'prefix'
  if (match.type !== 'PathPrefix' || !keepsRest || of.grpc) return []
  const routes: Route[] = []
  const prefix = withoutSlash(match.path)
  const target = rule.rewrite?.kind === 'prefix' ? rule.rewrite.target : match.path
  for (const { method, template } of declaredBelow(of.definition, match.path, match.method)) {
    const rest = regexOfTemplate(template.slice(prefix.length))
    const operation: Operation = { method, template }
    const path = regexPattern(`${quoteMeta(`${full.base}${withoutSlash(full.rest)}`)}${rest}/?`)
    if (typeof path === 'string') continue
    const backends: RouteBackend[] = []
    for (const address of rule.redirects ? [] : addresses) {
      const behind = regexPattern(
        `${quoteMeta(withoutSlash(`${address.basePath}${target}`))}${rest}/?`,
      )
      if (typeof behind !== 'string') backends.push(backendAt(address, [behind]))
    }
    routes.push({ ...sharedOf(of, rule, match), method, operation, path, backends })
  }
  return routes
}
