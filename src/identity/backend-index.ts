import type { Api } from '../model/api.ts'
import { keyOfHost } from './backend-refs.ts'
import { fieldOf, textOf } from './kubernetes-object.ts'
import type { PathPattern } from './path-pattern.ts'
import type { Route, RouteBackend } from './route.ts'
import { SegmentIndex } from './segment-index.ts'
import type { ServiceIndex } from './service-index.ts'

/** One route, as one of its backends sees it. */
export interface BackendEntry {
  readonly route: Route
  readonly backend: RouteBackend
  /** Port numbers that a flow to it may show; null: any. */
  readonly ports: ReadonlySet<number> | null
  /** Place in the order of declaration. */
  readonly order: number
}

/** An entry, and one of the paths that its backend may see. */
export interface BackendPath {
  readonly entry: BackendEntry
  readonly path: PathPattern
}

/** Everything that leads to one backend. */
export class BackendTable {
  /** For the cache of resolutions. */
  readonly id: number
  readonly entries: BackendEntry[] = []
  readonly apis = new Set<Api>()
  readonly paths = new SegmentIndex<BackendPath>()

  constructor(id: number) {
    this.id = id
  }

  add(entry: BackendEntry): void {
    this.entries.push(entry)
    this.apis.add(entry.route.api)
    for (const path of entry.backend.paths) this.paths.add(path, { entry, path })
  }
}

/** Finds routes by where they lead: a Service (`NAMESPACE/NAME`), or a host that is none (`host:NAME`). */
export class BackendIndex {
  readonly #byKey = new Map<string, BackendTable>()
  readonly #services: ServiceIndex
  readonly #newId: () => number
  #count = 0

  constructor(services: ServiceIndex, newId: () => number) {
    this.#services = services
    this.#newId = newId
  }

  add(route: Route): void {
    const order = this.#count++
    for (const backend of route.backends) {
      const { namespace, service, port } = backend
      const ports =
        service === '' ? portsOf(port) : this.#services.flowPorts(namespace, service, port)
      for (const key of this.#keysOf(backend)) {
        let table = this.#byKey.get(key)
        if (table === undefined) {
          table = new BackendTable(this.#newId())
          this.#byKey.set(key, table)
        }
        table.add({ route, backend, ports, order })
      }
    }
  }

  get(key: string): BackendTable | undefined {
    return this.#byKey.get(key)
  }

  has(key: string): boolean {
    return this.#byKey.has(key)
  }

  #keysOf({ namespace, service, host }: RouteBackend): string[] {
    if (service !== '') {
      const key = `${namespace}/${service}`
      const spec = fieldOf(this.#services.get(namespace, service), 'spec')
      const external = textOf(spec, 'type') === 'ExternalName' ? textOf(spec, 'externalName') : ''
      return external === '' ? [key] : [key, keyOfHost(external)]
    }
    // An address may be a Service's own.
    const behind = this.#services.ofClusterIp(host)
    return behind === undefined ? [`host:${host}`] : [behind, `host:${host}`]
  }
}

const portsOf = (port: number): ReadonlySet<number> | null => (port === 0 ? null : new Set([port]))
