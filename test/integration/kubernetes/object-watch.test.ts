import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { WatchedResource } from '../../../src/kubernetes/watched-resource.ts'
import { directoryOf } from '../../fixtures/directory.ts'
import { WSO2_CRDS } from '../../fixtures/wso2-crds.ts'
import { type Kubernetes, startKubernetes } from '../../services/kubernetes.ts'
import { need } from '../../services/need.ts'
import {
  configMap,
  httpRoute,
  namespace,
  rbacFor,
  service,
  weirsOwnRbac,
} from './cluster-objects.ts'
import { startWatch, until } from './recorded-watch.ts'

const SERVICES: WatchedResource = { group: '', plural: 'services', optional: false }
const ROUTES: WatchedResource = {
  group: 'gateway.networking.k8s.io',
  plural: 'httproutes',
  optional: true,
}
const APIS: WatchedResource = { group: 'dp.wso2.com', plural: 'apis', optional: true }
const CONFIG_MAPS: WatchedResource = { group: '', plural: 'configmaps', optional: true }
const inShop = (resource: WatchedResource): WatchedResource => ({ ...resource, namespace: 'shop' })

describe.skipIf(need('kubernetes').skip)('createObjectWatch()', () => {
  let kubernetes: Kubernetes
  beforeAll(async () => {
    kubernetes = await startKubernetes()
    await kubernetes.installCrds('gateway-api', ['httproutes'])
    await kubernetes.apply(namespace('shop'), ...weirsOwnRbac())
  })
  afterAll(() => kubernetes.stop())

  it('reads several kinds first, as a user with no rights but those of deploy/', async () => {
    await kubernetes.apply(service('first-sync'), httpRoute('first-sync'))
    const resources = [SERVICES, { group: '', plural: 'namespaces', optional: false }, ROUTES, APIS]
    const { watch, status, synced, lists } = await startWatch(kubernetes, { resources })
    await until(() => synced() === 1, status)
    expect(lists.map((list) => list.split(' ')[0])).toEqual(
      expect.arrayContaining(['services', 'namespaces', 'httproutes.gateway.networking.k8s.io']),
    )
    const route = watch.objects().find(({ kind }) => kind === 'HTTPRoute')
    expect(route).toMatchObject({
      apiVersion: 'gateway.networking.k8s.io/v1',
      metadata: { name: 'first-sync', namespace: 'shop' },
      spec: { rules: [{ matches: [{ path: { value: '/first-sync' } }] }] },
    })
    expect(route?.metadata).not.toHaveProperty('managedFields')
    expect(watch.objects().find(({ metadata }) => metadata.name === 'first-sync')).toMatchObject({
      apiVersion: 'v1',
      kind: 'Service',
    })
    expect(status().find(({ resource }) => resource === 'apis.dp.wso2.com')).toMatchObject({
      state: 'missing',
      reason: 'The cluster has no apis.dp.wso2.com',
    })
  })

  it('tells of changes in their order', async () => {
    const resources = [inShop(SERVICES)]
    const { changes, synced } = await startWatch(kubernetes, { resources })
    await until(() => synced() === 1)
    for (const step of ['1', '2', '3']) await kubernetes.apply(service('in-order', { step }))
    await kubernetes.remove(service('in-order'))
    await kubernetes.apply(service('in-order'))
    await until(
      () => changes.length === 5,
      () => changes,
    )
    expect(changes).toEqual([
      'added shop/in-order',
      'modified shop/in-order',
      'modified shop/in-order',
      'deleted shop/in-order',
      'added shop/in-order',
    ])
  })

  it('picks up a kind whose CRD is installed later, and forgets it with its CRD', async () => {
    const recorded = await startWatch(kubernetes, { resources: [APIS] })
    const { watch, status, names, lists, states } = recorded
    await until(() => recorded.synced() === 1)
    expect(states).toEqual(['apis.dp.wso2.com missing'])
    await kubernetes.apply(...WSO2_CRDS.slice(0, 1))
    const api = { kind: 'API', metadata: { name: 'orders', namespace: 'shop' }, spec: {} }
    await kubernetes.apply({ ...api, apiVersion: 'dp.wso2.com/v1alpha1' })
    await until(() => names().includes('orders'), status)
    // The newest version that is served, whichever the object was written in.
    expect(watch.objects()[0]).toMatchObject({ apiVersion: 'dp.wso2.com/v1alpha3', kind: 'API' })
    await kubernetes.remove(WSO2_CRDS[0] ?? {})
    await until(() => states.at(-1) === 'apis.dp.wso2.com missing', status)
    expect(names()).toEqual([])
    expect(lists.at(-1)).toBe('apis.dp.wso2.com 0')
  })

  it('reads in the version that its readers know best', async () => {
    await kubernetes.apply(...WSO2_CRDS)
    const resources = [{ ...APIS, versions: ['v9', 'v1alpha2', 'v1alpha1'] }]
    const { status, synced } = await startWatch(kubernetes, { resources })
    await until(() => synced() === 1 && status()[0]?.state === 'synced', status)
    expect(status()[0]?.apiVersion).toBe('dp.wso2.com/v1alpha2')
  })

  it('says which rule of RBAC is missing, and goes on once it is there', async () => {
    const resources = [{ group: '', plural: 'endpoints', optional: true }]
    const { status, states, reasons, synced } = await startWatch(kubernetes, { resources })
    await until(() => synced() === 1)
    expect(states).toEqual(['endpoints forbidden'])
    expect(reasons.get('endpoints')).toContain(
      'RBAC must allow verb "list" on resource "endpoints" of apiGroup "" in all namespaces',
    )
    await kubernetes.apply(...rbacFor('list-endpoints', [''], ['endpoints'], ['list']))
    await until(() => reasons.get('endpoints')?.includes('verb "watch"') === true, status)
    await kubernetes.apply(...rbacFor('list-endpoints', [''], ['endpoints'], ['list', 'watch']))
    await until(() => states.at(-1) === 'endpoints synced', status)
  })

  it('follows single ConfigMaps by their names, and reads no others', async () => {
    await kubernetes.apply(configMap('wanted', 'one'), configMap('other', 'secret'))
    // By name: not even the list of a namespace is allowed.
    const byName = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'Role',
      metadata: { name: 'read-wanted', namespace: 'shop' },
      rules: [
        {
          apiGroups: [''],
          resources: ['configmaps'],
          resourceNames: ['wanted'],
          verbs: ['list', 'watch'],
        },
      ],
    }
    await kubernetes.apply(byName, {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: 'read-wanted', namespace: 'shop' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'read-wanted' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'weir' }],
    })
    const { watch, status, names, changes } = await startWatch(kubernetes, {
      resources: [],
      followedMax: 1,
    })
    const wanted = { namespace: 'shop', name: 'wanted' }
    expect(watch.follow(CONFIG_MAPS, [wanted])).toBe(0)
    await until(() => names().includes('wanted'), status)
    await kubernetes.apply(configMap('wanted', 'two'), configMap('other', 'still secret'))
    await until(
      () => changes.includes('modified shop/wanted'),
      () => changes,
    )
    expect(watch.objects()).toMatchObject([{ data: { definition: 'two' } }])
    expect(watch.follow(CONFIG_MAPS, [wanted, { namespace: 'shop', name: 'other' }])).toBe(1)
    expect(status()).toMatchObject([{ resource: 'configmaps', objects: 1, leftOut: 1 }])
    watch.follow(CONFIG_MAPS, [])
    expect(names()).toEqual([])
    expect(changes.at(-1)).toBe('deleted shop/wanted')
  })

  it('reads its token again when the file changes, and shows it to nobody', async () => {
    const directory = directoryOf({ token: 'wrong-token-of-yesterday\n' })
    const { server, caFile, weirToken } = kubernetes
    const tokenFile = join(directory, 'token')
    const { status, states, reasons } = await startWatch(kubernetes, {
      connect: { from: 'server', server, caFile, tokenFile },
      resources: [SERVICES],
    })
    await until(() => states.includes('services forbidden'), status)
    expect(reasons.get('services')).toContain('does not accept our login')
    expect(reasons.get('services')).not.toContain('yesterday')
    writeFileSync(tokenFile, `${weirToken}\n`)
    await until(() => states.at(-1) === 'services synced', status)
  })

  it('takes a kubeconfig', async () => {
    const { server, caFile, weirToken } = kubernetes
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster: { server, 'certificate-authority': caFile } }],
      users: [{ name: 'weir', user: { token: weirToken } }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'weir' } }],
      'current-context': 'test',
    }
    const path = join(directoryOf({ config: JSON.stringify(config) }), 'config')
    const connect = { from: 'kubeconfig', path } as const
    const { status, synced } = await startWatch(kubernetes, { connect, resources: [SERVICES] })
    await until(() => synced() === 1, status)
  })

  it('keeps no more objects than it may, and counts the others', async () => {
    await kubernetes.apply(service('bounded-1'), service('bounded-2'), service('bounded-3'))
    const { status, synced } = await startWatch(kubernetes, {
      resources: [inShop(SERVICES)],
      objectsMax: 2,
    })
    await until(() => synced() === 1, status)
    expect(status()[0]?.objects).toBe(2)
    expect(status()[0]?.leftOut).toBeGreaterThanOrEqual(1)
  })
})
