import type { Api, BackendMatch, Operation } from '../model/api.ts'
import { pathExpressionOf, pathInsideOf } from './backend-path.ts'
import { type JsonObject, shortHashOf } from './canonical-json.ts'
import { RE2_PROGRAM_MAX, re2ProgramBoundOf } from './re2-expression.ts'

/** Value of `weir_operation` for a client's every call on a Service. */
export const ANY_OPERATION = 'any'
const READABLE_MAX = 40

/** What a limit covers on one Service, as Envoy matches it. */
export interface LimitedOperation {
  /** Value of the descriptor key `weir_operation`. */
  readonly slug: string
  /**
   * Header matchers, one list a `rate_limits` entry. The lists exclude each other: a descriptor that
   * two entries produce for one call is charged twice. Empty for {@link ANY_OPERATION}.
   */
  readonly entries: readonly (readonly JsonObject[])[]
}

export const EVERY_CALL: LimitedOperation = { slug: ANY_OPERATION, entries: [] }

export interface OperationScope {
  readonly api: Api
  /** Of scope `operation`; ignored for scope `api`. */
  readonly operation: Operation | null
  readonly scope: 'operation' | 'api'
  readonly matches: readonly BackendMatch[]
}

/**
 * One budget over everything in `matches`, and over nothing else. Envoy has no "or" between method
 * and path pairs, so there is one entry a method, and more where an expression would be too large
 * for Envoy; each excludes what the ones before it took. Refuses with a sentence where a match
 * cannot be written exactly.
 */
export function limitedOperationOf(
  scope: OperationScope,
): LimitedOperation | { readonly refusal: string } {
  const matches = uniqueMatches(scope.matches)
  if (matches.length === 0) return { refusal: 'it is not known what its calls look like there' }
  const insides = new Map<string | null, string[]>()
  for (const { method, pathRegex } of matches) {
    const inside = pathInsideOf(pathRegex)
    if (inside === undefined)
      return { refusal: `path expression ${pathRegex} cannot be translated` }
    if (method !== null && !/^[A-Z][A-Z0-9-]{0,31}$/.test(method)) {
      return { refusal: `method ${JSON.stringify(method)} cannot be matched` }
    }
    insides.set(method, [...(insides.get(method) ?? []), inside])
  }
  const everyMethod = insides.get(null) ?? []
  const methods = [...insides.keys()].filter((method) => method !== null).toSorted()
  const entries: JsonObject[][] = []
  const groups = methods.map((method) => ({
    head: [methodIs(method)],
    paths: [...new Set([...(insides.get(method) ?? []), ...everyMethod])].toSorted(),
  }))
  groups.push({
    head: methods.map((method) => ({ ...methodIs(method), invert_match: true })),
    paths: everyMethod,
  })
  for (const { head, paths } of groups) {
    const chunks = chunksOf(paths)
    if (chunks === undefined) {
      return {
        refusal: `a path expression is too large for Envoy (RE2 program above ${RE2_PROGRAM_MAX})`,
      }
    }
    chunks.forEach((chunk, index) => {
      const taken = chunks
        .slice(0, index)
        .map((earlier) => ({ ...pathIs(earlier), invert_match: true }))
      entries.push([...head, pathIs(chunk), ...taken])
    })
  }
  return { slug: slugOf(scope, matches), entries }
}

/** Readable, and ends in a hash over API, scope, operation and matches: no other operation or scope has it. */
function slugOf(scope: OperationScope, matches: readonly BackendMatch[]): string {
  const { api, operation } = scope
  const named = scope.scope === 'api' ? null : operation
  const readable =
    named === null ? `api ${api.name} ${api.version}` : `${named.method} ${named.template}`
  const words = readable.toLowerCase().match(/[a-z0-9]+/g) ?? []
  const head = words.join('-').slice(0, READABLE_MAX).replace(/-$/, '')
  const hash = shortHashOf({
    api: [api.id, api.namespace, api.name, api.version, api.context, api.environment],
    scope: scope.scope,
    operation: named === null ? null : [named.method, named.template],
    matches: matches.map(({ method, pathRegex }) => [method, pathRegex]),
  })
  return head === '' ? hash : `${head}-${hash}`
}

function uniqueMatches(matches: readonly BackendMatch[]): BackendMatch[] {
  const byKey = new Map(
    matches.map((match) => [`${match.method ?? ''}\n${match.pathRegex}`, match]),
  )
  return [...byKey].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, match]) => match)
}

function methodIs(method: string): JsonObject {
  return { name: ':method', string_match: { exact: method } }
}

function pathIs(insides: readonly string[]): JsonObject {
  const regex = pathExpressionOf(insides)
  return { name: ':path', string_match: { safe_regex: { regex } } }
}

/** As few alternations as stay within Envoy's size; undefined where one alone is above it. */
function chunksOf(paths: readonly string[]): string[][] | undefined {
  const chunks: string[][] = []
  for (const path of paths) {
    const last = chunks.at(-1)
    if (last !== undefined && fits([...last, path])) last.push(path)
    else if (fits([path])) chunks.push([path])
    else return undefined
  }
  return chunks
}

function fits(insides: readonly string[]): boolean {
  return re2ProgramBoundOf(pathExpressionOf(insides)) <= RE2_PROGRAM_MAX
}
