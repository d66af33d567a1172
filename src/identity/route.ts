import type { Api, Operation } from '../model/api.ts'
import type { RouteMatch, ValueMatch } from './http-route.ts'
import type { PathPattern } from './path-pattern.ts'

/** Where a route sends its requests, and what they look like there. */
export interface RouteBackend {
  /** Of the Service; '' where the backend is none. */
  readonly namespace: string
  readonly service: string
  /** Name or address of a backend that is no Service, lower case; ''. */
  readonly host: string
  /** As declared: the Service's own port, not the pod's; 0 where it is not told. */
  readonly port: number
  /** The paths that the backend gets, after rewriting; each is possible. */
  readonly paths: readonly PathPattern[]
}

/** One way into an API: what the gateway matches, and what the backend sees of it. Immutable. */
export interface Route {
  readonly api: Api
  readonly operation: Operation
  /** Whose rules decide between two routes: APK's router, or the Gateway API. */
  readonly model: 'apk' | 'gateway-api'
  /** Upper case; `*`: every method. */
  readonly method: string
  /** Lower case, `*.example.com` for wildcards, '' for every host. */
  readonly hosts: readonly string[]
  /** Full paths, as clients send them. */
  readonly path: PathPattern
  /** Of the match as written, which is what a gateway sorts by: exact 2, expression 1, prefix 0; characters. */
  readonly rank: { readonly kind: number; readonly length: number }
  readonly headers: readonly ValueMatch[]
  readonly query: readonly ValueMatch[]
  /** APK asks the routes of default versions after all others. */
  readonly last: boolean
  readonly backends: readonly RouteBackend[]
}

const KIND_RANK = { Exact: 2, RegularExpression: 1, PathPrefix: 0 } as const

export function rankOf({ type, path }: RouteMatch): Route['rank'] {
  return { kind: KIND_RANK[type], length: path.length }
}

export function takesMethod(route: Pick<Route, 'method'>, method: string): boolean {
  return route.method === '*' || method === '' || route.method === method
}

/** What is wrong with one object of the cluster; it, or the named part of it, was left out. */
export interface CatalogueProblem {
  /** `HTTPRoute shop/orders`. */
  readonly object: string
  readonly reason: string
}
