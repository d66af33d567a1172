import { GATEWAY_GROUP, type ObjectRef } from './http-route.ts'
import {
  type KubernetesObject,
  listOf,
  namespaceOf,
  type ObjectIndex,
  textOf,
} from './kubernetes-object.ts'

/** What ReferenceGrants permit: a route may refer to another namespace only where that one agrees. */
export class ReferenceGrants {
  /** By the namespace that grants. */
  readonly #byNamespace = new Map<string, KubernetesObject[]>()

  constructor(objects: ObjectIndex) {
    for (const grant of objects.all(GATEWAY_GROUP, 'ReferenceGrant')) {
      const namespace = namespaceOf(grant)
      const known = this.#byNamespace.get(namespace)
      if (known === undefined) this.#byNamespace.set(namespace, [grant])
      else known.push(grant)
    }
  }

  /** Source: Gateway API v1.6, ReferenceGrantSpec. */
  permits(route: KubernetesObject, ref: ObjectRef): boolean {
    const from = namespaceOf(route)
    if (ref.namespace === from) return true
    return (this.#byNamespace.get(ref.namespace) ?? []).some(
      (grant) =>
        listOf(grant, 'spec', 'from').some(
          (entry) =>
            textOf(entry, 'group') === GATEWAY_GROUP &&
            textOf(entry, 'kind') === route.kind &&
            textOf(entry, 'namespace') === from,
        ) &&
        listOf(grant, 'spec', 'to').some((entry) => {
          const name = textOf(entry, 'name')
          return (
            textOf(entry, 'group') === ref.group &&
            textOf(entry, 'kind') === ref.kind &&
            (name === '' || name === ref.name)
          )
        }),
    )
  }
}
