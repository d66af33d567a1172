import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { KubernetesObject } from '../../../src/kubernetes/kubernetes-object.ts'
import {
  type ObjectGuard,
  type ObjectStore,
  openObjectStore,
  type StoreOutcome,
} from '../../../src/kubernetes/object-store.ts'
import { type Kubernetes, startKubernetes } from '../../services/kubernetes.ts'
import { need } from '../../services/need.ts'
import { breakablePathTo } from './breakable-path.ts'
import { namespace, rbacFor } from './cluster-objects.ts'
import { asWeir } from './recorded-watch.ts'

const CECS = {
  group: 'cilium.io',
  version: 'v2',
  plural: 'ciliumenvoyconfigs',
  kind: 'CiliumEnvoyConfig',
  fieldManager: 'weir',
}
const VERBS = ['get', 'list', 'create', 'update', 'patch', 'delete']

function cec(name: string, spec: object = { resources: [] }): KubernetesObject {
  return {
    apiVersion: 'cilium.io/v2',
    kind: 'CiliumEnvoyConfig',
    metadata: { name, namespace: 'shop', labels: { 'app.kubernetes.io/managed-by': 'weir' } },
    spec,
  }
}

function doneOf<T>(outcome: StoreOutcome<T>): T {
  if (outcome.kind !== 'done') throw new Error(`${outcome.kind}: ${outcome.reason}`)
  return outcome.value
}

function guardOf({ metadata }: KubernetesObject): ObjectGuard {
  const { namespace: within = '', name, uid = '', resourceVersion = '' } = metadata
  return { namespace: within, name, uid, resourceVersion }
}

describe.skipIf(need('kubernetes').skip)('openObjectStore()', () => {
  let kubernetes: Kubernetes
  let store: ObjectStore
  beforeAll(async () => {
    kubernetes = await startKubernetes()
    await kubernetes.installCrds('cilium', ['ciliumenvoyconfigs'])
    await kubernetes.apply(namespace('shop'))
    store = await openObjectStore({ ...CECS, connect: asWeir(kubernetes) })
  })
  beforeEach(() => kubernetes.apply(...rbacFor('cecs', ['cilium.io'], [CECS.plural], VERBS)))
  afterAll(async () => {
    store.close()
    await kubernetes.stop()
  })

  it('creates, reads, lists, changes, replaces and deletes', async () => {
    const created = doneOf(await store.create(cec('whole-life')))
    expect(created).toMatchObject({ kind: 'CiliumEnvoyConfig', spec: { resources: [] } })
    const step = { op: 'add', path: '/metadata/annotations', value: { 'weir.dev/armed': 'v1' } }
    const changed = doneOf(await store.patch(guardOf(created), [{ ...step, op: 'add' }]))
    expect(changed.metadata.annotations).toEqual({ 'weir.dev/armed': 'v1' })
    const services = [{ name: 'orders', namespace: 'shop' }]
    const replaced = doneOf(await store.replace({ ...changed, spec: { services, resources: [] } }))
    expect(doneOf(await store.read('shop', 'whole-life'))).toEqual(replaced)
    const listed = doneOf(await store.list('app.kubernetes.io/managed-by=weir'))
    expect(listed.find(({ metadata }) => metadata.name === 'whole-life')).toEqual(replaced)
    expect(doneOf(await store.list('app.kubernetes.io/managed-by=other'))).toEqual([])
    expect(await store.delete(guardOf(replaced))).toEqual({ kind: 'done', value: undefined })
    expect(await store.read('shop', 'whole-life')).toMatchObject({ kind: 'missing' })
  })

  it('writes nothing over what somebody else has changed', async () => {
    const created = doneOf(await store.create(cec('contested')))
    const theirs = { ...cec('contested'), metadata: { ...cec('x').metadata, name: 'contested' } }
    await kubernetes.apply({ ...theirs, spec: { resources: [], services: [{ name: 'theirs' }] } })
    const stale = guardOf(created)
    const step = { op: 'add', path: '/spec/services', value: [{ name: 'ours' }] } as const
    const outcomes = {
      patch: await store.patch(stale, [step]),
      replace: await store.replace({ ...created, spec: { resources: [] } }),
      delete: await store.delete(stale),
      create: await store.create(cec('contested')),
    }
    for (const outcome of Object.values(outcomes)) {
      expect(outcome).toMatchObject({ kind: 'conflict', retryable: true })
    }
    expect(outcomes.patch).toMatchObject({
      reason: 'Cannot change CiliumEnvoyConfig shop/contested: it was changed by somebody else',
    })
    const now = doneOf(await store.read('shop', 'contested'))
    expect(now['spec']).toMatchObject({ services: [{ name: 'theirs' }] })
  })

  it('does not take an object for another that had its name', async () => {
    const first = doneOf(await store.create(cec('reborn')))
    expect((await store.delete(guardOf(first))).kind).toBe('done')
    const second = doneOf(await store.create(cec('reborn')))
    const mixed = { ...guardOf(second), uid: first.metadata.uid ?? '' }
    expect(await store.patch(mixed, [])).toMatchObject({ kind: 'conflict' })
    expect(await store.delete(mixed)).toMatchObject({ kind: 'conflict' })
  })

  it('says what the server will not have, and that trying again is no use', async () => {
    const created = doneOf(await store.create(cec('strict')))
    const outcomes = [
      await store.create(cec('unknown-field', { resources: [], services_: [] })),
      await store.patch(guardOf(created), [{ op: 'add', path: '/spec/resources', value: 3 }]),
      await store.patch(guardOf(created), [{ op: 'remove', path: '/spec/nothing' }]),
      await store.replace(cec('strict')),
    ]
    expect(outcomes.map(({ kind }) => kind)).toEqual(Array(4).fill('refused'))
    expect(outcomes[0]).toMatchObject({
      reason: expect.stringContaining('unknown field "spec.services_"'),
      retryable: false,
    })
    expect(outcomes[1]).toMatchObject({
      reason: expect.stringContaining('spec.resources in body must be of type array'),
    })
  })

  it('names the rule of RBAC that a write wants', async () => {
    const created = doneOf(await store.create(cec('forbidden')))
    await kubernetes.apply(...rbacFor('cecs', ['cilium.io'], [CECS.plural], ['get']))
    // The server's authorizer hears of it in a moment.
    await expect.poll(() => store.create(cec('another'))).toMatchObject({ kind: 'forbidden' })
    const outcome = await store.patch(guardOf(created), [])
    expect(outcome).toMatchObject({ kind: 'forbidden', retryable: true })
    expect(outcome).toMatchObject({
      reason: expect.stringContaining(
        'RBAC must allow verb "patch" on resource "ciliumenvoyconfigs" of apiGroup "cilium.io" in namespace "shop"',
      ),
    })
  })

  it('tells a missing object, namespace and kind', async () => {
    const nowhere = { ...cec('x'), metadata: { name: 'x', namespace: 'nowhere' } }
    const guard = { namespace: 'shop', name: 'nobody', uid: 'u', resourceVersion: '1' }
    expect(await store.create(nowhere)).toMatchObject({ kind: 'missing', retryable: false })
    expect(await store.patch(guard, [])).toMatchObject({ kind: 'missing' })
    expect(await store.delete(guard)).toMatchObject({ kind: 'missing' })
    const unknown = await openObjectStore({
      ...CECS,
      version: 'v9',
      connect: { ...asWeir(kubernetes), token: kubernetes.adminToken },
    })
    expect(await unknown.list('')).toMatchObject({ kind: 'missing' })
    unknown.close()
  })

  it('is away while nothing answers, and writes when the path is back', async () => {
    const path = await breakablePathTo(kubernetes.server)
    const connect = { ...asWeir(kubernetes), server: path.server }
    const remote = await openObjectStore({ ...CECS, connect, idleMs: 500 })
    path.hush()
    expect(await remote.create(cec('unheard'))).toMatchObject({ kind: 'away', retryable: true })
    path.cut()
    const cut = await remote.create(cec('remote'))
    expect(cut).toMatchObject({ kind: 'away', retryable: true })
    expect(JSON.stringify(cut)).not.toContain(kubernetes.weirToken)
    path.mend()
    expect(await remote.create(cec('remote'))).toMatchObject({ kind: 'done' })
    remote.close()
  })
})
