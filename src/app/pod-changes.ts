import { hash } from 'node:crypto'
import { fieldOf, type KubernetesObject, namespaceOf } from '../identity/kubernetes-object.ts'

/** A pod's object changes with each probe; what the catalogue reads of it hardly ever does. */
export class PodChanges {
  /** By `NAMESPACE/NAME`; as many as pods are watched. */
  readonly #signs = new Map<string, string>()

  /** Whether a change is one for the catalogue. */
  matters(type: 'added' | 'modified' | 'deleted', pod: KubernetesObject): boolean {
    const key = `${namespaceOf(pod)}/${pod.metadata.name}`
    if (type === 'deleted') return this.#signs.delete(key)
    const sign = signOf(pod)
    if (this.#signs.get(key) === sign) return false
    this.#signs.set(key, sign)
    return true
  }

  /** The whole list of pods, which takes the place of what was known. */
  replaced(pods: readonly KubernetesObject[]): void {
    this.#signs.clear()
    for (const pod of pods) this.matters('added', pod)
  }
}

function signOf(pod: KubernetesObject): string {
  const phase = fieldOf(pod, 'status', 'phase')
  const read = [
    pod.metadata.labels,
    fieldOf(pod, 'status', 'podIP'),
    fieldOf(pod, 'status', 'podIPs'),
    fieldOf(pod, 'spec', 'hostNetwork'),
    phase === 'Succeeded' || phase === 'Failed',
  ]
  return hash('sha1', JSON.stringify(read), 'base64').slice(0, 16)
}
