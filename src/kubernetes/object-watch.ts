import { ConfigError } from '../errors.ts'
import { backoffMs } from '../runtime/backoff.ts'
import type { Component } from '../runtime/lifecycle.ts'
import type { KubernetesAccess } from './access.ts'
import { type ApiClient, createApiClient } from './api-client.ts'
import { createDiscovery, type Discovery } from './discovery.ts'
import type { KubernetesObject } from './kubernetes-object.ts'
import type { ObjectChange } from './object-cache.ts'
import { ResourceWatch, type WatchState, type WatchTiming } from './resource-watch.ts'
import { resourceKeyOf, type WatchedResource } from './watched-resource.ts'

export interface ObjectWatchOptions {
  readonly connect: KubernetesAccess
  readonly resources: readonly WatchedResource[]
  /**
   * All objects of a resource: once its first list is read, and none once the cluster has lost the
   * resource. Resources go by their keys: `services`, `httproutes.gateway.networking.k8s.io`.
   */
  readonly onObjects?: (resource: string, objects: readonly KubernetesObject[]) => void
  /** Each difference after that, in the order in which the server tells of them. */
  readonly onChange?: (resource: string, change: ObjectChange) => void
  /** Once, when every resource is read, or is optional and missing or forbidden. */
  readonly onSynced?: () => void
  /** For health. `reason` is '' for `synced`, else a sentence that says what to do or to wait for. */
  readonly onState?: (state: WatchState, resource: string, reason: string) => void
  /** Objects of one resource beyond so many are left out. Default 100,000. */
  readonly objectsMax?: number
  /** Single objects that are followed at a time; each takes a connection. Default 128. */
  readonly followedMax?: number
  /** Default: backoff without a relist, probes every 30 s, watches of 5 minutes. */
  readonly timing?: Partial<WatchTiming>
}

/** One object that is wanted by its name. */
interface ObjectName {
  readonly namespace: string
  readonly name: string
}

export interface ResourceStatus {
  readonly resource: string
  readonly state: WatchState
  readonly reason: string
  /** `gateway.networking.k8s.io/v1`; '' before the server said. */
  readonly apiVersion: string
  readonly objects: number
  /** Objects that `objectsMax` or `followedMax` kept out. */
  readonly leftOut: number
  readonly lists: number
  readonly watches: number
  readonly events: number
  readonly bookmarks: number
  /** When the server last said something about it, Unix ms; 0: never. */
  readonly heardMs: number
}

/** The objects of a cluster as they are now, kept so by watching. */
export interface ObjectWatch extends Component {
  /** All of them, resource by resource. */
  objects(): KubernetesObject[]
  status(): ResourceStatus[]
  /**
   * Watches these objects of a resource and no others of it, in place of those of the last call;
   * returns how many of them `followedMax` left out; all of them before `start` and after `stop`.
   * For ConfigMaps: nobody may read them all.
   */
  follow(resource: Pick<WatchedResource, 'group' | 'plural'>, names: readonly ObjectName[]): number
}

const TIMING: WatchTiming = {
  backoffMs: (attempt) => backoffMs(attempt),
  now: Date.now,
  probeEveryMs: 30_000,
  watchMs: 300_000,
  // Two and a half of the server's bookmarks.
  watchIdleMs: 150_000,
  requestIdleMs: 30_000,
  relistEveryMs: 0,
}

interface Watching {
  readonly watch: ResourceWatch
  readonly stop: AbortController
  readonly ended: Promise<void>
}

/** What `start` makes. */
interface Connection {
  readonly client: ApiClient
  readonly discovery: Discovery
}

/** Worst first: the state of a resource whose objects are followed one by one. */
const STATES: readonly WatchState[] = ['away', 'forbidden', 'missing', 'synced']

/**
 * Watches resources of a cluster. An API server that is away is weather: `start` does not wait for
 * it, and what was known stands until it is back.
 *
 * @throws {ConfigError} for a resource that must not be watched; from `start` where there is no cluster.
 */
export function createObjectWatch(options: ObjectWatchOptions): ObjectWatch {
  const refused = options.resources.find(({ group, plural }) => isSecret(group, plural))
  if (refused !== undefined) throw new ConfigError('Cannot watch secrets: Weir must not read them')
  const timing = { ...TIMING, ...options.timing }
  const objectsMax = options.objectsMax ?? 100_000
  const followedMax = options.followedMax ?? 128
  const watched = new Map<string, Watching>()
  const followed = new Map<string, Map<string, Watching>>()
  const leftOut = new Map<string, number>()
  const published = new Map<string, string>()
  let connection: Connection | undefined
  let isSynced = false
  let isStopped = false

  const watchingOf = (key: string): ResourceWatch[] => {
    const single = watched.get(key)
    const many = [...(followed.get(key)?.values() ?? [])]
    return [...(single === undefined ? [] : [single]), ...many].map(({ watch }) => watch)
  }
  const publish = (key: string): void => {
    const worst = worstOf(watchingOf(key))
    const text = `${worst.state} ${worst.reason}`
    if (published.get(key) !== text) {
      published.set(key, text)
      options.onState?.(worst.state, key, worst.reason)
    }
    tellSynced()
  }
  const tellSynced = (): void => {
    if (isSynced) return
    isSynced = options.resources.every((resource) => {
      const state = watched.get(resourceKeyOf(resource))?.watch.state
      const isOff = state === 'missing' || state === 'forbidden'
      return state === 'synced' || (resource.optional && isOff)
    })
    if (isSynced) options.onSynced?.()
  }
  const begin = ({ client, discovery }: Connection, resource: WatchedResource): Watching => {
    const key = resourceKeyOf(resource)
    const stop = new AbortController()
    const watch = new ResourceWatch({
      resource,
      client,
      discovery,
      timing,
      objectsMax,
      onObjects: (objects) => options.onObjects?.(key, objects),
      onChange: (change) => options.onChange?.(key, change),
      onState: () => publish(key),
    })
    return { watch, stop, ended: watch.run(stop.signal) }
  }

  return {
    name: 'kubernetes',
    async start() {
      const client = await createApiClient(options.connect)
      const discovery = createDiscovery(client, {
        idleMs: timing.requestIdleMs,
        now: timing.now,
      })
      connection = { client, discovery }
      for (const resource of options.resources) {
        watched.set(resourceKeyOf(resource), begin(connection, resource))
      }
      tellSynced()
    },
    async stop() {
      isStopped = true
      const all = [...watched.values(), ...[...followed.values()].flatMap((f) => [...f.values()])]
      for (const { stop } of all) stop.abort()
      connection?.client.close()
      await Promise.all(all.map(({ ended }) => ended))
    },
    objects: () => {
      const watches = [...keysOf(watched, followed)].flatMap(watchingOf)
      return watches.flatMap(({ cache }) => [...cache.values()])
    },
    status: () =>
      [...keysOf(watched, followed)].map((key) =>
        statusOf(key, watchingOf(key), leftOut.get(key) ?? 0),
      ),
    follow({ group, plural }, names) {
      if (isSecret(group, plural)) {
        throw new ConfigError('Cannot watch secrets: Weir must not read them')
      }
      const key = resourceKeyOf({ group, plural, optional: true })
      if (connection === undefined || isStopped) return names.length
      const wanted = new Map(names.map((name) => [`${name.namespace}/${name.name}`, name]))
      const current = followed.get(key) ?? new Map<string, Watching>()
      followed.set(key, current)
      for (const [id, { watch, stop }] of current) {
        if (wanted.has(id)) continue
        stop.abort()
        current.delete(id)
        for (const object of watch.cache.values()) {
          options.onChange?.(key, { type: 'deleted', object })
        }
      }
      for (const [id, { namespace, name }] of wanted) {
        if (current.has(id) || current.size >= followedMax) continue
        const fieldSelector = `metadata.name=${name}`
        const resource = { group, plural, namespace, fieldSelector, optional: true }
        current.set(id, begin(connection, resource))
      }
      leftOut.set(key, wanted.size - current.size)
      publish(key)
      return wanted.size - current.size
    },
  }
}

function isSecret(group: string, plural: string): boolean {
  return group === '' && plural === 'secrets'
}

function keysOf(...maps: readonly ReadonlyMap<string, unknown>[]): Set<string> {
  return new Set(maps.flatMap((map) => [...map.keys()]))
}

function worstOf(watches: readonly ResourceWatch[]): { state: WatchState; reason: string } {
  for (const state of STATES) {
    const found = watches.find((watch) => watch.state === state)
    if (found !== undefined) return { state, reason: found.reason }
  }
  return { state: 'synced', reason: '' }
}

function statusOf(
  resource: string,
  watches: readonly ResourceWatch[],
  unfollowed: number,
): ResourceStatus {
  const sum = (count: (watch: ResourceWatch) => number): number =>
    watches.reduce((total, watch) => total + count(watch), 0)
  return {
    resource,
    ...worstOf(watches),
    apiVersion: watches.find(({ served }) => served !== undefined)?.served?.apiVersion ?? '',
    objects: sum(({ cache }) => cache.size),
    leftOut: unfollowed + sum(({ cache }) => cache.leftOut),
    lists: sum(({ lists }) => lists),
    watches: sum(({ watches: opened }) => opened),
    events: sum(({ events }) => events),
    bookmarks: sum(({ bookmarks }) => bookmarks),
    heardMs: Math.max(0, ...watches.map(({ heardMs }) => heardMs)),
  }
}
