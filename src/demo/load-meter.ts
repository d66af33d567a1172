/** How much a backend can take, in calls a second; one that is not named takes all that comes. */
const CAPACITY: { readonly [service: string]: number } = { catalog: 32 }

/**
 * Measures how many calls a second reach each backend, over about the last second, and tells which
 * share of them it cannot serve.
 */
export class LoadMeter {
  readonly #loads = new Map<string, { perSecond: number; atMs: number }>()

  /** Counts one call; returns the share, 0 … 1, of calls that fail at the present load. */
  overload(service: string, atMs: number): number {
    const capacity = CAPACITY[service]
    if (capacity === undefined) return 0
    const load = this.#loads.get(service) ?? { perSecond: 0, atMs }
    this.#loads.set(service, load)
    const elapsedMs = Math.max(0, atMs - load.atMs)
    load.perSecond = load.perSecond * Math.exp(-elapsedMs / 1_000) + 1
    load.atMs = Math.max(atMs, load.atMs)
    return Math.max(0, (load.perSecond - capacity) / load.perSecond)
  }
}
