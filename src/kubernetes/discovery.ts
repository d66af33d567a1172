import type { ApiClient } from './api-client.ts'
import { ApiError } from './api-error.ts'
import { fieldsOf, textAt } from './kubernetes-object.ts'
import { compareVersions, type ServedResource, type WatchedResource } from './watched-resource.ts'

/** Many resources ask for the same documents at the same time. */
const KEPT_MS = 2_000
const DOCUMENTS_MAX = 256

/** Asks the API server what it serves, and in which versions. */
export interface Discovery {
  /** Undefined: the server has no such resource, or no version of it that we read. @throws {ApiError} */
  find(resource: WatchedResource): Promise<ServedResource | undefined>
}

/** `now` in ms, of any clock. */
export function createDiscovery(
  client: ApiClient,
  options: { readonly idleMs: number; readonly now: () => number },
): Discovery {
  const documents = new Map<string, { readonly atMs: number; readonly value: Promise<unknown> }>()

  /** Undefined for a path that the server does not have. */
  const read = (path: string): Promise<unknown> => {
    const atMs = options.now()
    const known = documents.get(path)
    if (known !== undefined && atMs - known.atMs < KEPT_MS) return known.value
    const { idleMs } = options
    const request = { action: `read ${path}`, method: 'GET', path, idleMs } as const
    const value = client.json(request).catch((error: unknown) => {
      if (error instanceof ApiError && error.kind === 'missing') return undefined
      if (documents.get(path)?.value === value) documents.delete(path)
      throw error
    })
    if (documents.size >= DOCUMENTS_MAX) documents.clear()
    documents.set(path, { atMs, value })
    return value
  }
  const versionsOf = async (group: string): Promise<string[]> => {
    if (group === '') return ['v1']
    const versions = fieldsOf(await read(`/apis/${group}`))['versions']
    if (!Array.isArray(versions)) return []
    return versions.map((version) => textAt(version, 'version')).sort(compareVersions)
  }
  return {
    async find(resource) {
      const { group, plural, versions: wanted } = resource
      const served = await versionsOf(group)
      const usable = wanted?.filter((version) => served.includes(version)) ?? served
      for (const version of usable) {
        const apiVersion = group === '' ? version : `${group}/${version}`
        const path = group === '' ? `/api/${version}` : `/apis/${apiVersion}`
        const resources = fieldsOf(await read(path))['resources']
        if (!Array.isArray(resources)) continue
        const found: unknown = resources.find((entry) => textAt(entry, 'name') === plural)
        if (found === undefined) continue
        const namespaced = fieldsOf(found)['namespaced'] === true
        return { apiVersion, kind: textAt(found, 'kind'), namespaced }
      }
      return undefined
    },
  }
}
