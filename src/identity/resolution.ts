import type { Api, Confidence, Operation } from '../model/api.ts'
import type { BackendEntry } from './backend-index.ts'
import type { PathPattern } from './path-pattern.ts'
import type { Route, RouteEntry } from './route.ts'

/** Which API a request belongs to, how that was found, and how sure it is (docs/identity.md). */
export interface Resolution {
  readonly api: Api | null
  readonly operation: Operation | null
  readonly confidence: Confidence
  readonly how: string
  /** The chosen one first, else the most specific first; more than one only where they are really possible. */
  readonly candidates: readonly Api[]
  /** Possible APIs beyond those in `candidates`. */
  readonly more: number
}

/** A way into an API that a request may have taken. */
export interface Hit {
  readonly route: Route
  /** What of the route matched: at a gateway its path, at a backend one of those that it sees. */
  readonly path: PathPattern
  /** Where it was met: a gateway's entry, or a backend. */
  readonly at: RouteEntry | BackendEntry
}

/** Hears why routes stay or fall, where somebody asks for an explanation. */
export interface Trace {
  /** Where the request went, or which hosts were asked. */
  note(sentence: string): void
  considered(route: Route): void
  fell(route: Route, why: string): void
}

const CANDIDATES_MAX = 5

export function unresolved(how: string): Resolution {
  return { api: null, operation: null, confidence: 'none', how, candidates: [], more: 0 }
}

/** The hits that `keep` takes; all of them where it takes none, since then it tells nothing. */
export function narrowed<H extends Hit>(
  hits: readonly H[],
  keep: (hit: H) => boolean,
  why: string,
  trace: Trace | undefined,
): readonly H[] {
  const kept = hits.filter(keep)
  if (kept.length === 0 || kept.length === hits.length) return hits
  if (trace !== undefined) for (const hit of hits) if (!keep(hit)) trace.fell(hit.route, why)
  return kept
}

export function hasOneApi(hits: readonly Hit[]): boolean {
  return hits.every(({ route }) => route.api === hits[0]?.route.api)
}

/** What the hits are all of: one API, or several that cannot be told apart. */
export function attributed(hits: readonly Hit[], confidence: Confidence, how: string): Resolution {
  const [first] = hits
  if (first === undefined) return unresolved('no-route')
  const { api } = first.route
  if (hasOneApi(hits)) {
    return { api, operation: operationOf(hits), confidence, how, candidates: [api], more: 0 }
  }
  const ordered = hits.toSorted((a, b) => specificity(b, a))
  return ambiguous([...new Set(ordered.map(({ route }) => route.api))], how)
}

export function ambiguous(apis: readonly Api[], how: string): Resolution {
  return {
    api: null,
    operation: null,
    confidence: 'ambiguous',
    how,
    candidates: apis.slice(0, CANDIDATES_MAX),
    more: Math.max(0, apis.length - CANDIDATES_MAX),
  }
}

const KIND_RANK = { exact: 2, regex: 1, prefix: 0 } as const

/**
 * Of several operations of one API the most specific one; null where two of them look the same from
 * here, as when a rewrite makes one path of both.
 */
function operationOf(hits: readonly Hit[]): Operation | null {
  let best = hits[0]
  if (best === undefined) return null
  for (const hit of hits) if (specificity(hit, best) > 0) best = hit
  const { route, path } = best
  const same = hits.some(
    (hit) =>
      hit.route.operation !== route.operation &&
      hit.path.source === path.source &&
      hit.route.method === route.method,
  )
  return same ? null : route.operation
}

/** Positive where `a` says more about the path than `b`. */
function specificity(a: Hit, b: Hit): number {
  return (
    a.path.literalSegments - b.path.literalSegments ||
    a.path.literalLength - b.path.literalLength ||
    KIND_RANK[a.path.kind] - KIND_RANK[b.path.kind] ||
    Number(a.route.method !== '*') - Number(b.route.method !== '*')
  )
}
