import type { Api, Operation } from '../model/api.ts'
import type { HeaderEdits, RouteMatch, ValueMatch } from './http-route.ts'
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
  /** Host header that APK's router puts in place of the client's, lower case; '' elsewhere. */
  readonly sentHost: string
  /** The paths that the backend gets, after rewriting; each is possible. */
  readonly paths: readonly PathPattern[]
  /** Gets copies of the requests only, and its answers go nowhere. */
  readonly mirror: boolean
}

/** Whose order decides between routes that match alike. */
export type Controller = 'cilium' | 'envoy-gateway' | 'unknown'

/**
 * A set of listeners that share their virtual hosts (one port of one Gateway), and the hosts that a
 * route answers to there: its own, cut down to the listeners'.
 */
export interface RouteEntry {
  /** `NAMESPACE/NAME`; '' where the route names no Gateway. */
  readonly gateway: string
  /** Gateway and port: routes of one group compete with each other, and with no others. */
  readonly group: string
  /** The listener's; 0 where the Gateway is not in the catalogue. */
  readonly port: number
  readonly controller: Controller
  /** Lower case, `*.example.com` for wildcards, '' for every host. */
  readonly hosts: readonly string[]
}

/** The object that declares a route, and the number of the rule in it, from 1. */
export interface RouteOrigin {
  /** `HTTPRoute shop/orders` */
  readonly object: string
  readonly rule: number
}

/** One way into an API: what the gateway matches, and what the backend sees of it. Immutable. */
export interface Route {
  readonly api: Api
  readonly operation: Operation
  readonly origin: RouteOrigin
  /** Whose rules decide between two routes: APK's router, or the Gateway API. */
  readonly model: 'apk' | 'gateway-api'
  /** Upper case; `*`: every method. */
  readonly method: string
  /** Empty: no gateway serves it, as for what pods send to a Service. */
  readonly entries: readonly RouteEntry[]
  /** Full paths, as clients send them. */
  readonly path: PathPattern
  readonly rank: RouteRank
  readonly headers: readonly ValueMatch[]
  readonly query: readonly ValueMatch[]
  /** APK asks the routes of default versions after all others. */
  readonly last: boolean
  /** What the gateway does to the headers of a request on its way to the backend. */
  readonly edits: HeaderEdits
  /** Host header that the backend gets; '': the client's; undefined: not known. */
  readonly sentHost: string | undefined
  /** The clients' paths that a backend's path may come from; null where they cannot be listed. */
  readonly backwards: ((backendPath: string) => readonly string[]) | null
  readonly backends: readonly RouteBackend[]
}

/** Of the match as written, which is what a gateway sorts by. */
export interface RouteRank {
  /** Exact 2, expression 1, prefix 0. */
  readonly kind: number
  /** Characters; a slash at the end of a prefix says nothing. */
  readonly length: number
  readonly method: boolean
  /** A gRPC method of any service: implementations differ on whether it comes before a service. */
  readonly anyService: boolean
}

const KIND_RANK = { Exact: 2, RegularExpression: 1, PathPrefix: 0 } as const

export function rankOf({ type, path, method, grpc }: RouteMatch): RouteRank {
  const bare = type === 'PathPrefix' && path.endsWith('/') ? path.slice(0, -1) : path
  return {
    kind: KIND_RANK[type],
    length: bare.length,
    method: method !== '*' && grpc === null,
    anyService: grpc === 'any-service',
  }
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
