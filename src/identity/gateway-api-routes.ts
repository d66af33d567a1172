import type { Api } from '../model/api.ts'
import { type ApiDefinition, declaredBelow, declaredTemplate } from './api-definition.ts'
import { type BackendAddress, backendAt } from './backend-refs.ts'
import type { Rewrite, RouteMatch, RouteRule } from './http-route.ts'
import { type PathPattern, regexPattern } from './path-pattern.ts'
import {
  regexOfTemplate,
  shapeOfRegex,
  templateOfExact,
  templateOfPrefix,
  templateOfRegex,
} from './path-template.ts'
import { quoteMeta, unanchored } from './regex-source.ts'
import { pathsBehindGateway, patternOfMatch } from './rewritten-path.ts'
import {
  type Route,
  type RouteBackend,
  type RouteEntry,
  type RouteOrigin,
  rankOf,
} from './route.ts'

/** What the rules of one HTTPRoute have in common, but for the API, which a rule's own reference may name. */
export interface GatewayApi {
  readonly api: Api
  readonly entries: readonly RouteEntry[]
  readonly origin: RouteOrigin
  readonly definition: ApiDefinition | null
}

/** The routes of one match by the rules of the Gateway API. What cannot be used is told through `problem`. */
export function gatewayRoutesOf(
  of: GatewayApi,
  rule: RouteRule,
  match: RouteMatch,
  addresses: readonly BackendAddress[],
  problem: (reason: string) => void,
): Route[] {
  const path = patternOfMatch(match)
  const behind = pathsBehindGateway(match, rule.rewrite)
  if (typeof path === 'string') {
    problem(`path ${match.path}: ${path}`)
    return []
  }
  if (typeof behind === 'string') problem(`rewrite of ${match.path}: ${behind}`)
  const { context } = of.api
  const below = belowContext(match, context, of.api.version)
  const shared = {
    api: of.api,
    origin: of.origin,
    model: 'gateway-api',
    entries: of.entries,
    headers: match.headers,
    query: match.query,
    rank: rankOf(match),
    last: false,
    edits: rule.edits,
    sentHost: rule.sentHost,
    backwards: backwardsOf(match, rule.rewrite),
  } as const
  const backendsWith = (paths: readonly PathPattern[]): RouteBackend[] =>
    rule.redirects ? [] : addresses.map((address) => backendAt(address, paths))
  const routes: Route[] = []
  for (const declared of declaredIn(of, match, below, rule.rewrite)) {
    const { method, template, from, to } = declared
    const operation = { method, template }
    routes.push({ ...shared, method, operation, path: from, backends: backendsWith([to]) })
  }
  const template = templateOf(of, match, below)
  const operation = { method: match.method, template }
  return [
    ...routes,
    {
      ...shared,
      method: match.method,
      operation,
      path,
      backends: backendsWith(typeof behind === 'string' ? [] : behind),
    },
  ]
}

/** The way back from a backend's path, where it is short: what the client sent, or the few that it may have sent. */
function backwardsOf(match: RouteMatch, rewrite: Rewrite | null): Route['backwards'] {
  if (rewrite === null) return (path) => [path]
  if (match.type === 'Exact') return () => [match.path]
  if (match.type !== 'PathPrefix' || rewrite.kind !== 'prefix') return null
  const prefix = match.path.replace(/\/$/, '')
  const cut = rewrite.target.replace(/\/$/, '').length
  return (path) => {
    const rest = path.slice(cut)
    // A slash at the end of the target, or of the root, may be the target's own.
    return rest === '/' ? [prefix || '/', `${prefix}/`] : [`${prefix}${rest}` || '/']
  }
}

/** The part of a match's path below the API's context, which default versions leave the version out of. */
function belowContext(match: RouteMatch, context: string, version: string): string {
  const isRegex = match.type === 'RegularExpression'
  const path = isRegex ? unanchored(match.path) : match.path
  const bare = context.replace(/\/$/, '')
  if (bare === '') return path
  const contexts = [bare, bare.replace(`/${version}`, () => '')]
  const starts = isRegex ? [...contexts, ...contexts.map(quoteMeta)] : contexts
  for (const start of starts) {
    if (start === '') continue
    if (path === start) return '/'
    // Expressions may go on with a group: `/ctx(/.*)?`.
    if (path.startsWith(`${start}/`) || (isRegex && path.startsWith(`${start}(`))) {
      return path.slice(start.length)
    }
  }
  return path
}

function templateOf(of: GatewayApi, match: RouteMatch, below: string): string {
  if (match.type === 'Exact') return templateOfExact(below)
  if (match.type === 'PathPrefix') return templateOfPrefix(below)
  const declared = declaredTemplate(of.definition, shapeOfRegex(below), match.method)
  return declared ?? templateOfRegex(below)
}

interface DeclaredRoute {
  readonly method: string
  readonly template: string
  readonly from: PathPattern
  readonly to: PathPattern
}

/** Behind a prefix that keeps the rest of the path, each declared operation is a route of its own. */
function declaredIn(
  of: GatewayApi,
  match: RouteMatch,
  below: string,
  rewrite: Rewrite | null,
): DeclaredRoute[] {
  if (match.type !== 'PathPrefix' || (rewrite !== null && rewrite.kind !== 'prefix')) return []
  const prefix = below.replace(/\/$/, '')
  const full = quoteMeta(match.path.replace(/\/$/, ''))
  const target = rewrite === null ? full : quoteMeta(rewrite.target.replace(/\/$/, ''))
  const routes: DeclaredRoute[] = []
  for (const { method, template } of declaredBelow(of.definition, below, match.method)) {
    const rest = regexOfTemplate(template.slice(prefix.length))
    const from = regexPattern(`${full}${rest}`)
    const to = regexPattern(`${target}${rest}`)
    if (typeof from === 'string' || typeof to === 'string') continue
    routes.push({ method, template, from, to })
  }
  return routes
}
