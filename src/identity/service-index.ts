import type { Endpoint } from '../model/endpoint.ts'
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

const STEP = 200

/** Services, their addresses and ports, as Services and EndpointSlices tell them. Keys are `NAMESPACE/NAME`. */
export class ServiceIndex {
  readonly #services = new Map<string, KubernetesObject>()
  readonly #byClusterIp = new Map<string, string>()
  readonly #byEndpointIp = new Map<string, Set<string>>()
  readonly #byPodIp = new Map<string, Set<string>>()
  readonly #byPod = new Map<string, Set<string>>()
  readonly #addresses = new Map<string, Set<string>>()
  /** By Service and by the name of one of its ports: the numbers that the pods listen on. */
  readonly #podPorts = new Map<string, Map<string, Set<number>>>()
  readonly #selecting = new WeakMap<Endpoint, readonly string[]>()
  readonly #selectors = new Map<string, { key: string; labels: readonly string[] }[]>()

  get(namespace: string, name: string): KubernetesObject | undefined {
    return this.#services.get(`${namespace}/${name}`)
  }

  /** Takes up all Services and EndpointSlices, and rests now and then. Once, before it is used. */
  *fill(objects: ObjectIndex): Generator<void> {
    let count = 0
    for (const service of objects.all('', 'Service')) {
      this.#addService(service)
      if (++count % STEP === 0) yield
    }
    for (const slice of objects.all('discovery.k8s.io', 'EndpointSlice')) {
      this.#addSlice(slice)
      if (++count % STEP === 0) yield
    }
    for (const pod of objects.all('', 'Pod')) {
      this.#addPod(pod)
      if (++count % STEP === 0) yield
    }
  }

  keys(): Iterable<string> {
    return this.#services.keys()
  }

  addresses(namespace: string, name: string): readonly string[] {
    return [...(this.#addresses.get(`${namespace}/${name}`) ?? [])]
  }

  /** The Service that `ip` is the own address of (ClusterIP, external, load balancer). */
  ofClusterIp(ip: string): string | undefined {
    return this.#byClusterIp.get(ip)
  }

  ofEndpointIp(ip: string): readonly string[] {
    return [...(this.#byEndpointIp.get(ip) ?? [])]
  }

  /** Services that select the pod of that address, where no EndpointSlice speaks for it. */
  ofPodIp(ip: string): readonly string[] {
    return [...(this.#byPodIp.get(ip) ?? [])]
  }

  ofPod(namespace: string, pod: string): readonly string[] {
    return [...(this.#byPod.get(`${namespace}/${pod}`) ?? [])]
  }

  /** Services whose selector the labels of a workload satisfy; remembered, as many flows have the same ends. */
  selecting(endpoint: Endpoint): readonly string[] {
    const known = this.#selecting.get(endpoint)
    if (known !== undefined) return known
    const labels = new Set(endpoint.labels)
    const found = (this.#selectors.get(endpoint.namespace) ?? [])
      .filter((selector) => selector.labels.every((label) => labels.has(label)))
      .map(({ key }) => key)
    this.#selecting.set(endpoint, found)
    return found
  }

  /**
   * Port numbers that a flow to `port` of the Service may show: its own, and the pods' behind it.
   * null: any, as the Service or the number of its target is not known.
   */
  flowPorts(namespace: string, name: string, port: number): ReadonlySet<number> | null {
    const key = `${namespace}/${name}`
    const service = this.#services.get(key)
    if (service === undefined || port === 0) return null
    const declared = listOf(service, 'spec', 'ports').find(
      (candidate) => portOf(fieldOf(candidate, 'port')) === port,
    )
    if (declared === undefined) return null
    const podPorts = this.#podPorts.get(key)?.get(textOf(declared, 'name'))
    if (podPorts !== undefined) return new Set([port, ...podPorts])
    const target = fieldOf(declared, 'targetPort')
    if (target === undefined) return new Set([port])
    return portOf(target) === 0 ? null : new Set([port, portOf(target)])
  }

  #addService(service: KubernetesObject): void {
    const namespace = namespaceOf(service)
    const key = `${namespace}/${service.metadata.name}`
    this.#services.set(key, service)
    const own = [
      fieldOf(service, 'spec', 'clusterIP'),
      ...listOf(service, 'spec', 'clusterIPs'),
      ...listOf(service, 'spec', 'externalIPs'),
      ...listOf(service, 'status', 'loadBalancer', 'ingress').map((entry) => fieldOf(entry, 'ip')),
    ]
    for (const ip of own) {
      if (typeof ip === 'string' && ip !== '' && ip !== 'None') this.#byClusterIp.set(ip, key)
    }
    const labels = [...stringsOf(fieldOf(service, 'spec', 'selector'))]
    if (labels.length === 0) return
    const selectors = this.#selectors.get(namespace) ?? []
    selectors.push({ key, labels: labels.map(([name, value]) => `k8s:${name}=${value}`) })
    this.#selectors.set(namespace, selectors)
  }

  /** A pod of the host's network has its node's address, and one that has ended another's by now. */
  #addPod(pod: KubernetesObject): void {
    const phase = textOf(pod, 'status', 'phase')
    if (fieldOf(pod, 'spec', 'hostNetwork') === true) return
    if (phase === 'Succeeded' || phase === 'Failed') return
    const labels = new Set(
      [...stringsOf(pod.metadata.labels)].map(([name, value]) => `k8s:${name}=${value}`),
    )
    const keys = (this.#selectors.get(namespaceOf(pod)) ?? [])
      .filter((selector) => selector.labels.every((label) => labels.has(label)))
      .map(({ key }) => key)
    const ips = [
      textOf(pod, 'status', 'podIP'),
      ...listOf(pod, 'status', 'podIPs').map((entry) => textOf(entry, 'ip')),
    ]
    for (const ip of ips) if (ip !== '') for (const key of keys) add(this.#byPodIp, ip, key)
  }

  #addSlice(slice: KubernetesObject): void {
    const namespace = namespaceOf(slice)
    const service = stringsOf(slice.metadata.labels).get('kubernetes.io/service-name')
    if (service === undefined) return
    const key = `${namespace}/${service}`
    for (const endpoint of listOf(slice, 'endpoints')) {
      const pod = textOf(endpoint, 'targetRef', 'name')
      if (pod !== '') add(this.#byPod, `${namespace}/${pod}`, key)
      for (const address of listOf(endpoint, 'addresses')) {
        if (typeof address !== 'string') continue
        add(this.#byEndpointIp, address, key)
        add(this.#addresses, key, address)
      }
    }
    const byName = this.#podPorts.get(key) ?? new Map<string, Set<number>>()
    this.#podPorts.set(key, byName)
    for (const port of listOf(slice, 'ports')) {
      const number = portOf(fieldOf(port, 'port'))
      if (number !== 0) add(byName, textOf(port, 'name'), number)
    }
  }
}

function add<K, V>(map: Map<K, Set<V>>, key: K, value: V): void {
  const known = map.get(key)
  if (known === undefined) map.set(key, new Set([value]))
  else known.add(value)
}
