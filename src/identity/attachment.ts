import { GATEWAY_GROUP, refOf } from './http-route.ts'
import {
  fieldOf,
  type KubernetesObject,
  listOf,
  namespaceOf,
  type ObjectIndex,
  portOf,
  stringsOf,
  textOf,
} from './kubernetes-object.ts'
import type { Controller, RouteEntry } from './route.ts'
import { isSelected } from './selector.ts'

/** Listeners that pass connections on without reading HTTP. */
const OPAQUE = new Set(['TLS', 'TCP', 'UDP'])
const CONTROLLERS: Readonly<Record<string, Controller>> = {
  'io.cilium/gateway-controller': 'cilium',
  'gateway.envoyproxy.io/gatewayclass-controller': 'envoy-gateway',
}

/** Where routes are attached: which Gateways, which listeners, under which hosts. */
export class Attachments {
  readonly #objects: ObjectIndex

  constructor(objects: ObjectIndex) {
    this.#objects = objects
  }

  /**
   * The entries of a route. A Gateway that is not known counts as one that takes it, under the
   * route's own hosts; none at all for a route that no gateway serves, which steers what pods send to
   * a Service. null where there are Gateways, and none of them takes it; `refused` is told of each.
   * `lenient`: APK's router serves what its API CRs refer to, whatever listeners say.
   * Source: Gateway API v1.6, ParentReference, AllowedRoutes, HTTPRouteSpec.hostnames.
   */
  entriesOf(
    route: KubernetesObject,
    lenient: boolean,
    refused: (reason: string) => void,
  ): RouteEntry[] | null {
    const own = listOf(route, 'spec', 'hostnames')
      .filter((host) => typeof host === 'string')
      .map(normalised)
    const parents = listOf(route, 'spec', 'parentRefs')
    if (parents.length === 0) return [unknownEntry('', '', own)]
    const entries: RouteEntry[] = []
    let isMesh = false
    for (const parent of parents) {
      const kind = textOf(parent, 'kind') || 'Gateway'
      if (kind === 'Service') {
        isMesh = true
        continue
      }
      const ref = refOf(parent, namespaceOf(route))
      const name = `${ref.namespace}/${ref.name}`
      const gateway =
        kind === 'Gateway'
          ? this.#objects.get(GATEWAY_GROUP, 'Gateway', ref.namespace, ref.name)
          : undefined
      if (gateway === undefined) {
        entries.push(unknownEntry(name, textOf(parent, 'sectionName'), own))
        continue
      }
      const found = this.#entriesAt(gateway, name, parent, route, own)
      if (found.length > 0) entries.push(...found)
      else if (lenient) entries.push(unknownEntry(name, '', own))
      else refused(`Gateway ${name} has no listener that takes it`)
    }
    return entries.length === 0 && !isMesh ? null : merged(entries)
  }

  #entriesAt(
    gateway: KubernetesObject,
    name: string,
    parent: unknown,
    route: KubernetesObject,
    own: readonly string[],
  ): RouteEntry[] {
    const section = textOf(parent, 'sectionName')
    const port = portOf(fieldOf(parent, 'port'))
    const controller = this.#controllerOf(gateway)
    const entries: RouteEntry[] = []
    for (const listener of listOf(gateway, 'spec', 'listeners')) {
      const at = portOf(fieldOf(listener, 'port'))
      if (section !== '' && textOf(listener, 'name') !== section) continue
      if (port !== 0 && at !== port) continue
      if (!this.#allows(listener, gateway, route)) continue
      const hosts = hostsWithin(own, normalised(textOf(listener, 'hostname')))
      if (hosts.length === 0) continue
      entries.push({ gateway: name, group: `${name}:${at}`, port: at, controller, hosts })
    }
    return entries
  }

  #controllerOf(gateway: KubernetesObject): Controller {
    const name = textOf(gateway, 'spec', 'gatewayClassName')
    const gatewayClass = this.#objects.get(GATEWAY_GROUP, 'GatewayClass', '', name)
    if (gatewayClass === undefined) return name === 'cilium' ? 'cilium' : 'unknown'
    return CONTROLLERS[textOf(gatewayClass, 'spec', 'controllerName')] ?? 'unknown'
  }

  #allows(listener: unknown, gateway: KubernetesObject, route: KubernetesObject): boolean {
    if (OPAQUE.has(textOf(listener, 'protocol'))) return false
    const allowed = fieldOf(listener, 'allowedRoutes')
    const kinds = listOf(allowed, 'kinds').map((kind) => textOf(kind, 'kind'))
    if (kinds.length > 0 && !kinds.includes(route.kind)) return false
    const namespace = namespaceOf(route)
    switch (textOf(allowed, 'namespaces', 'from')) {
      case 'All':
        return true
      case 'None':
        return false
      case 'Selector': {
        const known = this.#objects.get('', 'Namespace', '', namespace)
        const labels = known === undefined ? undefined : stringsOf(known.metadata.labels)
        // Every namespace has this label, known or not.
        const named = new Map([...(labels ?? []), ['kubernetes.io/metadata.name', namespace]])
        return isSelected(fieldOf(allowed, 'namespaces', 'selector'), named, labels === undefined)
      }
      default:
        return namespace === namespaceOf(gateway)
    }
  }
}

const normalised = (host: string): string => (host === '*' ? '' : host.toLowerCase())

/** Of Gateways that are not known, routes compete where they name the same one, and the same listener. */
function unknownEntry(gateway: string, section: string, own: readonly string[]): RouteEntry {
  const hosts = own.length === 0 ? [''] : own
  const group = gateway === '' ? '' : `${gateway}#${section}`
  return { gateway, group, port: 0, controller: 'unknown', hosts }
}

/** A route's hosts cut down to a listener's; the listener's where the route names none. */
function hostsWithin(own: readonly string[], listener: string): string[] {
  if (own.length === 0) return [listener]
  if (listener === '') return [...own]
  const hosts = new Set<string>()
  for (const host of own) {
    if (host === listener || host === '' || covers(host, listener)) hosts.add(listener)
    else if (covers(listener, host)) hosts.add(host)
  }
  return [...hosts]
}

/** Whether the wildcard `wide` has every host of `narrow` in it. */
function covers(wide: string, narrow: string): boolean {
  return wide.startsWith('*.') && narrow.length > wide.length - 1 && narrow.endsWith(wide.slice(1))
}

/** Listeners of one port share their virtual hosts. */
function merged(entries: readonly RouteEntry[]): RouteEntry[] {
  const byGroup = new Map<string, RouteEntry>()
  for (const entry of entries) {
    const known = byGroup.get(entry.group)
    const hosts = known === undefined ? entry.hosts : [...new Set([...known.hosts, ...entry.hosts])]
    byGroup.set(entry.group, { ...entry, hosts })
  }
  return [...byGroup.values()]
}
