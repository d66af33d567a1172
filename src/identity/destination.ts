import type { Endpoint } from '../model/endpoint.ts'
import { addressOfHost, keyOfHost } from './backend-refs.ts'
import type { Catalogue } from './catalogue.ts'

/** Where a request went, as far as the flow tells. */
export interface Destination {
  /** `NAMESPACE/NAME`; ''. */
  readonly service: string
  readonly ip: string
  readonly port: number
  /** Names that the DNS proxy learnt for the address. */
  readonly names: readonly string[]
  readonly endpoint: Endpoint | null
  /** Normalised; evidence only, as the client wrote it. */
  readonly host: string
}

/** The backends that a destination is, by the keys of the backend index. */
export interface Backends {
  readonly keys: readonly string[]
  /** Short name of the way in which they were found. */
  readonly how: string
  /** Found by what the cluster says, not by a likeness of names. */
  readonly sure: boolean
}

const NONE: Backends = { keys: [], how: 'none', sure: false }
/** Labels that often name a workload after its Service. */
const NAME_LABELS = ['k8s:app=', 'k8s:app.kubernetes.io/name=']

/**
 * The surest way that leads to the backend of an API; where none does, the surest at all. A pod may
 * stand behind several Services, and only one of them may be an API's.
 */
export function backendsAt(catalogue: Catalogue, at: Destination): Backends {
  let first = NONE
  for (const way of WAYS) {
    const found = way(catalogue, at)
    if (found.keys.some((key) => isBackend(catalogue, key))) return found
    if (first === NONE && found.keys.length > 0) first = found
  }
  return first
}

const isBackend = ({ backends, documented }: Catalogue, key: string): boolean =>
  backends.has(key) || documented.has(key)

type Way = (catalogue: Catalogue, at: Destination) => Backends

const byService: Way = (_, { service }) =>
  service === '' ? NONE : { keys: [service], how: 'service', sure: true }

const byAddress: Way = ({ services, backends }, { ip }) => {
  if (ip === '') return NONE
  const own = services.ofClusterIp(ip)
  if (own !== undefined) return { keys: [own], how: 'service-ip', sure: true }
  const behind = services.ofEndpointIp(ip)
  if (behind.length > 0) return { keys: behind, how: 'endpoint-ip', sure: true }
  const selecting = services.ofPodIp(ip)
  if (selecting.length > 0) return { keys: selecting, how: 'pod-ip', sure: true }
  const outside = `host:${ip}`
  return backends.has(outside) ? { keys: [outside], how: 'ip', sure: true } : NONE
}

const byPod: Way = ({ services }, { endpoint }) => {
  if (endpoint === null || endpoint.namespace === '') return NONE
  const { namespace, pod } = endpoint
  const ofPod = pod === '' ? [] : services.ofPod(namespace, pod)
  if (ofPod.length > 0) return { keys: ofPod, how: 'pod', sure: true }
  const selecting = services.selecting(endpoint)
  return selecting.length > 0 ? { keys: selecting, how: 'selector', sure: true } : NONE
}

const byLearntName: Way = ({ backends }, { names }) => {
  const keys = names.map(keyOfHost).filter((key) => backends.has(key))
  return keys.length > 0 ? { keys, how: 'dns-name', sure: true } : NONE
}

/** The workload is called like a Service: likely, until the client says the same with its Host header. */
const byLikeness: Way = ({ backends }, { endpoint, host }) => {
  if (endpoint === null || endpoint.namespace === '') return NONE
  const { namespace, pod, workload, labels } = endpoint
  const names = [workload, pod.replace(/-[a-z0-9]+-[a-z0-9]{5}$/, ''), pod.replace(/-\w+$/, '')]
  for (const label of labels) {
    for (const start of NAME_LABELS) {
      if (label.startsWith(start)) names.push(label.slice(start.length))
    }
  }
  const keys = new Set<string>()
  for (const name of names) {
    const key = `${namespace}/${name}`
    if (name !== '' && backends.has(key)) keys.add(key)
  }
  const said = addressOfHost(host, namespace)
  const key = `${said.namespace}/${said.service}`
  if (keys.has(key)) return { keys: [key], how: 'workload+host', sure: true }
  // Such as `reviews-v3`, called `reviews`: a pod of that Service, or of one that is called alike.
  const alike = said.service !== '' && names.some((name) => name.startsWith(`${said.service}-`))
  if (keys.size === 0 && alike && said.namespace === namespace && backends.has(key)) {
    return { keys: [key], how: 'workload+host', sure: false }
  }
  return keys.size === 0 ? NONE : { keys: [...keys], how: 'workload', sure: false }
}

/** Somebody says that it is this host: enough to look, not enough to be sure. */
const byHost: Way = ({ backends }, { endpoint, service, host }) => {
  const known = service !== '' || (endpoint !== null && endpoint.namespace !== '')
  const key = keyOfHost(host)
  return !known && backends.has(key) ? { keys: [key], how: 'host', sure: false } : NONE
}

/** The surest first. */
const WAYS: readonly Way[] = [byService, byAddress, byPod, byLearntName, byLikeness, byHost]
