import { EnforceError } from '../errors.ts'
import type { KubernetesAccess } from '../kubernetes/access.ts'
import { type ApiClient, createApiClient } from '../kubernetes/api-client.ts'
import { ApiError } from '../kubernetes/api-error.ts'
import { fieldsOf, type KubernetesObject } from '../kubernetes/kubernetes-object.ts'
import { type ObjectStore, openObjectStore, type StoreOutcome } from '../kubernetes/object-store.ts'
import {
  canonicalJson,
  fieldAt,
  fieldOf,
  itemsOf,
  type Json,
  textOf,
} from '../respond/canonical-json.ts'
import type { CecTarget } from '../respond/cec-target.ts'
import { OPT_IN_LABEL } from '../respond/eligibility.ts'
import { CEC_KIND, MANAGED_BY, MANAGED_BY_LABEL } from '../respond/scaffold.ts'
import type { Component } from '../runtime/lifecycle.ts'

/** To be started before whoever writes to it, and stopped after: until then it is away. */
export interface KubernetesTarget extends CecTarget, Component {}

export interface KubernetesTargetOptions {
  readonly connect: KubernetesAccess
  /** One list or write that takes longer has failed, in ms; default 5 s: an end tries three times. */
  readonly deadlineMs?: number
}

/** Of `deploy/weir.yaml`: who may write, and who may read. */
const WRITERS_ROLE = 'weir-enforcer'
const READERS_ROLE = 'weir-reader'
const DEADLINE_MS = 5_000
/** The API server gives up a request after so long, by its default. */
const UNDER_WAY_MS = 60_000
/** What Weir alone writes. */
const OUR_PREFIX = 'weir.dev/'
const REWRITTEN_ANNOTATION = 'weir.dev/rewritten'

type Written = StoreOutcome<KubernetesObject>

interface Clients {
  readonly cecs: ObjectStore
  /** For namespaces, which belong to none. */
  readonly api: ApiClient
}

/**
 * Keeps CECs in the cluster, as what they are. Each write reads what stands there, and puts the whole
 * object in the place of exactly that, so nobody else's change is lost: it fails instead, and is tried
 * again on what stands then. Refused for good: an object of that name without our label, and rules
 * for a namespace without the opt-in at that moment; rules may be taken away everywhere.
 *
 * `start` rejects with a `ConfigError` where there is no cluster to be found.
 */
export function createKubernetesTarget(options: KubernetesTargetOptions): KubernetesTarget {
  const { connect, deadlineMs = DEADLINE_MS } = options
  let clients: Clients | undefined
  /** CECs with a write that nobody knows the end of, and until when it may still come; no more than have failed lately. */
  const unsureUntil = new Map<string, number>()

  /** Gives up at the deadline. `work` must not begin a request once `signal` has aborted: a later write may have begun. */
  async function timed<T>(
    action: string,
    work: (clients: Clients, signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    if (clients === undefined) {
      throw new EnforceError(`Cannot ${action}: the target is not open`, { retryable: true })
    }
    const signal = AbortSignal.timeout(deadlineMs)
    const { promise: late, reject } = Promise.withResolvers<never>()
    const message = `Cannot ${action}: the API server took longer than ${deadlineMs} ms`
    signal.onabort = () => reject(new EnforceError(message, { retryable: true }))
    return Promise.race([work(clients, signal), late])
  }

  return {
    name: 'respond-target',
    async start() {
      clients ??= {
        cecs: await openObjectStore({
          connect,
          group: 'cilium.io',
          version: 'v2',
          plural: 'ciliumenvoyconfigs',
          kind: CEC_KIND,
          fieldManager: 'weir',
          idleMs: deadlineMs,
        }),
        api: await createApiClient(connect),
      }
    },
    async stop() {
      clients?.cecs.close()
      clients?.api.close()
      clients = undefined
    },
    list: () =>
      timed('list our CECs', async ({ cecs }) =>
        valueOf(await cecs.list(`${MANAGED_BY_LABEL}=${MANAGED_BY}`), READERS_ROLE),
      ),
    async write(cec, how) {
      const namespace = textOf(fieldAt(cec, 'metadata', 'namespace'))
      const name = textOf(fieldAt(cec, 'metadata', 'name'))
      const title = `CEC ${namespace}/${name}`
      const wanted = cec as KubernetesObject
      await timed(`write ${title}`, async ({ cecs, api }, signal) => {
        const isUnsure = (unsureUntil.get(title) ?? 0) > performance.now()
        const send = async (request: Promise<Written>): Promise<KubernetesObject> => {
          unsureUntil.set(title, performance.now() + UNDER_WAY_MS)
          const outcome = await request
          const isOver = outcome.kind === 'done' || (outcome.kind !== 'away' && !isUnsure)
          if (isOver) unsureUntil.delete(title)
          return valueOf(outcome, WRITERS_ROLE)
        }
        const found = await cecs.read(namespace, name)
        const standing = found.kind === 'missing' ? undefined : valueOf(found, READERS_ROLE)
        if (standing !== undefined && !isOurs(standing)) {
          throw new EnforceError(`Cannot write ${title}: it exists and is not Weir's`, {
            retryable: false,
          })
        }
        if (standing === undefined) {
          if (how?.undo === true) {
            if (!isUnsure) return
            const message = `Cannot write ${title}: an earlier write of it may still come`
            throw new EnforceError(message, { retryable: true })
          }
          await requireConsent(api, namespace, title, signal)
          signal.throwIfAborted()
          await send(cecs.create(wanted))
          return
        }
        const stands = isSame(standing, inPlaceOf(standing, wanted))
        if (stands && !isUnsure) return
        if (!stands && !onlyTakesAway(standing, wanted)) {
          await requireConsent(api, namespace, title, signal)
        }
        signal.throwIfAborted()
        // What is still on its way was meant for exactly what stands there: let it find another version.
        const base = stands ? await send(replaced(cecs.replace(marked(standing)))) : standing
        signal.throwIfAborted()
        await send(replaced(cecs.replace(inPlaceOf(base, wanted))))
      })
    },
  }
}

/** Asks the cluster itself: whatever else is known of the namespace may be old. */
async function requireConsent(
  api: ApiClient,
  namespace: string,
  title: string,
  signal: AbortSignal,
): Promise<void> {
  const action = `read namespace ${namespace}`
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}`
  let found: unknown
  try {
    found = await api.json({ action, method: 'GET', path, idleMs: DEADLINE_MS, signal })
  } catch (cause) {
    const kind = cause instanceof ApiError ? cause.kind : 'away'
    const isForbidden = kind === 'forbidden'
    const why = isForbidden
      ? `RBAC must allow verb "get" on resource "namespaces": bind ClusterRole ${READERS_ROLE}`
      : `whether namespace ${namespace} has opted in is not known`
    throw new EnforceError(`Cannot write ${title}: ${why}`, {
      retryable: !isForbidden && kind !== 'missing',
      cause,
    })
  }
  const isEnding = fieldAt(found, 'metadata', 'deletionTimestamp') !== undefined
  if (fieldAt(found, 'metadata', 'labels', OPT_IN_LABEL) === 'enabled' && !isEnding) return
  const why = isEnding ? 'is being deleted' : `has not opted in (label ${OPT_IN_LABEL}: enabled)`
  throw new EnforceError(`Cannot write ${title}: namespace ${namespace} ${why}`, {
    retryable: false,
  })
}

function isOurs(cec: KubernetesObject): boolean {
  return fieldOf(cec.metadata.labels, MANAGED_BY_LABEL) === MANAGED_BY
}

/** What others put into the metadata stays: their labels, annotations and finalizers. */
function inPlaceOf(standing: KubernetesObject, wanted: KubernetesObject): KubernetesObject {
  const { ownerReferences: _, ...kept } = standing.metadata
  return {
    ...wanted,
    metadata: {
      ...kept,
      ...wanted.metadata,
      labels: withOthers(kept.labels, wanted.metadata.labels),
      annotations: withOthers(kept.annotations, wanted.metadata.annotations),
    },
  }
}

function withOthers(standing: unknown, wanted: unknown): object {
  const others = Object.entries(fieldsOf(standing)).filter(([key]) => !key.startsWith(OUR_PREFIX))
  return { ...Object.fromEntries(others), ...fieldsOf(wanted) }
}

function isSame(standing: KubernetesObject, wanted: KubernetesObject): boolean {
  return canonicalJson(standing as Json) === canonicalJson(wanted as Json)
}

/** Whether rules go by this write, and none comes: told by what stands there, not by what we believe of it. */
function onlyTakesAway(standing: KubernetesObject, wanted: KubernetesObject): boolean {
  const [before, after] = [rulesOf(standing), rulesOf(wanted)]
  return after.size === 0 || (after.size < before.size && [...after].every((r) => before.has(r)))
}

/** Each rule of the CEC's filters as a text that says which filter, whom and how much. */
function rulesOf(cec: KubernetesObject): Set<string> {
  const rules = new Set<string>()
  for (const resource of itemsOf(fieldAt(cec, 'spec', 'resources'))) {
    const filters = fieldsOf(fieldOf(resource, 'typed_per_filter_config'))
    for (const [name, filter] of Object.entries(filters)) {
      for (const part of ['rate_limits', 'descriptors']) {
        for (const rule of itemsOf(fieldOf(filter, part))) {
          rules.add(`${name} ${part} ${canonicalJson(rule as Json)}`)
        }
      }
    }
  }
  return rules
}

/** Until the next write, which brings what is wanted and nothing else of ours. */
function marked(standing: KubernetesObject): KubernetesObject {
  const annotations = { ...fieldsOf(standing.metadata.annotations), [REWRITTEN_ANNOTATION]: '1' }
  return { ...standing, metadata: { ...standing.metadata, annotations } }
}

/** What stood there a moment ago may be gone: then it may be made anew. */
async function replaced(replacing: Promise<Written>): Promise<Written> {
  const outcome = await replacing
  return outcome.kind === 'missing' ? { ...outcome, retryable: true } : outcome
}

/** @throws {EnforceError} as the outcome says; `role` is what has to be bound where RBAC refused. */
function valueOf<T>(outcome: StoreOutcome<T>, role: string): T {
  if (outcome.kind === 'done') return outcome.value
  const { kind, reason, retryable } = outcome
  // A login that is not accepted is forbidden, too, and no ClusterRole would help it.
  const isRbac = kind === 'forbidden' && reason.includes('RBAC must allow')
  throw new EnforceError(isRbac ? `${reason}: bind ClusterRole ${role}` : reason, {
    retryable: retryable && !isRbac,
  })
}
