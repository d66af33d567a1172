import { describeError } from '../errors.ts'
import type { KubernetesAccess } from './access.ts'
import { type ApiRequest, createApiClient } from './api-client.ts'
import { ApiError } from './api-error.ts'
import { type KubernetesObject, keptObject } from './kubernetes-object.ts'
import { listObjects } from './list-objects.ts'
import { missingRuleOf, pathOfResource } from './watched-resource.ts'

export interface ObjectStoreOptions {
  readonly connect: KubernetesAccess
  /** '' for the core group. */
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly kind: string
  /** Who we are in `managedFields`. */
  readonly fieldManager: string
  /** A request on which nothing comes for so long, in ms, has failed. Default 10 s. */
  readonly idleMs?: number
}

/** One step of a JSON Patch, RFC 6902. */
interface PatchStep {
  readonly op: 'test' | 'add' | 'replace' | 'remove'
  readonly path: string
  readonly value?: unknown
}

/** What was read, and must still stand there when it is written: from the object's metadata. */
export interface ObjectGuard {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
}

/**
 * `conflict`: it is another by now, or there already: read it again and think again. `missing`: no
 * such object, namespace or kind. `forbidden`: RBAC, an admission rule, or our login. `refused`: the
 * server will not have what we wrote. `away`: nobody knows whether it was done; the guards make it
 * safe to try again.
 */
interface StoreFailure {
  readonly kind: 'conflict' | 'missing' | 'forbidden' | 'refused' | 'away'
  /** For users: it reads as the message of an `EnforceError`. Never holds a token. */
  readonly reason: string
  /** Whether the very same request may succeed later, for an `EnforceError`. */
  readonly retryable: boolean
}

export type StoreOutcome<T> = { readonly kind: 'done'; readonly value: T } | StoreFailure

/** Reads and writes the objects of one namespaced kind. No method throws. */
export interface ObjectStore {
  read(namespace: string, name: string): Promise<StoreOutcome<KubernetesObject>>
  /** In all namespaces. `labelSelector` as kubectl takes it: `app=weir`. */
  list(labelSelector: string): Promise<StoreOutcome<readonly KubernetesObject[]>>
  /** Resolves to the object as it stands there. */
  create(object: KubernetesObject): Promise<StoreOutcome<KubernetesObject>>
  /** The whole object in place of the one whose uid and resourceVersion it names; `refused` where it names none. */
  replace(object: KubernetesObject): Promise<StoreOutcome<KubernetesObject>>
  /** `steps` on exactly the object that the guard names. */
  patch(guard: ObjectGuard, steps: readonly PatchStep[]): Promise<StoreOutcome<KubernetesObject>>
  /** Of exactly the object that the guard names. With finalizers it goes later. */
  delete(guard: ObjectGuard): Promise<StoreOutcome<undefined>>
  close(): void
}

const IDLE_MS = 10_000
const OBJECTS_MAX = 10_000
const JSON_TYPE = 'application/json'

/** @throws {ConfigError} where there is no cluster to be found; the server itself is not asked yet. */
export async function openObjectStore(options: ObjectStoreOptions): Promise<ObjectStore> {
  const { group, version, plural, kind, fieldManager, idleMs = IDLE_MS } = options
  const client = await createApiClient(options.connect)
  const apiVersion = group === '' ? version : `${group}/${version}`
  const served = { apiVersion, kind, namespaced: true }
  // Unknown fields would be dropped in silence: a limit without its rule.
  const query = new URLSearchParams({ fieldManager, fieldValidation: 'Strict' }).toString()

  const collectionOf = (namespace: string): string => pathOfResource({ plural, namespace }, served)
  const pathOf = ({ namespace, name }: { namespace: string; name: string }): string =>
    `${collectionOf(namespace)}/${encodeURIComponent(name)}`
  const settle = async <T>(
    verb: string,
    namespace: string | undefined,
    work: () => Promise<T>,
  ): Promise<StoreOutcome<T>> => {
    try {
      return { kind: 'done', value: await work() }
    } catch (error) {
      const where = { group, plural, ...(namespace === undefined ? {} : { namespace }) }
      return failureOf(error, missingRuleOf(verb, where))
    }
  }
  const send = async (request: Omit<ApiRequest, 'idleMs'>): Promise<KubernetesObject> => {
    const object = keptObject(await client.json({ ...request, idleMs }), served)
    if (object === undefined) throw new Error(`Cannot ${request.action}: the answer is no object`)
    return object
  }
  const titleOf = (namespace: string, name: string): string => `${kind} ${namespace}/${name}`
  const read = (namespace: string, name: string): Promise<KubernetesObject> => {
    const action = `read ${titleOf(namespace, name)}`
    return send({ action, method: 'GET', path: pathOf({ namespace, name }) })
  }

  return {
    read: (namespace, name) => settle('get', namespace, () => read(namespace, name)),
    list: (labelSelector) =>
      settle('list', undefined, async () => {
        const { objects } = await listObjects(client, {
          action: `list ${plural}`,
          path: pathOfResource({ plural }, served),
          served,
          selectors: { labelSelector },
          objectsMax: OBJECTS_MAX,
          idleMs,
          signal: new AbortController().signal,
        })
        return objects
      }),
    create(object) {
      const { name, namespace = '' } = object.metadata
      return settle('create', namespace, () =>
        send({
          action: `create ${titleOf(namespace, name)}`,
          method: 'POST',
          path: `${collectionOf(namespace)}?${query}`,
          body: { type: JSON_TYPE, value: object },
        }),
      )
    },
    async replace(object) {
      const { name, namespace = '', uid, resourceVersion } = object.metadata
      const action = `replace ${titleOf(namespace, name)}`
      // Without them the server would take it, whatever stands there.
      if (uid === undefined || resourceVersion === undefined) {
        const reason = `Cannot ${action}: it names no uid and resourceVersion`
        return { kind: 'refused', reason, retryable: false }
      }
      return settle('update', namespace, () =>
        send({
          action,
          method: 'PUT',
          path: `${pathOf({ namespace, name })}?${query}`,
          body: { type: JSON_TYPE, value: object },
        }),
      )
    },
    async patch(guard, steps) {
      const { namespace, name, uid, resourceVersion } = guard
      const action = `change ${titleOf(namespace, name)}`
      const guarded: readonly PatchStep[] = [
        { op: 'test', path: '/metadata/uid', value: uid },
        { op: 'test', path: '/metadata/resourceVersion', value: resourceVersion },
        ...steps,
      ]
      const outcome = await settle('patch', namespace, () =>
        send({
          action,
          method: 'PATCH',
          path: `${pathOf(guard)}?${query}`,
          body: { type: 'application/json-patch+json', value: guarded },
        }),
      )
      if (outcome.kind !== 'refused') return outcome
      // A test that failed is answered like any step that does not fit: only the object itself tells.
      const now = await settle('get', namespace, () => read(namespace, name))
      if (now.kind === 'missing') return now
      if (now.kind !== 'done' || isGuarded(guard, now.value)) return outcome
      const reason = `Cannot ${action}: it was changed by somebody else`
      return { kind: 'conflict', reason, retryable: true }
    },
    delete(guard) {
      const { namespace, name, uid, resourceVersion } = guard
      return settle('delete', namespace, async () => {
        await client.json({
          action: `delete ${titleOf(namespace, name)}`,
          method: 'DELETE',
          path: pathOf(guard),
          idleMs,
          body: {
            type: JSON_TYPE,
            value: {
              apiVersion: 'v1',
              kind: 'DeleteOptions',
              preconditions: { uid, resourceVersion },
            },
          },
        })
        return undefined
      })
    },
    close: () => client.close(),
  }
}

function isGuarded({ uid, resourceVersion }: ObjectGuard, { metadata }: KubernetesObject): boolean {
  return metadata.uid === uid && metadata.resourceVersion === resourceVersion
}

function failureOf(error: unknown, rule: string): StoreFailure {
  const reason = describeError(error)
  if (!(error instanceof ApiError)) return { kind: 'away', reason, retryable: true }
  switch (error.kind) {
    case 'conflict':
      return { kind: 'conflict', reason, retryable: true }
    case 'missing':
      return { kind: 'missing', reason, retryable: false }
    case 'unauthorized':
      return { kind: 'forbidden', reason, retryable: true }
    case 'forbidden':
      // An admission rule answers so as well, and has said its own reason.
      return { kind: 'forbidden', reason: `${reason}; ${rule}`, retryable: true }
    case 'refused':
      return { kind: 'refused', reason, retryable: false }
    case 'expired':
    case 'away':
      return { kind: 'away', reason, retryable: true }
  }
}
