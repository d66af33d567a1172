/** A workload's end of a flow, as Hubble describes it; without address and port, which belong to the flow. */
export interface EndpointFields {
  /** Cilium's numeric security identity; 0 when absent. */
  readonly identity: number
  readonly cluster: string
  readonly namespace: string
  readonly pod: string
  /** Controller that owns the pod, such as a Deployment's name; '' when it is not known. */
  readonly workload: string
  readonly workloadKind: string
  /** `k8s:app=x`, `reserved:world` …, as Hubble writes them. */
  readonly labels: readonly string[]
  /** Name of the reserved identity (`world`, `host`, `ingress` …); '' for workloads. */
  readonly reserved: string
}

/**
 * One interned endpoint, shared by all rooms. A room that derives something from it keeps a side
 * table of its own by `id`, and clears the entry in `onEvict`; `id` is dense and is used again after
 * an eviction, `generation` tells the uses apart. A record may keep the object: it never changes.
 */
export interface Endpoint extends EndpointFields {
  readonly id: number
  readonly generation: number
}

export const NO_FIELDS: EndpointFields = {
  identity: 0,
  cluster: '',
  namespace: '',
  pod: '',
  workload: '',
  workloadKind: '',
  labels: [],
  reserved: '',
}

/**
 * Interns endpoints process-wide. Holds at most `endpointsMax`; beyond it the one that was interned
 * first leaves (`evicted` counts), which costs the rooms no more than a new entry in their tables.
 */
export class EndpointTable {
  /** The end of a flow of which nothing is known. Always id 0, never evicted. */
  readonly none: Endpoint
  evicted = 0
  readonly #byKey = new Map<string, Endpoint>()
  readonly #free: number[] = []
  readonly #generations: number[] = []
  readonly #listeners: ((endpoint: Endpoint) => void)[] = []
  readonly #endpointsMax: number

  constructor(endpointsMax = 65_536) {
    this.#endpointsMax = endpointsMax
    this.none = { ...NO_FIELDS, id: 0, generation: 0 }
    this.#generations.push(0)
    this.#byKey.set(keyOf(NO_FIELDS), this.none)
  }

  get size(): number {
    return this.#byKey.size
  }

  intern(fields: EndpointFields): Endpoint {
    const key = keyOf(fields)
    const known = this.#byKey.get(key)
    if (known !== undefined) return known
    if (this.#byKey.size >= this.#endpointsMax) this.#evictOldest()
    const id = this.#free.pop() ?? this.#generations.push(-1) - 1
    const generation = (this.#generations[id] ?? -1) + 1
    this.#generations[id] = generation
    const endpoint: Endpoint = { ...fields, id, generation }
    this.#byKey.set(key, endpoint)
    return endpoint
  }

  /** Calls `listener` with each endpoint that leaves, before its id is used again. */
  onEvict(listener: (endpoint: Endpoint) => void): void {
    this.#listeners.push(listener)
  }

  #evictOldest(): void {
    for (const [key, endpoint] of this.#byKey) {
      if (endpoint === this.none) continue
      this.#byKey.delete(key)
      this.#free.push(endpoint.id)
      this.evicted++
      for (const listener of this.#listeners) listener(endpoint)
      return
    }
  }
}

/** Labels follow from the identity, but for reserved and local ones, so they are compared only there. */
function keyOf(e: EndpointFields): string {
  const named = `${e.cluster}\n${e.namespace}\n${e.pod}\n${e.workload}\n${e.workloadKind}\n${e.identity}`
  return e.pod === '' || e.identity === 0 ? `${named}\n${e.labels.join('\n')}` : named
}

/** `NAMESPACE/WORKLOAD`, else what the endpoint is instead of a workload; '' when nothing is known. */
export function workloadOf(e: EndpointFields): string {
  if (e.workload !== '') return `${e.namespace}/${e.workload}`
  if (e.pod !== '') return `${e.namespace}/${e.pod}`
  return e.reserved === '' ? e.namespace : `reserved:${e.reserved}`
}
