import { DP_GROUP } from './backend-refs.ts'
import {
  type KubernetesObject,
  namespaceOf,
  type ObjectIndex,
  stringsOf,
} from './kubernetes-object.ts'

const UUID = 'kgw.wso2.com/uuid'
const NAME = 'kgw.wso2.com/name'
const VERSION = 'kgw.wso2.com/version'
const ORGANIZATION = 'kgw.wso2.com/organization'

/** Finds the RouteMetadata of routes that cannot refer to one: both carry the labels of their API. */
export class MetadataIndex {
  readonly #byKey = new Map<string, KubernetesObject | null>()

  constructor(objects: ObjectIndex) {
    for (const metadata of objects.all(DP_GROUP, 'RouteMetadata')) {
      for (const key of keysOf(metadata)) {
        // Two that are labelled alike are told by neither.
        this.#byKey.set(key, this.#byKey.has(key) ? null : metadata)
      }
    }
  }

  ofLabels(route: KubernetesObject): KubernetesObject | undefined {
    for (const key of keysOf(route)) {
      const found = this.#byKey.get(key)
      if (found !== undefined && found !== null) return found
    }
    return undefined
  }
}

/** The surest first. */
function keysOf(object: KubernetesObject): string[] {
  const labels = stringsOf(object.metadata.labels)
  const namespace = namespaceOf(object)
  const keys: string[] = []
  const uuid = labels.get(UUID)
  if (uuid !== undefined) keys.push(`${namespace}/uuid/${uuid}`)
  const name = labels.get(NAME)
  const version = labels.get(VERSION)
  if (name !== undefined && version !== undefined) {
    keys.push(`${namespace}/name/${name}/${version}/${labels.get(ORGANIZATION) ?? ''}`)
  }
  return keys
}
