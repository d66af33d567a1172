import { type KubernetesObject, nameKeyOf } from './kubernetes-object.ts'

/** One difference between what was known and what the cluster has. For `deleted` the last known state. */
export interface ObjectChange {
  readonly type: 'added' | 'modified' | 'deleted'
  readonly object: KubernetesObject
}

/**
 * The objects of one resource as they were last seen. Holds at most `objectsMax`; those beyond are
 * left out (`leftOut` counts them since the last whole list).
 */
export class ObjectCache {
  leftOut = 0
  #byName: Map<string, KubernetesObject> = new Map()
  readonly #objectsMax: number

  constructor(objectsMax: number) {
    this.#objectsMax = objectsMax
  }

  get size(): number {
    return this.#byName.size
  }

  values(): Iterable<KubernetesObject> {
    return this.#byName.values()
  }

  /** Takes one object of a watch; says what changed by it, if anything. */
  put(object: KubernetesObject): ObjectChange[] {
    const key = nameKeyOf(object)
    const known = this.#byName.get(key)
    if (known === undefined && this.#byName.size >= this.#objectsMax) {
      this.leftOut++
      return []
    }
    this.#byName.set(key, object)
    return changesOf(known, object)
  }

  remove(object: KubernetesObject): ObjectChange[] {
    const known = this.#byName.get(nameKeyOf(object))
    this.#byName.delete(nameKeyOf(object))
    return changesOf(known, undefined)
  }

  /**
   * Takes a whole list in place of all that was known, and says what is different: deletions first,
   * as what was deleted may have made room for a name, an address or a path of something new.
   */
  replace(objects: readonly KubernetesObject[]): ObjectChange[] {
    const before = this.#byName
    const kept = objects.slice(0, this.#objectsMax)
    this.leftOut = objects.length - kept.length
    this.#byName = new Map(kept.map((object) => [nameKeyOf(object), object]))
    const changes: ObjectChange[] = []
    for (const [key, object] of before) {
      if (!this.#byName.has(key)) changes.push({ type: 'deleted', object })
    }
    for (const [key, object] of this.#byName) changes.push(...changesOf(before.get(key), object))
    return changes
  }
}

/** The same name with another uid is another object: the old one was deleted in between. */
function changesOf(
  before: KubernetesObject | undefined,
  after: KubernetesObject | undefined,
): ObjectChange[] {
  if (after === undefined) return before === undefined ? [] : [{ type: 'deleted', object: before }]
  if (before === undefined) return [{ type: 'added', object: after }]
  if (before.metadata.uid !== after.metadata.uid) {
    return [
      { type: 'deleted', object: before },
      { type: 'added', object: after },
    ]
  }
  const isSame = before.metadata.resourceVersion === after.metadata.resourceVersion
  return isSame && after.metadata.resourceVersion !== undefined
    ? []
    : [{ type: 'modified', object: after }]
}
