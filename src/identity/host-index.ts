import { firstSegmentOf } from './path-pattern.ts'
import type { Route } from './route.ts'

/** Routes of one host, by the first segment of their paths: one host may have all APIs of a company. */
class HostRoutes {
  readonly #bySegment = new Map<string, Route[]>()
  readonly #others: Route[] = []

  add(route: Route): void {
    const segment = route.path.firstSegment
    if (segment === null) this.#others.push(route)
    else append(this.#bySegment, segment, route)
  }

  /** Every route that may match `path`, and some that do not. */
  near(path: string): readonly Route[] {
    const own = this.#bySegment.get(firstSegmentOf(path))
    if (own === undefined) return this.#others
    return this.#others.length === 0 ? own : [...own, ...this.#others]
  }
}

/** Finds a gateway's routes by host, the most specific first, as Envoy chooses its virtual host. */
export class HostIndex {
  readonly #exact = new Map<string, HostRoutes>()
  /** By `.example.com`, of `*.example.com`. */
  readonly #wildcards = new Map<string, HostRoutes>()
  readonly #every = new HostRoutes()
  readonly #all = new HostRoutes()

  add(route: Route): void {
    if (route.hosts.length > 0) this.#all.add(route)
    for (const host of route.hosts) {
      if (host === '' || host === '*') this.#every.add(route)
      else if (host.startsWith('*.')) routesAt(this.#wildcards, host.slice(1)).add(route)
      else routesAt(this.#exact, host).add(route)
    }
  }

  /** Candidates host by host: the host itself, wildcards from the longest, every host. '' as `host`: all. */
  near(host: string, path: string): readonly (readonly Route[])[] {
    if (host === '') return [this.#all.near(path)]
    const tiers: (readonly Route[])[] = []
    const exact = this.#exact.get(host)
    if (exact !== undefined) tiers.push(exact.near(path))
    for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1)) {
      const wildcard = this.#wildcards.get(host.slice(dot))
      if (wildcard !== undefined) tiers.push(wildcard.near(path))
    }
    tiers.push(this.#every.near(path))
    return tiers
  }
}

/** Authority as sent → host as routes name it: lower case, no port, no dot at its end. */
export function normalHost(authority: string): string {
  const host = authority.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase()
  return host.startsWith('[') ? host.slice(1, -1) : host
}

/** Whether a route that names its hosts names this one. A route for every host names none. */
export function namesHost(route: Route, host: string): boolean {
  return route.hosts.some((own) =>
    own.startsWith('*.')
      ? host.endsWith(own.slice(1)) && host.length > own.length - 1
      : own === host && own !== '',
  )
}

function routesAt(map: Map<string, HostRoutes>, key: string): HostRoutes {
  const known = map.get(key) ?? new HostRoutes()
  map.set(key, known)
  return known
}

function append<V>(map: Map<string, V[]>, key: string, value: V): void {
  const known = map.get(key)
  if (known === undefined) map.set(key, [value])
  else known.push(value)
}
