import { isIP } from 'node:net'
import type { ObjectRef } from './http-route.ts'
import { fieldOf, listOf, type ObjectIndex, portOf, textOf } from './kubernetes-object.ts'
import type { PathPattern } from './path-pattern.ts'
import type { RouteBackend } from './route.ts'

export const DP_GROUP = 'dp.wso2.com'
const ENVOY_GATEWAY_GROUP = 'gateway.envoyproxy.io'

/** One address behind a backend reference. `basePath` is put before the paths by APK's router. */
export interface BackendAddress extends Omit<RouteBackend, 'paths'> {
  readonly basePath: string
}

export function backendAt(
  { namespace, service, host, port, sentHost, mirror }: BackendAddress,
  paths: readonly PathPattern[],
): RouteBackend {
  return { namespace, service, host, port, sentHost, paths, mirror }
}

/** Where a reference leads: a Service, APK's Backend or Envoy Gateway's; the reason where it leads nowhere. */
export function addressesOf(ref: ObjectRef, objects: ObjectIndex): BackendAddress[] | string {
  const title = `${ref.kind} ${ref.namespace}/${ref.name}`
  if (ref.group === '' && ref.kind === 'Service') {
    const { namespace, name, port } = ref
    return [{ namespace, service: name, host: '', port, sentHost: '', mirror: false, basePath: '' }]
  }
  if (ref.kind !== 'Backend' || (ref.group !== DP_GROUP && ref.group !== ENVOY_GATEWAY_GROUP)) {
    return `${ref.group === '' ? '' : `${ref.group} `}${title} is no backend that Weir knows`
  }
  const backend = objects.get(ref.group, 'Backend', ref.namespace, ref.name)
  if (backend === undefined) return `${ref.group} ${title} is not there`
  if (ref.group === DP_GROUP) {
    const basePath = textOf(backend, 'spec', 'basePath')
    return listOf(backend, 'spec', 'services').map((service) => ({
      ...addressOfHost(textOf(service, 'host'), ref.namespace),
      port: portOf(fieldOf(service, 'port')),
      sentHost: textOf(service, 'host').toLowerCase().replace(/\.$/, ''),
      mirror: false,
      basePath,
    }))
  }
  return listOf(backend, 'spec', 'endpoints').map((endpoint) => {
    const name = fieldOf(endpoint, 'fqdn') ?? fieldOf(endpoint, 'ip')
    const host = textOf(name, 'hostname') || textOf(name, 'address')
    const port = portOf(fieldOf(name, 'port'))
    const at = addressOfHost(host, ref.namespace)
    return { ...at, port, sentHost: '', mirror: false, basePath: '' }
  })
}

/**
 * The Service that a cluster's DNS name means, seen from `namespace`: `orders`, `orders.shop`,
 * `orders.shop.svc.cluster.local`, and a pod's own name before these. A name of another form, or an
 * address, stays a host.
 */
export function addressOfHost(
  text: string,
  namespace: string,
): Pick<RouteBackend, 'namespace' | 'service' | 'host'> {
  const host = text.toLowerCase().replace(/\.$/, '')
  const labels = host.split('.')
  const [first = '', second = '', third = '', fourth = ''] = labels
  const outside = { namespace: '', service: '', host }
  if (host === '' || isIP(host) !== 0 || labels.includes('')) return outside
  if (labels.length === 1) return { namespace, service: first, host: '' }
  if (labels.length === 2 || third === 'svc') return { namespace: second, service: first, host: '' }
  if (fourth === 'svc') return { namespace: third, service: second, host: '' }
  return outside
}

/** The key of the backend index for a name or an address: a single label could be a Service of any namespace. */
export function keyOfHost(text: string): string {
  const { namespace, service, host } = addressOfHost(text, '')
  return namespace === '' ? `host:${host || service}` : `${namespace}/${service}`
}
