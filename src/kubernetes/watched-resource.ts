/** A kind of object that is watched, in the words of the Kubernetes API. */
export interface WatchedResource {
  /** '' for the core group. */
  readonly group: string
  /** Versions that our readers know, the one to prefer first; absent: any that is served, newest first. */
  readonly versions?: readonly string[]
  readonly plural: string
  /** Of one namespace only; absent: of all. */
  readonly namespace?: string
  readonly labelSelector?: string
  readonly fieldSelector?: string
  /** The first synchronisation does not wait for it where it is missing or forbidden. */
  readonly optional: boolean
}

/** A resource as the server has it. */
export interface ServedResource {
  readonly apiVersion: string
  readonly kind: string
  readonly namespaced: boolean
}

/** `httproutes.gateway.networking.k8s.io`, `services`: how a resource is called in health, logs and messages. */
export function resourceKeyOf({ group, plural }: WatchedResource): string {
  return group === '' ? plural : `${plural}.${group}`
}

/** Path of the collection, without a query. */
export function pathOfResource(
  { plural, namespace }: Pick<WatchedResource, 'plural' | 'namespace'>,
  { apiVersion, namespaced }: Pick<ServedResource, 'apiVersion' | 'namespaced'>,
): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
  const within =
    namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : ''
  return `${root}${within}/${plural}`
}

/** What RBAC must allow, in the words of a rule: an operator's next step. */
export function missingRuleOf(
  verb: string,
  { group, plural, namespace }: Pick<WatchedResource, 'group' | 'plural' | 'namespace'>,
): string {
  const where = namespace === undefined ? 'in all namespaces' : `in namespace "${namespace}"`
  return `RBAC must allow verb "${verb}" on resource "${plural}" of apiGroup "${group}" ${where}`
}

const VERSION = /^v(\d+)(?:(alpha|beta)(\d+))?$/
const STABILITY = { alpha: 0, beta: 1, stable: 2 } as const

/**
 * Order of versions as Kubernetes itself has it, the newest first: stable before beta before alpha,
 * higher numbers first, what does not look like a version last, by its name.
 * Source: kubernetes.io, "CustomResourceDefinition versioning", version priority.
 */
export function compareVersions(a: string, b: string): number {
  const [x, y] = [rankOf(a), rankOf(b)]
  if (x === undefined || y === undefined) {
    if (x !== undefined) return -1
    if (y !== undefined) return 1
    return a < b ? -1 : Number(a > b)
  }
  return y.stability - x.stability || y.major - x.major || y.minor - x.minor
}

function rankOf(version: string): { stability: number; major: number; minor: number } | undefined {
  const [whole, major, word, minor] = VERSION.exec(version) ?? []
  if (whole === undefined) return undefined
  const stability = STABILITY[word === 'alpha' || word === 'beta' ? word : 'stable']
  return { stability, major: Number(major), minor: Number(minor ?? 0) }
}
