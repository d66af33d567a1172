import { type Api, type Operation } from '../model/api.ts'
import type { Exchange, Report } from '../model/exchange.ts'
import { apiKeyOf } from './api-key.ts'
import type { Catalogue } from './catalogue.ts'
import { backendsAt } from './destination.ts'
import { type PathPattern, regexPattern } from './path-pattern.ts'

/** An API that was declared once, and what of it a request still asks for. */
export interface RemovedApi {
  readonly api: Api
  readonly operation: Operation
  /** Unix ms. */
  readonly removedMs: number
}

interface Memory {
  readonly api: Api
  readonly removedMs: number
  readonly ways: readonly Way[]
}

/** What requests to a removed API looked like at one of its Services. */
interface Way {
  /** NAMESPACE/NAME. */
  readonly service: string
  readonly method: string | null
  readonly path: PathPattern
  readonly operation: Operation
}

const APIS_MAX = 200
/** Of one API. */
const WAYS_MAX = 500

/**
 * Remembers the last `apisMax` APIs that went out of the catalogue (`evicted` counts those beyond),
 * with what their Services saw of them, and recognises requests that still come.
 */
export class RemovedApis {
  evicted = 0
  readonly #apisMax: number
  readonly #byKey = new Map<string, Memory>()
  #byService: ReadonlyMap<string, readonly { way: Way; memory: Memory }[]> = new Map()

  constructor(apisMax = APIS_MAX) {
    this.#apisMax = apisMax
  }

  get size(): number {
    return this.#byKey.size
  }

  /** Call it with each new catalogue. `nowMs`: Unix ms. What has come back is forgotten. */
  replaced(before: Catalogue, now: Catalogue, nowMs: number): void {
    const present = new Set(now.apis.map(({ api }) => apiKeyOf(api)))
    for (const key of this.#byKey.keys()) if (present.has(key)) this.#byKey.delete(key)
    const gone = before.apis.filter(({ api }) => !present.has(apiKeyOf(api)))
    this.evicted += Math.max(0, gone.length - this.#apisMax)
    for (const { api } of gone.slice(Math.max(0, gone.length - this.#apisMax))) {
      this.#byKey.set(apiKeyOf(api), { api, removedMs: nowMs, ways: waysInto(before, api) })
    }
    for (const oldest of this.#byKey.keys()) {
      if (this.#byKey.size <= this.#apisMax) break
      this.#byKey.delete(oldest)
      this.evicted++
    }
    this.#index()
  }

  /** `catalogue`: the present one, for the Services that stand behind an address. */
  find(exchange: Exchange, catalogue: Catalogue): RemovedApi | undefined {
    if (this.#byKey.size === 0 || exchange.path === '') return undefined
    const { report, twin } = exchange
    const found = this.#findAt(exchange, report, catalogue)
    return found === undefined && twin !== null ? this.#findAt(exchange, twin, catalogue) : found
  }

  #findAt({ method, path }: Exchange, seen: Report, catalogue: Catalogue): RemovedApi | undefined {
    for (const service of servicesOf(seen, catalogue)) {
      for (const { way, memory } of this.#byService.get(service) ?? []) {
        if (way.method !== null && way.method !== method) continue
        if (!way.path.matches(path)) continue
        return { api: memory.api, operation: way.operation, removedMs: memory.removedMs }
      }
    }
    return undefined
  }

  #index(): void {
    const byService = new Map<string, { way: Way; memory: Memory }[]>()
    // The one that went last is the likeliest.
    for (const memory of [...this.#byKey.values()].reverse()) {
      for (const way of memory.ways) {
        const known = byService.get(way.service)
        if (known === undefined) byService.set(way.service, [{ way, memory }])
        else known.push({ way, memory })
      }
    }
    this.#byService = byService
  }
}

function waysInto(catalogue: Catalogue, api: Api): Way[] {
  const ways: Way[] = []
  for (const { namespace, service, matches } of catalogue.limitTargets(api, null, 'api')) {
    for (const { method, pathRegex, template } of matches) {
      const path = regexPattern(pathRegex)
      if (typeof path === 'string' || ways.length >= WAYS_MAX) continue
      const operation = { method: method ?? '*', template }
      ways.push({ service: `${namespace}/${service}`, method, path, operation })
    }
  }
  return ways
}

/** The Services that a request may have been for; without a route to them, a like name is enough. */
function servicesOf(seen: Report, catalogue: Catalogue): Set<string> {
  const { destination, destinationService, destinationIp, destinationPort, destinationNames } = seen
  const { keys } = backendsAt(catalogue, {
    service: destinationService,
    ip: destinationIp,
    port: destinationPort,
    names: destinationNames,
    endpoint: destination,
    host: '',
  })
  return new Set([...keys, `${destination.namespace}/${destination.workload}`])
}
