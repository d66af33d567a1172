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

/** The first way that leads to a Service, or to a backend outside; the surest ones first. */
export function backendsAt(catalogue: Catalogue, at: Destination): Backends {
  const { services, backends } = catalogue
  if (at.service !== '') return { keys: [at.service], how: 'service', sure: true }
  if (at.ip !== '') {
    const own = services.ofClusterIp(at.ip)
    if (own !== undefined) return { keys: [own], how: 'service-ip', sure: true }
    const behind = services.ofEndpointIp(at.ip)
    if (behind.length > 0) return { keys: behind, how: 'endpoint-ip', sure: true }
    const outside = `host:${at.ip}`
    if (backends.has(outside)) return { keys: [outside], how: 'ip', sure: true }
  }
  const ofPod = at.endpoint === null ? NONE : podBackends(catalogue, at.endpoint, at.host)
  if (ofPod.sure) return ofPod
  const keys = at.names.map(keyOfHost).filter((key) => backends.has(key))
  if (keys.length > 0) return { keys, how: 'dns-name', sure: true }
  if (ofPod.keys.length > 0) return ofPod
  // Somebody says that it is this host: enough to look, not enough to be sure.
  const said = keyOfHost(at.host)
  const known = at.endpoint === null || at.endpoint.namespace === ''
  return known && backends.has(said) ? { keys: [said], how: 'host', sure: false } : NONE
}

function podBackends(catalogue: Catalogue, endpoint: Endpoint, host: string): Backends {
  const { services, backends } = catalogue
  const { namespace, pod, workload, labels } = endpoint
  if (namespace === '') return NONE
  const ofPod = pod === '' ? [] : services.ofPod(namespace, pod)
  if (ofPod.length > 0) return { keys: ofPod, how: 'pod', sure: true }
  const selecting = services.selecting(namespace, labels)
  if (selecting.length > 0) return { keys: selecting, how: 'selector', sure: true }
  const names = [workload, pod.replace(/-[a-z0-9]+-[a-z0-9]{5}$/, ''), pod.replace(/-\w+$/, '')]
  for (const label of labels) {
    for (const start of NAME_LABELS)
      if (label.startsWith(start)) names.push(label.slice(start.length))
  }
  const keys = new Set<string>()
  for (const name of names) {
    const key = `${namespace}/${name}`
    if (name !== '' && backends.has(key)) keys.add(key)
  }
  if (keys.size === 0) return NONE
  // A client that calls the pod by that Service's name says the same thing a second time.
  const said = addressOfHost(host, namespace)
  const key = `${said.namespace}/${said.service}`
  if (keys.has(key)) return { keys: [key], how: 'workload+host', sure: true }
  return { keys: [...keys], how: 'workload', sure: false }
}
