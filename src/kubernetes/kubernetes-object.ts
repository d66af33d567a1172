/** Any object of the Kubernetes API, as it came: only that it has a kind and a name is certain. */
export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly uid?: string
    readonly resourceVersion?: string
    readonly labels?: unknown
    readonly annotations?: unknown
    readonly [field: string]: unknown
  }
  readonly [field: string]: unknown
}

type Fields = Readonly<Record<string, unknown>>

/** kubectl keeps a copy of the whole object here. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration'

/**
 * What is kept of an object: all but `managedFields` and kubectl's copy; of a pod only who it is,
 * where it runs and who owns it. Undefined for what is no object. `type`: for elements of a list,
 * which leave out what the list says for all of them.
 */
export function keptObject(
  value: unknown,
  type: { readonly apiVersion: string; readonly kind: string },
): KubernetesObject | undefined {
  const { apiVersion = type.apiVersion, kind = type.kind, ...rest } = fieldsOf(value)
  const { managedFields: _, ...metadata } = fieldsOf(rest['metadata'])
  const { name } = metadata
  if (typeof name !== 'string' || typeof apiVersion !== 'string' || typeof kind !== 'string') {
    return undefined
  }
  if (kind === 'Pod' && apiVersion === 'v1') return keptPod(rest, { ...metadata, name })
  const annotations = fieldsOf(metadata['annotations'])
  if (Object.hasOwn(annotations, LAST_APPLIED)) {
    const { [LAST_APPLIED]: _copy, ...others } = annotations
    return { apiVersion, kind, ...rest, metadata: { ...metadata, name, annotations: others } }
  }
  return { apiVersion, kind, ...rest, metadata: { ...metadata, name } }
}

function keptPod(pod: Fields, metadata: KubernetesObject['metadata']): KubernetesObject {
  const spec = fieldsOf(pod['spec'])
  const status = fieldsOf(pod['status'])
  const { name, namespace, uid, resourceVersion, labels, ownerReferences } = metadata
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      labels,
      ownerReferences,
      ...(namespace === undefined ? {} : { namespace }),
      ...(uid === undefined ? {} : { uid }),
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    },
    // A pod of the host's network has its node's address, and one that has ended keeps its own.
    spec: { nodeName: spec['nodeName'], hostNetwork: spec['hostNetwork'] },
    status: { phase: status['phase'], podIP: status['podIP'], podIPs: status['podIPs'] },
  }
}

/** `NAMESPACE/NAME`; `/NAME` for what belongs to no namespace. */
export function nameKeyOf({ metadata }: KubernetesObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`
}

/** The fields of an object; none of anything else. */
export function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : {}
}

/** The text under `name`, or ''. */
export function textAt(value: unknown, name: string): string {
  const text = fieldsOf(value)[name]
  return typeof text === 'string' ? text : ''
}
