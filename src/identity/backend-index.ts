import { keyOfHost } from './backend-refs.ts'
import { fieldOf, textOf } from './kubernetes-object.ts'
import type { Route, RouteBackend } from './route.ts'
import type { ServiceIndex } from './service-index.ts'

/** One route, as one of its backends sees it. */
export interface BackendEntry {
  readonly route: Route
  readonly backend: RouteBackend
  /** Port numbers that a flow to it may show; null: any. */
  readonly ports: ReadonlySet<number> | null
}

/** Finds routes by where they lead: a Service (`NAMESPACE/NAME`), or a host that is none (`host:NAME`). */
export class BackendIndex {
  readonly #byKey = new Map<string, BackendEntry[]>()
  readonly #services: ServiceIndex

  constructor(services: ServiceIndex) {
    this.#services = services
  }

  add(route: Route): void {
    for (const backend of route.backends) {
      const { namespace, service, port } = backend
      const ports =
        service === '' ? portsOf(port) : this.#services.flowPorts(namespace, service, port)
      for (const key of this.#keysOf(backend)) {
        const entry = { route, backend, ports }
        const known = this.#byKey.get(key)
        if (known === undefined) this.#byKey.set(key, [entry])
        else known.push(entry)
      }
    }
  }

  get(key: string): readonly BackendEntry[] {
    return this.#byKey.get(key) ?? []
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
