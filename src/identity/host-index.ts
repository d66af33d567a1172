import type { Route, RouteEntry } from './route.ts'
import { SegmentIndex } from './segment-index.ts'

/** A route, where one of its entries serves it. */
export interface HostedRoute {
  readonly route: Route
  readonly entry: RouteEntry
}

/** What all gateways serve under one host, or under one wildcard. */
export class HostTier {
  /** For the cache of resolutions. */
  readonly id: number
  readonly routes = new SegmentIndex<HostedRoute>()
  /** Those that have a virtual host of this name. */
  readonly groups = new Set<string>()

  constructor(id: number) {
    this.id = id
  }

  add(hosted: HostedRoute): void {
    this.groups.add(hosted.entry.group)
    this.routes.add(hosted.route.path, hosted)
  }
}

/** Finds a gateway's routes by host, the most specific first, as Envoy chooses its virtual host. */
export class HostIndex {
  readonly #exact = new Map<string, HostTier>()
  /** By `.example.com`, of `*.example.com`. */
  readonly #wildcards = new Map<string, HostTier>()
  readonly #every: HostTier
  /** Stands for all of them in the cache: for requests that do not tell their host. */
  readonly #nobody: HostTier
  readonly #newId: () => number

  constructor(newId: () => number) {
    this.#newId = newId
    this.#every = new HostTier(newId())
    this.#nobody = new HostTier(newId())
  }

  add(route: Route): void {
    for (const entry of route.entries) {
      const hosted = { route, entry }
      for (const host of entry.hosts) this.#tierOf(host).add(hosted)
    }
  }

  /** Whatever is served anywhere. */
  *all(): Iterable<HostTier> {
    yield* this.#exact.values()
    yield* this.#wildcards.values()
    yield this.#every
  }

  /** The host itself, wildcards from the longest, every host; those that there are. */
  tiers(host: string): readonly HostTier[] {
    const tiers: HostTier[] = []
    const exact = this.#exact.get(host)
    if (exact !== undefined) tiers.push(exact)
    if (this.#wildcards.size > 0) {
      for (let dot = host.indexOf('.'); dot >= 0; dot = host.indexOf('.', dot + 1)) {
        const wildcard = this.#wildcards.get(host.slice(dot))
        if (wildcard !== undefined) tiers.push(wildcard)
      }
    }
    tiers.push(this.#every)
    return tiers
  }

  /** The first of `tiers(host)`: the same for all hosts that nobody names. */
  firstTier(host: string): HostTier {
    if (host === '') return this.#nobody
    const exact = this.#exact.get(host)
    if (exact !== undefined) return exact
    return this.#wildcards.size === 0 ? this.#every : (this.tiers(host)[0] ?? this.#every)
  }

  #tierOf(host: string): HostTier {
    if (host === '') return this.#every
    const [tiers, key] = host.startsWith('*.')
      ? [this.#wildcards, host.slice(1)]
      : [this.#exact, host]
    const known = tiers.get(key)
    if (known !== undefined) return known
    const tier = new HostTier(this.#newId())
    tiers.set(key, tier)
    return tier
  }
}

/** What most authorities are: nothing is to be done. */
const NORMAL = /^[a-z0-9*_-]+(?:\.[a-z0-9*_-]+)*$/

/** Authority as sent → host as routes name it: lower case, no port, no dot at its end. */
export function normalHost(authority: string): string {
  if (NORMAL.test(authority)) return authority
  const host = authority.replace(/:\d*$/, '').replace(/\.$/, '').toLowerCase()
  return host.startsWith('[') ? host.slice(1, -1) : host
}

/** Whether an entry of the route serves this host, and by name: a route for every host names none. */
export function namesHost({ entries }: Pick<Route, 'entries'>, host: string): boolean {
  return entries.some(({ hosts }) =>
    hosts.some((own) =>
      own.startsWith('*.')
        ? host.endsWith(own.slice(1)) && host.length > own.length - 1
        : own === host && own !== '',
    ),
  )
}

export function servesEveryHost({ entries }: Pick<Route, 'entries'>): boolean {
  return entries.some(({ hosts }) => hosts.includes(''))
}
