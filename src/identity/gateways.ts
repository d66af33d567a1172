import type { Endpoint } from '../model/endpoint.ts'
import { GATEWAY_GROUP } from './http-route.ts'
import { fieldOf, listOf, type ObjectIndex, stringsOf, textOf } from './kubernetes-object.ts'
import type { ServiceIndex } from './service-index.ts'

/**
 * What makes a pod or a Service an API gateway's: all labels of one line, `key=value`, or `key` for
 * any value. APK's router by its chart and by its own controller, with the enforcer split off
 * (`app=gateway`), Envoy Gateway, and whoever labels as the Gateway API says. Cilium's own gateway
 * has no pods; its identity `ingress` tells.
 */
const SELECTORS: readonly (readonly string[])[] = [
  ['app.kubernetes.io/app=gateway'],
  ['app.kubernetes.io/managed-by=apk-gateway', 'app.kubernetes.io/component=proxy'],
  ['app=gateway'],
  ['app.kubernetes.io/managed-by=envoy-gateway', 'app.kubernetes.io/component=proxy'],
  ['gateway.networking.k8s.io/gateway-name'],
]
const GATEWAY_IDENTITY = 'ingress'
/** Labels with the name of the Gateway that a pod serves, and with its namespace where that may be another. */
const NAME_LABELS = [
  ['gateway.envoyproxy.io/owning-gateway-name', 'gateway.envoyproxy.io/owning-gateway-namespace'],
  ['gateway.networking.k8s.io/gateway-name', ''],
] as const
const CILIUM_GATEWAY_LABEL = 'io.cilium.gateway/owning-gateway'

/** Which pods and Services are API gateways. */
export class Gateways {
  readonly #services = new Set<string>()
  readonly #addresses = new Set<string>()
  readonly #byEndpoint = new WeakMap<Endpoint, boolean>()
  readonly #names = new WeakMap<Endpoint, string>()

  constructor(objects: ObjectIndex, services: ServiceIndex) {
    for (const gateway of objects.all(GATEWAY_GROUP, 'Gateway')) {
      for (const address of listOf(gateway, 'status', 'addresses')) {
        this.#addresses.add(textOf(address, 'value'))
      }
    }
    this.#addresses.delete('')
    for (const key of services.keys()) {
      const [namespace = '', name = ''] = key.split('/')
      const service = services.get(namespace, name)
      const labels = stringsOf(service?.metadata.labels)
      const selector = stringsOf(fieldOf(service, 'spec', 'selector'))
      if (isSelected(selector) || isSelected(labels) || labels.has(CILIUM_GATEWAY_LABEL)) {
        this.#services.add(key)
      }
    }
  }

  /** `service`: NAMESPACE/NAME. */
  isService(service: string): boolean {
    return this.#services.has(service)
  }

  isAddress(ip: string): boolean {
    return this.#addresses.has(ip)
  }

  isEndpoint(endpoint: Endpoint): boolean {
    const known = this.#byEndpoint.get(endpoint)
    if (known !== undefined) return known
    const is = endpoint.reserved === GATEWAY_IDENTITY || isSelected(labelsOf(endpoint))
    this.#byEndpoint.set(endpoint, is)
    return is
  }
  /** `NAMESPACE/NAME` of the Gateway that a pod serves, as its labels tell; ''. */
  nameOf(endpoint: Endpoint): string {
    const known = this.#names.get(endpoint)
    if (known !== undefined) return known
    const labels = labelsOf(endpoint)
    let found = ''
    for (const [name, namespace] of NAME_LABELS) {
      const own = labels.get(name)
      if (own === undefined || found !== '') continue
      found = `${labels.get(namespace) ?? endpoint.namespace}/${own}`
    }
    this.#names.set(endpoint, found)
    return found
  }
}

function isSelected(labels: ReadonlyMap<string, string>): boolean {
  return SELECTORS.some((selector) =>
    selector.every((term) => {
      const equals = term.indexOf('=')
      if (equals < 0) return labels.has(term)
      return labels.get(term.slice(0, equals)) === term.slice(equals + 1)
    }),
  )
}

/** Hubble puts the source of a label before it: `k8s:app=gateway`. */
function labelsOf(endpoint: Endpoint): ReadonlyMap<string, string> {
  const labels = new Map<string, string>()
  for (const label of endpoint.labels) {
    const colon = label.startsWith('k8s:') ? 4 : 0
    const equals = label.indexOf('=')
    if (equals > colon) labels.set(label.slice(colon, equals), label.slice(equals + 1))
  }
  return labels
}
