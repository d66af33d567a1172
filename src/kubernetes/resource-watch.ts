import { describeError } from '../errors.ts'
import { pause } from '../runtime/pause.ts'
import type { ApiClient } from './api-client.ts'
import { ApiError } from './api-error.ts'
import type { Discovery } from './discovery.ts'
import { linesOf } from './json-lines.ts'
import type { KubernetesObject } from './kubernetes-object.ts'
import { listObjects } from './list-objects.ts'
import { ObjectCache, type ObjectChange } from './object-cache.ts'
import { readWatchEvent } from './watch-event.ts'
import {
  missingRuleOf,
  pathOfResource,
  resourceKeyOf,
  type ServedResource,
  type WatchedResource,
} from './watched-resource.ts'

/**
 * `synced`: what we have is what the cluster has, but for the moment that news takes. `away`: the
 * API server does not answer; what was known stands. `forbidden`: RBAC, or our token. `missing`: the
 * cluster has no such resource, so there are no objects of it.
 */
export type WatchState = 'synced' | 'away' | 'forbidden' | 'missing'

/** In ms. */
export interface WatchTiming {
  /** Wait before attempt number `attempt`, 1 being the first. */
  readonly backoffMs: (attempt: number) => number
  readonly now: () => number
  /** How often a resource that is missing or forbidden is tried again, at the most. */
  readonly probeEveryMs: number
  /** How long one watch runs before the server ends it in order; it goes on at once in a new one. */
  readonly watchMs: number
  /** A watch on which nothing came for so long is dead; the server says something once a minute. */
  readonly watchIdleMs: number
  /** The same for all other requests. */
  readonly requestIdleMs: number
  /** Lists are read again so often, though watches miss nothing; 0: never. */
  readonly relistEveryMs: number
}

interface ResourceWatchOptions {
  readonly resource: WatchedResource
  readonly client: ApiClient
  readonly discovery: Discovery
  readonly timing: WatchTiming
  readonly objectsMax: number
  /** The first whole list, and an empty one when the resource has gone. */
  readonly onObjects: (objects: readonly KubernetesObject[]) => void
  readonly onChange: (change: ObjectChange) => void
  /** Only when one of both is another than before. */
  readonly onState: (state: WatchState, reason: string) => void
}

const LINE_BYTES_MAX = 16 * 1024 * 1024
/** A watch that held so long has worked, whatever ends it. */
const STABLE_MS = 5_000
const RETRY_AFTER_MAX_MS = 60_000
/** Refused so often in a row, a resourceVersion may be what the server cannot digest. */
const RESUMES_MAX = 3
/** An API server that starts may not know its CRDs yet: nothing is forgotten on its first word. */
const MISSING_MIN = 2

/** Keeps the objects of one resource: list, watch from there, and the same again whenever that breaks. */
export class ResourceWatch {
  /** Whole lists read, watches opened, events and bookmarks taken. */
  lists = 0
  watches = 0
  events = 0
  bookmarks = 0
  /** When the server last said something, by the clock of the options; 0: never. */
  heardMs = 0
  state: WatchState = 'away'
  reason = 'not read yet'
  served: ServedResource | undefined
  readonly cache: ObjectCache
  readonly #options: ResourceWatchOptions
  readonly #key: string
  #resourceVersion = ''
  #listedMs = 0
  #isListed = false
  #missingTimes = 0
  #verb = 'list'

  constructor(options: ResourceWatchOptions) {
    this.#options = options
    this.#key = resourceKeyOf(options.resource)
    this.cache = new ObjectCache(options.objectsMax)
  }

  /** Runs until `signal` aborts; never throws. */
  async run(signal: AbortSignal): Promise<void> {
    const { now, backoffMs } = this.#options.timing
    for (let attempt = 0; !signal.aborted; ) {
      const startMs = now()
      const eventsBefore = this.events + this.bookmarks
      const hasWorked = (): boolean =>
        now() - startMs >= STABLE_MS || this.events + this.bookmarks > eventsBefore
      const watchesBefore = this.watches
      try {
        await this.#once(signal)
        attempt = hasWorked() ? 0 : attempt + 1
        if (attempt > 0) await pause(backoffMs(attempt), signal)
      } catch (error) {
        if (signal.aborted) return
        attempt = hasWorked() && this.watches > watchesBefore ? 1 : attempt + 1
        const wasOpen = this.watches > watchesBefore
        await pause(this.#failed(this.#asApiError(error), attempt, wasOpen), signal)
      }
    }
  }

  /** One watch from its opening to its end, with what must come before. @throws {ApiError} */
  async #once(signal: AbortSignal): Promise<void> {
    const { timing, resource, discovery } = this.#options
    const isStale =
      timing.relistEveryMs > 0 && timing.now() - this.#listedMs >= timing.relistEveryMs
    if (isStale) this.#resourceVersion = ''
    if (this.#resourceVersion === '') {
      this.#verb = 'list'
      this.served = await discovery.find(resource)
      if (this.served === undefined) {
        throw new ApiError(`the cluster has no ${this.#key}`, { kind: 'missing' })
      }
      await this.#list(this.served, signal)
    }
    if (this.served === undefined) return
    this.#verb = 'watch'
    await this.#watch(this.served, signal)
  }

  async #list(served: ServedResource, signal: AbortSignal): Promise<void> {
    const { client, timing, resource, objectsMax } = this.#options
    const listed = await listObjects(client, {
      action: `list ${this.#key}`,
      path: pathOfResource(resource, served),
      served,
      selectors: this.#selectors(),
      objectsMax,
      idleMs: timing.requestIdleMs,
      signal,
    })
    this.lists++
    this.heardMs = this.#listedMs = timing.now()
    this.#resourceVersion = listed.resourceVersion
    this.#missingTimes = 0
    this.#replace(listed.objects)
    this.cache.leftOut += listed.leftOut
    this.#enter('synced', '')
  }

  async #watch(served: ServedResource, signal: AbortSignal): Promise<void> {
    const { client, timing, resource } = this.#options
    const action = `watch ${this.#key}`
    const untilRelistMs = this.#listedMs + timing.relistEveryMs - timing.now()
    const watchMs =
      timing.relistEveryMs > 0 ? Math.min(timing.watchMs, untilRelistMs) : timing.watchMs
    const query = new URLSearchParams({
      ...this.#selectors(),
      watch: 'true',
      allowWatchBookmarks: 'true',
      resourceVersion: this.#resourceVersion,
      timeoutSeconds: String(Math.max(1, Math.ceil(watchMs / 1_000))),
    })
    const path = `${pathOfResource(resource, served)}?${query.toString()}`
    const idleMs = timing.watchIdleMs
    const chunks = await client.open({ action, method: 'GET', path, idleMs, signal })
    this.watches++
    this.heardMs = timing.now()
    this.#enter('synced', '')
    for await (const line of linesOf(chunks, LINE_BYTES_MAX)) {
      this.heardMs = timing.now()
      const event = readWatchEvent(line, action)
      this.#resourceVersion = event.resourceVersion
      if (event.type === 'bookmark') {
        this.bookmarks++
        continue
      }
      this.events++
      const { cache } = this
      const changes = event.type === 'put' ? cache.put(event.object) : cache.remove(event.object)
      for (const change of changes) this.#options.onChange(change)
      // Lines that came with this one may still be there when it has led to our end.
      if (signal.aborted) return
    }
  }

  #replace(objects: readonly KubernetesObject[]): void {
    const changes = this.cache.replace(objects)
    if (this.#isListed) for (const change of changes) this.#options.onChange(change)
    else this.#options.onObjects([...this.cache.values()])
    this.#isListed = true
  }

  /** Returns how long to wait. */
  #failed(error: ApiError, attempt: number, wasOpen: boolean): number {
    const { timing, resource } = this.#options
    const waitMs = timing.backoffMs(attempt)
    switch (error.kind) {
      case 'expired':
        this.#resourceVersion = ''
        return attempt === 1 ? 0 : waitMs
      case 'missing':
        this.#resourceVersion = ''
        return this.#vanished(waitMs)
      case 'forbidden':
        this.#enter('forbidden', `${missingRuleOf(this.#verb, resource)}: ${describeError(error)}`)
        return Math.min(waitMs, timing.probeEveryMs)
      case 'unauthorized':
        this.#enter(
          'forbidden',
          `The API server does not accept our login: ${describeError(error)}`,
        )
        return Math.min(waitMs, timing.probeEveryMs)
      case 'away':
      case 'conflict':
      case 'refused':
        // What a server said while it was there is no history that we can lean on for ever.
        if (error.status !== 0 && attempt % RESUMES_MAX === 0) this.#resourceVersion = ''
        if (!wasOpen || attempt > 1) this.#enter('away', describeError(error))
        return Math.max(waitMs, Math.min(error.retryAfterMs, RETRY_AFTER_MAX_MS))
    }
  }

  #vanished(waitMs: number): number {
    const { probeEveryMs } = this.#options.timing
    if (this.state !== 'missing' && this.#isListed && ++this.#missingTimes < MISSING_MIN) {
      return Math.min(waitMs, probeEveryMs)
    }
    this.cache.replace([])
    if (this.#isListed) this.#options.onObjects([])
    this.#isListed = false
    this.#enter('missing', `The cluster has no ${this.#key}`)
    return probeEveryMs
  }

  #enter(state: WatchState, reason: string): void {
    if (state === this.state && reason === this.reason) return
    this.state = state
    this.reason = reason
    this.#options.onState(state, reason)
  }

  #selectors(): Record<string, string> {
    const { labelSelector, fieldSelector } = this.#options.resource
    return {
      ...(labelSelector === undefined ? {} : { labelSelector }),
      ...(fieldSelector === undefined ? {} : { fieldSelector }),
    }
  }

  /** What no request has thrown is a stream that we cannot read: the list tells the truth again. */
  #asApiError(error: unknown): ApiError {
    if (error instanceof ApiError) return error
    const action = `Cannot ${this.#verb} ${this.#key}: the answer cannot be read`
    return new ApiError(action, { kind: 'expired', cause: error })
  }
}
