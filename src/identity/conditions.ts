import type { ValueMatch } from './http-route.ts'
import type { Route } from './route.ts'

/** What is known of a request besides method, host and path. */
export interface KnownParts {
  /** Lower-case names; null where headers are not known. */
  readonly headers: ReadonlyMap<string, string> | null
  /** null where the query is not known. */
  readonly query: URLSearchParams | null
  /** The request is taken to meet the conditions of this route, whatever is not known of it. */
  readonly assumed?: Route
}

/** Whether the request meets a route's conditions on headers and query, as far as both are known. */
export function meets(
  route: Pick<Route, 'headers' | 'query'>,
  { headers, query, assumed }: KnownParts,
): 'yes' | 'no' | 'unknown' {
  if (route.headers.length === 0 && route.query.length === 0) return 'yes'
  let known = true
  for (const condition of route.headers) {
    if (headers === null) known &&= isAmong(assumed?.headers, condition)
    else if (!holds(condition, headers.get(condition.name))) return 'no'
  }
  for (const condition of route.query) {
    if (query === null) known &&= isAmong(assumed?.query, condition)
    else if (!holds(condition, query.get(condition.name) ?? undefined)) return 'no'
  }
  return known ? 'yes' : 'unknown'
}

const holds = (condition: ValueMatch, value: string | undefined): boolean =>
  value !== undefined && condition.holds(value)

function isAmong(
  conditions: readonly ValueMatch[] = [],
  { name, value, regex }: ValueMatch,
): boolean {
  return conditions.some((own) => own.name === name && own.value === value && own.regex === regex)
}
