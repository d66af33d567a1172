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
import { type Route, type RouteBackend, rankOf } from './route.ts'

/** What the rules of one API CR have in common. */
export interface ApkApi {
  readonly api: Api
  readonly isDefaultVersion: boolean
  readonly grpc: boolean
  readonly hosts: readonly string[]
  readonly definition: ApiDefinition | null
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
  const ways: { basePath: string; path: PathPattern }[] = []
  for (const basePath of basePathsOf(of)) {
    const path = pathPatternOf(basePath, match, of.grpc)
    if (typeof path === 'string') {
      problem(`path ${match.path}: ${path}`)
      return []
    }
    ways.push({ basePath, path })
  }
  const shared = sharedOf(of, match)
  const operation = { method: match.method, template: templateOf(of, match) }
  // What backends see does not depend on the version in the path, but for gRPC.
  const rewritten = of.grpc ? null : backendsOf(rule, match, addresses, null, problem)
  return ways.flatMap(({ basePath, path }) => [
    ...declaredRoutes(of, rule, match, addresses, basePath),
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
  match: RouteMatch,
): Omit<Route, 'method' | 'operation' | 'path' | 'backends'> {
  return {
    api: of.api,
    model: 'apk',
    hosts: of.hosts,
    headers: match.headers,
    query: match.query,
    rank: rankOf(match),
    last: of.isDefaultVersion,
  }
}

/** The context, and for a default version the same without the version in it. */
function basePathsOf(of: ApkApi): string[] {
  const { context, version } = of.api
  if (!of.isDefaultVersion || version === '') return [context]
  const part = withoutSlash(context).includes(`.${version}`) ? `.${version}` : `/${version}`
  const short = context.replace(part, () => '')
  return short === context ? [context] : [context, short]
}

function pathPatternOf(basePath: string, match: RouteMatch, grpc: boolean): PathPattern | string {
  const full = `${basePath}${grpc ? match.path.replace(/^\//, '.') : match.path}`
  switch (match.type) {
    case 'Exact':
      return exactPattern(withoutSlash(full), true)
    case 'PathPrefix':
      return prefixPattern(full)
    case 'RegularExpression':
      return regexPattern(`${quoteMeta(basePath)}${withoutSlash(unanchored(match.path))}/?`)
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
  basePath: string,
): Route[] {
  const keepsRest = rule.rewrite === null || rule.rewrite.kind === 'prefix'
  if (match.type !== 'PathPrefix' || !keepsRest || of.grpc) return []
  const routes: Route[] = []
  const prefix = withoutSlash(match.path)
  const target = rule.rewrite?.kind === 'prefix' ? rule.rewrite.target : match.path
  for (const { method, template } of declaredBelow(of.definition, match.path, match.method)) {
    const rest = regexOfTemplate(template.slice(prefix.length))
    const operation: Operation = { method, template }
    const path = regexPattern(`${quoteMeta(`${basePath}${prefix}`)}${rest}/?`)
    if (typeof path === 'string') continue
    const backends: RouteBackend[] = []
    for (const address of rule.redirects ? [] : addresses) {
      const behind = regexPattern(
        `${quoteMeta(withoutSlash(`${address.basePath}${target}`))}${rest}/?`,
      )
      if (typeof behind !== 'string') backends.push(backendAt(address, [behind]))
    }
    routes.push({ ...sharedOf(of, match), method, operation, path, backends })
  }
  return routes
}
