/** Any object of the Kubernetes API, as read: only that it has a kind and a name is certain. */
export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: unknown
    readonly annotations?: unknown
    readonly [field: string]: unknown
  }
  readonly [field: string]: unknown
}

/** Where kubectl puts an object that names no namespace. */
const DEFAULT_NAMESPACE = 'default'
const CLUSTER_SCOPED = new Set(['Namespace', 'GatewayClass', 'CiliumClusterwideEnvoyConfig'])

export function isKubernetesObject(value: unknown): value is KubernetesObject {
  const metadata = fieldOf(value, 'metadata')
  return (
    textOf(fieldOf(value, 'apiVersion')) !== '' &&
    typeof fieldOf(value, 'apiVersion') === 'string' &&
    typeof fieldOf(value, 'kind') === 'string' &&
    typeof fieldOf(metadata, 'name') === 'string'
  )
}

/** `dp.wso2.com` of `dp.wso2.com/v1alpha2`; '' for the core group. */
function groupOf(object: { readonly apiVersion: string }): string {
  const slash = object.apiVersion.indexOf('/')
  return slash < 0 ? '' : object.apiVersion.slice(0, slash)
}

/** '' for cluster-scoped kinds. */
export function namespaceOf(object: KubernetesObject): string {
  if (CLUSTER_SCOPED.has(object.kind)) return ''
  const { namespace } = object.metadata
  return typeof namespace === 'string' && namespace !== '' ? namespace : DEFAULT_NAMESPACE
}

/** What makes an object the same one for `kubectl apply`: the version is no part of it. */
export function keyOfObject(object: KubernetesObject): string {
  return `${groupOf(object)}/${object.kind}/${namespaceOf(object)}/${object.metadata.name}`
}

/** How an object is called in messages: `HTTPRoute shop/orders`. */
export function titleOf(object: KubernetesObject): string {
  const namespace = namespaceOf(object)
  return `${object.kind} ${namespace === '' ? '' : `${namespace}/`}${object.metadata.name}`
}

/** The value under `path`; undefined as soon as something on the way is no object or has no such field. */
export function fieldOf(value: unknown, ...path: readonly string[]): unknown {
  let at = value
  for (const name of path) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return undefined
    at = (at as Readonly<Record<string, unknown>>)[name]
  }
  return at
}

/** The list under `path`; empty where there is none. */
export function listOf(value: unknown, ...path: readonly string[]): readonly unknown[] {
  const list = fieldOf(value, ...path)
  return Array.isArray(list) ? list : []
}

/** The text under `path`; numbers as YAML reads them (`version: 2`) count, everything else is ''. */
export function textOf(value: unknown, ...path: readonly string[]): string {
  const text = fieldOf(value, ...path)
  if (typeof text === 'string') return text
  return typeof text === 'number' ? String(text) : ''
}

/** A port number; 0 where there is none. */
export function portOf(value: unknown): number {
  const port = typeof value === 'string' && /^\d{1,5}$/.test(value) ? Number(value) : value
  return typeof port === 'number' && Number.isInteger(port) && port > 0 && port < 65_536 ? port : 0
}

/** The strings of a map such as `labels`; other values are left out. */
export function stringsOf(value: unknown): ReadonlyMap<string, string> {
  const strings = new Map<string, string>()
  if (typeof value !== 'object' || value === null) return strings
  for (const [name, text] of Object.entries(value)) {
    if (typeof text === 'string') strings.set(name, text)
  }
  return strings
}

/** Objects by what they are; of several with one name the last counts, as with `kubectl apply`. */
export class ObjectIndex {
  readonly #byKind = new Map<string, Map<string, KubernetesObject>>()

  constructor(objects: Iterable<KubernetesObject> = []) {
    for (const object of objects) this.add(object)
  }

  add(object: KubernetesObject): void {
    const kind = `${groupOf(object)}/${object.kind}`
    const known = this.#byKind.get(kind)
    const key = `${namespaceOf(object)}/${object.metadata.name}`
    if (known === undefined) this.#byKind.set(kind, new Map([[key, object]]))
    else known.set(key, object)
  }

  get(group: string, kind: string, namespace: string, name: string): KubernetesObject | undefined {
    return this.#byKind.get(`${group}/${kind}`)?.get(`${namespace}/${name}`)
  }

  /** In the order in which they were first given. */
  all(group: string, kind: string): KubernetesObject[] {
    return [...(this.#byKind.get(`${group}/${kind}`)?.values() ?? [])]
  }

  /** Kinds as `GROUP/KIND`, with how many objects there are of each. */
  *kinds(): Iterable<readonly [kind: string, count: number]> {
    for (const [kind, objects] of this.#byKind) yield [kind, objects.size]
  }
}
