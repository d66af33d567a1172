import type { Config } from '../config/schema.ts'
import { describeError } from '../errors.ts'
import { buildCatalogue } from '../identity/build-catalogue.ts'
import { Catalogue } from '../identity/catalogue.ts'
import { CatalogueHistory } from '../identity/catalogue-history.ts'
import {
  fieldOf,
  type KubernetesObject,
  keyOfObject,
  namespaceOf,
  textOf,
} from '../identity/kubernetes-object.ts'
import { readManifests, sentenceOf } from '../identity/manifests.ts'
import { problemsOf } from '../identity/open-catalogue.ts'
import { readOverlay } from '../identity/overlay.ts'
import { DOCUMENT_LABEL } from '../identity/service-documents.ts'
import type { KubernetesAccess } from '../kubernetes/access.ts'
import { createObjectWatch, type ObjectWatch } from '../kubernetes/object-watch.ts'
import type { WatchState } from '../kubernetes/resource-watch.ts'
import type { WatchedResource } from '../kubernetes/watched-resource.ts'
import type { Component } from '../runtime/lifecycle.ts'
import { PodChanges } from './pod-changes.ts'

/** After a change others follow soon: a rollout is many. In ms. */
const SETTLE_MS = 250
/** A cluster in which something changes all the time gets a new catalogue this often at least, in ms. */
const WAIT_MAX_MS = 2_000

const PODS = 'pods'
/** At most one part in so many of the time is spent on building: a big catalogue waits for more changes. */
const BUILD_SHARE = 5

const optional = (group: string, ...plurals: string[]): WatchedResource[] =>
  plurals.map((plural) => ({ group, plural, optional: true }))

/** What names an API, and what a limit has to know. CRDs may be missing, and come later. */
const RESOURCES: readonly WatchedResource[] = [
  ...['services', 'namespaces'].map((plural) => ({ group: '', plural, optional: false })),
  { group: 'discovery.k8s.io', plural: 'endpointslices', optional: false },
  ...optional('dp.wso2.com', 'apis', 'backends', 'gqlroutes', 'routemetadata', 'tokenissuers'),
  ...optional(
    'dp.wso2.com',
    'routepolicies',
    'ratelimitpolicies',
    'authentications',
    'backendjwts',
  ),
  ...optional('cp.wso2.com', 'applications', 'subscriptions', 'applicationmappings'),
  ...optional('gateway.networking.k8s.io', 'gatewayclasses', 'gateways', 'referencegrants'),
  ...optional('gateway.networking.k8s.io', 'httproutes', 'grpcroutes'),
  ...optional('gateway.envoyproxy.io', 'httproutefilters', 'backends'),
  ...optional('cilium.io', 'ciliumenvoyconfigs', 'ciliumclusterwideenvoyconfigs'),
  { group: '', plural: PODS, optional: true },
  { group: '', plural: 'configmaps', labelSelector: DOCUMENT_LABEL, optional: true },
]

export interface LiveCatalogueOptions {
  readonly identity: Config['identity']
  /** Unix ms since when a new catalogue holds. */
  readonly now: () => number
  /** Each new one, in place of `before`; problems of it, in sentences. */
  readonly onCatalogue: (now: Catalogue, before: Catalogue, problems: readonly string[]) => void
  /** All that can be read is read, once. */
  readonly onLoaded: () => void
  readonly onState: (state: WatchState, resource: string, reason: string) => void
}

/** How the configuration finds the API server; undefined where Kubernetes is not asked. */
export function accessOf({ kubernetes }: Config['identity']): KubernetesAccess | undefined {
  const { enabled, kubeconfig, context } = kubernetes
  if (!enabled && kubeconfig === undefined) return undefined
  if (kubeconfig === undefined) return { from: 'cluster' }
  return { from: 'kubeconfig', path: kubeconfig, ...(context === undefined ? {} : { context }) }
}

/**
 * The catalogue as manifests and the cluster have it now: built anew, beside the flows, after what
 * changed has settled, and swapped whole. Manifests lie over the cluster's objects of the same name.
 */
export class LiveCatalogue implements Component {
  readonly name = 'catalogue'
  readonly history = new CatalogueHistory(new Catalogue([]))
  readonly #options: LiveCatalogueOptions
  readonly #watch: ObjectWatch | undefined
  readonly #stopped = new AbortController()
  #manifests: readonly KubernetesObject[] = []
  #unread: readonly string[] = []
  readonly #pods = new PodChanges()
  #isSynced = false
  #isLoaded = false
  #settle: NodeJS.Timeout | undefined
  #dirtySinceMs = 0
  /** When the last build ended, and how long it took. */
  #builtMs = 0
  #buildMs = 0
  #building: Promise<void> | undefined

  constructor(options: LiveCatalogueOptions) {
    this.#options = options
    const connect = accessOf(options.identity)
    const changed = () => this.#changed()
    this.#watch =
      connect &&
      createObjectWatch({
        connect,
        resources: RESOURCES,
        onObjects: (resource, objects) => {
          if (resource === PODS) this.#pods.replaced(objects)
          changed()
        },
        onChange: (resource, { type, object }) => {
          if (resource !== PODS || this.#pods.matters(type, object)) changed()
        },
        onSynced: () => {
          this.#isSynced = true
          this.#changed()
        },
        onState: options.onState,
      })
  }

  get current(): Catalogue {
    return this.history.current
  }

  /** Reads the manifests, and begins to watch. @throws {ConfigError} for a path that does not exist. */
  async start(signal: AbortSignal): Promise<void> {
    const { objects, problems } = await readManifests(this.#options.identity.manifests)
    const { overlay } = this.#options.identity
    this.#manifests =
      overlay === undefined ? objects : [...objects, ...(await readOverlay(overlay))]
    this.#unread = problems.map(sentenceOf)
    await this.#build()
    await this.#watch?.start(signal)
  }

  async stop(deadline: AbortSignal): Promise<void> {
    this.#stopped.abort()
    clearTimeout(this.#settle)
    await this.#watch?.stop(deadline)
    await this.#building
  }

  #changed(): void {
    if (this.#stopped.signal.aborted) return
    const nowMs = this.#options.now()
    if (this.#settle === undefined) this.#dirtySinceMs = nowMs
    clearTimeout(this.#settle)
    const waitMs = Math.min(SETTLE_MS, Math.max(0, this.#dirtySinceMs + WAIT_MAX_MS - nowMs))
    this.#settle = setTimeout(() => void this.#rebuild(), Math.max(waitMs, this.#restMs(nowMs)))
  }

  #restMs(nowMs: number): number {
    return Math.max(0, this.#builtMs + this.#buildMs * (BUILD_SHARE - 1) - nowMs)
  }

  /** One at a time: what changes meanwhile waits for its end. */
  async #rebuild(): Promise<void> {
    this.#settle = undefined
    if (this.#building !== undefined) {
      this.#changed()
      return
    }
    const startMs = this.#options.now()
    this.#building = this.#build()
    await this.#building
    this.#building = undefined
    this.#builtMs = this.#options.now()
    this.#buildMs = this.#builtMs - startMs
  }

  async #build(): Promise<void> {
    const { now, onCatalogue, onLoaded } = this.#options
    const isSynced = this.#watch === undefined || this.#isSynced
    const objects = this.#objects()
    try {
      const { signal } = this.#stopped
      const { apkIntelligentRouting } = this.#options.identity
      const catalogue = await buildCatalogue(objects, { signal, apkIntelligentRouting })
      const before = this.current
      this.history.add(catalogue, now())
      this.#watch?.follow({ group: '', plural: 'configmaps' }, definitionsOf(objects))
      onCatalogue(catalogue, before, [...this.#unread, ...problemsOf(catalogue)])
    } catch (error) {
      if (this.#stopped.signal.aborted) return
      // A defect of ours: the catalogue that stands is better than none.
      this.#options.onState('away', 'catalogue', describeError(error))
    }
    if (!isSynced || this.#isLoaded) return
    this.#isLoaded = true
    onLoaded()
  }

  #objects(): KubernetesObject[] {
    const watched = this.#watch?.objects() ?? []
    if (watched.length === 0) return [...this.#manifests]
    const byKey = new Map<string, KubernetesObject>()
    for (const object of [...watched, ...this.#manifests]) byKey.set(keyOfObject(object), object)
    return [...byKey.values()]
  }
}

/** ConfigMaps with API definitions, which are read by their names: nobody may read them all. */
function definitionsOf(objects: readonly KubernetesObject[]) {
  const names = new Map<string, { namespace: string; name: string }>()
  for (const object of objects) {
    if (object.kind !== 'API' && object.kind !== 'RouteMetadata') continue
    const spec = fieldOf(object, 'spec')
    const reference =
      fieldOf(fieldOf(spec, 'api'), 'definitionFileRef') ?? fieldOf(spec, 'definitionFileRef')
    const name = textOf(reference) || textOf(fieldOf(reference, 'name'))
    const namespace = namespaceOf(object)
    if (name !== '') names.set(`${namespace}/${name}`, { namespace, name })
  }
  return [...names.values()]
}
