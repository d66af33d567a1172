import type { Rewrite, RouteMatch } from './http-route.ts'
import { exactPattern, type PathPattern, prefixPattern, regexPattern } from './path-pattern.ts'
import { groupsOf, quoteMeta, unanchored } from './regex-source.ts'

/** Paths that a backend may get, or why they cannot be told. */
export type Rewritten = readonly PathPattern[] | string

export const withoutSlash = (path: string): string =>
  path.endsWith('/') ? path.slice(0, -1) : path
const orRoot = (path: string): string => (path === '' ? '/' : path)

/**
 * What the backend sees of a match behind APK's router: the inverse of its rewrite.
 * Source of the rule: wso2/apk 1.3.0, adapter/internal/oasparser (route compilation).
 */
export function pathsBehindApk(
  match: RouteMatch,
  rewrite: Rewrite | null,
  basePath: string,
): Rewritten {
  if (match.type === 'RegularExpression') {
    if (rewrite === null || rewrite.kind === 'regex') {
      // The router puts the expression's own text into the path; whoever wrote it meant the path as it came.
      const passed = regexPattern(`${quoteMeta(withoutSlash(basePath))}${unanchored(match.path)}`)
      return typeof passed === 'string'
        ? passed
        : [passed, exactPattern(`${withoutSlash(basePath)}${match.path}`)]
    }
    // Behind the expression's own groups stands the router's, for a slash at the end.
    const groups = [...groupsOf(match.path), '/?']
    return substituted(`${basePath}${rewrite.target}`, groups)
  }
  if (rewrite === null || rewrite.kind === 'regex') {
    const path = `${withoutSlash(basePath)}${match.path}`
    return [match.type === 'Exact' ? exactPattern(orRoot(path)) : prefixPattern(path)]
  }
  const target = `${basePath}${rewrite.target}`
  if (match.type === 'Exact') return [exactPattern(orRoot(target))]
  if (rewrite.kind === 'prefix') return [prefixPattern(target)]
  return [exactPattern(orRoot(withoutSlash(target)))]
}

/** The same for implementations of the Gateway API. */
export function pathsBehindGateway(match: RouteMatch, rewrite: Rewrite | null): Rewritten {
  if (rewrite === null) {
    const path = patternOfMatch(match)
    return typeof path === 'string' ? path : [path]
  }
  if (rewrite.kind === 'regex') return pathsBehindRegex(match, rewrite)
  const keepsRest = rewrite.kind === 'prefix' && match.type === 'PathPrefix'
  return [keepsRest ? prefixPattern(rewrite.target) : exactPattern(orRoot(rewrite.target))]
}

function pathsBehindRegex(match: RouteMatch, rewrite: Rewrite & { kind: 'regex' }): Rewritten {
  const { pattern, substitution } = rewrite
  const whole =
    (pattern.startsWith('^') && pattern.endsWith('$')) ||
    unanchored(pattern) === unanchored(match.path)
  // An expression that covers a part only leaves the rest of the path as it came.
  return substituted(substitution, groupsOf(pattern), whole ? '' : '.*')
}

/** What a match of the Gateway API matches; whatever is wrong with it as a string. */
export function patternOfMatch(match: RouteMatch): PathPattern | string {
  if (match.type === 'Exact') return exactPattern(match.path)
  return match.type === 'PathPrefix' ? prefixPattern(match.path) : regexPattern(match.path)
}

/** All results of `substitution` (`\1` … `\9`), where group k may be anything that `groups[k - 1]` matches. */
function substituted(substitution: string, groups: readonly string[], around = ''): Rewritten {
  const parts = substitution.split(/\\([0-9\\])/)
  const varies = parts.some((part, index) => index % 2 === 1 && part !== '\\')
  if (!varies && around === '') return [exactPattern(orRoot(parts.join('')))]
  const source = parts.map((part, index) => {
    if (index % 2 === 0) return quoteMeta(part)
    if (part === '\\') return '\\\\'
    if (part === '0') return '.*'
    const group = groups[Number(part) - 1]
    return group === undefined ? '' : asPart(group)
  })
  const pattern = regexPattern(`${around}${source.join('')}${around}`)
  return typeof pattern === 'string' ? pattern : [pattern]
}

/** A group's body stands alone where it is one simple piece; else in a group that captures nothing. */
function asPart(body: string): string {
  return /^(?:\.|\[\^?[^[\]\\]+\]|\\d)[*+]?$/.test(body) ? body : `(?:${body})`
}
