import type { ApiClient } from './api-client.ts'
import { ApiError } from './api-error.ts'
import { fieldsOf, type KubernetesObject, keptObject, textAt } from './kubernetes-object.ts'
import { ListSplitter } from './list-splitter.ts'
import type { ServedResource } from './watched-resource.ts'

/** client-go's own page: small enough for every server, few enough requests for large clusters. */
const PAGE_OBJECTS = 500
const OBJECT_BYTES_MAX = 16 * 1024 * 1024

export interface ListedObjects {
  readonly objects: readonly KubernetesObject[]
  /** Where a watch goes on. */
  readonly resourceVersion: string
  /** Objects beyond `objectsMax`, which were read and not kept. */
  readonly leftOut: number
}

/**
 * Reads all objects of a resource, page by page, as of one moment. `path` without a query.
 * Pages are taken apart while they come: no more than one object is parsed at a time.
 * @throws {ApiError} `expired` where the server has compacted that moment away in between.
 */
export async function listObjects(
  client: ApiClient,
  options: {
    readonly action: string
    readonly path: string
    readonly served: ServedResource
    readonly selectors: Readonly<Record<string, string>>
    readonly objectsMax: number
    readonly idleMs: number
    readonly signal: AbortSignal
  },
): Promise<ListedObjects> {
  const { action, path, served, selectors, objectsMax, idleMs, signal } = options
  const objects: KubernetesObject[] = []
  let leftOut = 0
  const take = (text: string): void => {
    const object = keptObject(JSON.parse(text), served)
    if (object !== undefined && objects.length < objectsMax) objects.push(object)
    else leftOut++
  }
  for (let token = ''; ; ) {
    const query = new URLSearchParams({ ...selectors, limit: String(PAGE_OBJECTS) })
    if (token !== '') query.set('continue', token)
    const request = {
      action,
      method: 'GET',
      path: `${path}?${query.toString()}`,
      idleMs,
      signal,
    } as const
    const chunks = await client.open(request)
    let metadata: unknown
    try {
      const splitter = new ListSplitter(OBJECT_BYTES_MAX, take)
      for await (const chunk of chunks) splitter.push(chunk)
      metadata = fieldsOf(splitter.end())['metadata']
    } catch (cause) {
      if (cause instanceof ApiError) throw cause
      throw new ApiError(`Cannot ${action}: the answer is no list`, { kind: 'away', cause })
    }
    token = textAt(metadata, 'continue')
    const resourceVersion = textAt(metadata, 'resourceVersion')
    if (token === '') return { objects, resourceVersion, leftOut }
  }
}
