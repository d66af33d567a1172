import type { Api, Operation } from '../model/api.ts'
import type { ApiCall } from '../model/api-call.ts'
import { apiKeyOf } from './api-key.ts'
import type { CatalogueApi } from './catalogue.ts'
import type { Silence } from './discovery-sentence.ts'

/** No flow for longer than this, and nobody knows whether anything was to be seen. */
const GAP_MAX_MS = 300_000
/** Told in one turn: a catalogue full of orphans is told bit by bit. */
const TURN_MAX = 100
const SERVICES_MAX = 10_000

export interface OrphanWatchOptions {
  /** Watched time without a request that makes an operation an orphan, in ms. */
  readonly silentMs: number
  /** Share of what happened that must be seen for time to count as watched. */
  readonly coverageMin: number
  readonly coverage: () => number
  /** Operations that are watched; beyond it they are not (`overflowed` counts). */
  readonly operationsMax: number
  /** NAMESPACE/NAME of the Services behind an API. */
  readonly servicesOf: (api: Api) => readonly string[]
  readonly onOrphan: (orphan: Orphan) => void
  /** What was told is over: it is called again, or no longer declared. */
  readonly onEnd: (orphan: Orphan, isCalled: boolean) => void
}

export interface Orphan extends Silence {
  /** Unix ms: its last request, or since when it has been watched. */
  readonly firstMs: number
  readonly lastMs: number
  readonly service: string | null
}

interface OperationWatch {
  operation: Operation
  readonly ofApi: ApiWatch
  /** What the clock of watched time said at its last request, or when it was declared. */
  heardAt: number
  /** The same in Unix ms. */
  heardMs: number
  isTold: boolean
}

/** On the clock of watched time; -Infinity: never. */
interface ApiWatch {
  api: Api
  heardAt: number
  /** Some request may have been any of its operations. */
  vagueAt: number
  requests: number
  operations: Map<string, OperationWatch>
}

const NEVER = Number.NEGATIVE_INFINITY

/**
 * Finds declared operations that nobody calls. Its clock runs only while enough of the traffic is
 * seen. Judged is only what can be seen to be silent: the API had requests within that time (one of
 * which nothing is seen may have no layer 7 visibility), and none that could have been any of its
 * operations. Told once each.
 */
export class OrphanWatch {
  overflowed = 0
  told = 0
  readonly #options: OrphanWatchOptions
  #byKey = new Map<string, ApiWatch>()
  #byApi = new Map<Api, ApiWatch>()
  #byOperation = new Map<Operation, OperationWatch>()
  /** Services with several possible APIs, and when one of them was called last. */
  readonly #vagueServices = new Map<string, number>()
  #watchedMs = 0
  #tickMs = 0
  #catalogue: readonly CatalogueApi[] = []

  constructor(options: OrphanWatchOptions) {
    this.#options = options
  }

  /** What is declared now. Does nothing for the list that it has. */
  declare(catalogue: readonly CatalogueApi[], timeMs: number): void {
    if (catalogue === this.#catalogue) return
    this.#catalogue = catalogue
    const before = this.#byKey
    this.#byKey = new Map()
    this.#byApi = new Map()
    this.#byOperation = new Map()
    for (const { api, operations } of catalogue) {
      const old = before.get(apiKeyOf(api))
      const watch: ApiWatch = {
        api,
        heardAt: old?.heardAt ?? NEVER,
        vagueAt: old?.vagueAt ?? NEVER,
        requests: old?.requests ?? 0,
        operations: new Map(),
      }
      this.#byKey.set(apiKeyOf(api), watch)
      this.#byApi.set(api, watch)
      for (const operation of operations) this.#watch(watch, operation, old, timeMs)
    }
    for (const [key, old] of before) this.#endMissing(old, this.#byKey.get(key), timeMs)
  }

  #watch(ofApi: ApiWatch, operation: Operation, old: ApiWatch | undefined, timeMs: number): void {
    if (this.#byOperation.size >= this.#options.operationsMax) {
      this.overflowed++
      return
    }
    const key = `${operation.method} ${operation.template}`
    const known = old?.operations.get(key)
    const watch: OperationWatch = {
      operation,
      ofApi,
      heardAt: known?.heardAt ?? this.#watchedMs,
      heardMs: known?.heardMs ?? timeMs,
      isTold: known?.isTold ?? false,
    }
    ofApi.operations.set(key, watch)
    this.#byOperation.set(operation, watch)
  }

  #endMissing(old: ApiWatch, now: ApiWatch | undefined, timeMs: number): void {
    for (const [key, watch] of old.operations) {
      if (watch.isTold && now?.operations.has(key) !== true) this.#end(watch, timeMs, false)
    }
  }

  /** Whether the API is one of those, and not one that is only called so by labels. */
  declares(api: Api): boolean {
    return this.#byApi.has(api) || this.#byKey.has(apiKeyOf(api))
  }

  /** A call of which the API is known. `isDeclared`: its operation is one of the catalogue's, or left open. */
  heard(call: ApiCall, isDeclared: boolean, timeMs: number): void {
    const { status } = call.exchange
    if (call.api === null || status === 404 || status === 405) return
    const ofApi = this.#byApi.get(call.api)
    if (ofApi === undefined) return
    ofApi.heardAt = this.#watchedMs
    ofApi.requests++
    if (!isDeclared) return
    if (call.operation === null) {
      ofApi.vagueAt = this.#watchedMs
      return
    }
    const watch = this.#byOperation.get(call.operation)
    if (watch === undefined) return
    watch.heardAt = this.#watchedMs
    watch.heardMs = Math.max(watch.heardMs, timeMs)
    if (watch.isTold) this.#end(watch, timeMs, true)
  }

  /** A call that may be of any of several APIs. */
  heardVaguely({ candidates, more }: ApiCall): void {
    for (const api of candidates) {
      const watch = this.#byApi.get(api)
      if (watch !== undefined) watch.vagueAt = this.#watchedMs
    }
    const [first] = candidates
    if (more === 0 || first === undefined) return
    for (const service of this.#options.servicesOf(first)) {
      this.#vagueServices.delete(service)
      this.#vagueServices.set(service, this.#watchedMs)
    }
    for (const oldest of this.#vagueServices.keys()) {
      if (this.#vagueServices.size <= SERVICES_MAX) break
      this.#vagueServices.delete(oldest)
      this.overflowed++
    }
  }

  /** Once a window: lets watched time pass, and judges. */
  tick(timeMs: number): void {
    const passedMs = this.#tickMs === 0 ? 0 : timeMs - this.#tickMs
    this.#tickMs = timeMs
    if (passedMs > 0 && this.#options.coverage() >= this.#options.coverageMin) {
      this.#watchedMs += Math.min(passedMs, GAP_MAX_MS)
    }
    const silentSince = this.#watchedMs - this.#options.silentMs
    if (silentSince < 0) return
    let left = TURN_MAX
    for (const watch of this.#byApi.values()) {
      if (watch.heardAt <= silentSince || watch.vagueAt > silentSince) continue
      for (const operation of watch.operations.values()) {
        if (operation.isTold || operation.heardAt > silentSince) continue
        if (this.#isVague(watch.api, silentSince)) break
        operation.isTold = true
        this.told++
        this.#options.onOrphan(this.#orphanOf(operation, timeMs))
        if (--left === 0) return
      }
    }
  }

  #isVague(api: Api, since: number): boolean {
    if (this.#vagueServices.size === 0) return false
    const services = this.#options.servicesOf(api)
    return services.some((service) => (this.#vagueServices.get(service) ?? NEVER) > since)
  }

  #end(watch: OperationWatch, timeMs: number, isCalled: boolean): void {
    watch.isTold = false
    this.told--
    this.#options.onEnd(this.#orphanOf(watch, timeMs), isCalled)
  }

  #orphanOf({ operation, ofApi, heardAt, heardMs }: OperationWatch, timeMs: number): Orphan {
    return {
      operation,
      api: ofApi.api,
      silentMs: this.#watchedMs - heardAt,
      apiRequests: ofApi.requests,
      firstMs: heardMs,
      lastMs: timeMs,
      service: this.#options.servicesOf(ofApi.api)[0] ?? null,
    }
  }
}
