import type { Api } from '../model/api.ts'
import type { Gateways } from './gateways.ts'
import { stringsOf } from './kubernetes-object.ts'
import type { ServiceIndex } from './service-index.ts'

const NAMES = ['weir.dev/api', 'app.kubernetes.io/name']
const VERSIONS = ['weir.dev/version', 'app.kubernetes.io/version']

/**
 * What Services are called by their labels, by `NAMESPACE/NAME`: the last resort where nobody declares
 * an API. A gateway's own Service is none. Services with equal labels in one namespace are one API.
 */
export function labelledApis(services: ServiceIndex, gateways: Gateways): ReadonlyMap<string, Api> {
  const byService = new Map<string, Api>()
  const byId = new Map<string, Api>()
  for (const key of services.keys()) {
    if (gateways.isService(key)) continue
    const [namespace = '', service = ''] = key.split('/')
    const labels = stringsOf(services.get(namespace, service)?.metadata.labels)
    const first = (names: readonly string[]): string =>
      names.map((name) => labels.get(name) ?? '').find((value) => value !== '') ?? ''
    const name = first(NAMES)
    if (name === '') continue
    const version = first(VERSIONS)
    const id = `${namespace}/${name}/${version}`
    const api = byId.get(id) ?? {
      name,
      version,
      context: '',
      type: '',
      organization: '',
      environment: '',
      namespace,
      id: key,
    }
    byId.set(id, api)
    byService.set(key, api)
  }
  return byService
}
