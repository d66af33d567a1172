import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { directoryOf } from '../fixtures/directory.ts'
import { startHubbleNode, startRelay } from '../services/hubble.ts'
import { type Kubernetes, startKubernetes } from '../services/kubernetes.ts'
import { need } from '../services/need.ts'
import { poll, type Running, startWeir } from './weir.ts'

const GATEWAY_API = 'gateway.networking.k8s.io/v1'
const meta = (name: string, over: object = {}) => ({ name, namespace: 'shop', ...over })

const GATEWAY = {
  apiVersion: GATEWAY_API,
  kind: 'Gateway',
  metadata: meta('public'),
  spec: {
    gatewayClassName: 'cilium',
    listeners: [{ name: 'http', port: 80, protocol: 'HTTP' }],
  },
}
const SERVICE = {
  apiVersion: 'v1',
  kind: 'Service',
  metadata: meta('orders'),
  spec: { selector: { app: 'orders' }, ports: [{ port: 8_080 }] },
}

function route(name: string, path: string) {
  return {
    apiVersion: GATEWAY_API,
    kind: 'HTTPRoute',
    metadata: meta(name),
    spec: {
      parentRefs: [{ name: 'public' }],
      hostnames: ['api.shop.example'],
      rules: [
        {
          matches: [{ path: { type: 'PathPrefix', value: path } }],
          backendRefs: [{ name: 'orders', port: 8_080 }],
        },
      ],
    },
  }
}

/** What `deploy/` lets Weir read, for the user `weir`. */
function roleOfDeploy(): object[] {
  const documents = parseAllDocuments(readFileSync('deploy/weir.yaml', 'utf8'))
  const role = documents
    .map((document) => document.toJS() as { kind?: string; metadata?: { name?: string } })
    .find(({ kind, metadata }) => kind === 'ClusterRole' && metadata?.name === 'weir-reader')
  if (role === undefined) throw new Error('Cannot find the ClusterRole weir-reader in deploy/')
  return [
    role,
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: 'weir-reader' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'weir-reader' },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'weir' }],
    },
  ]
}

function kubeconfigOf({ server, caFile, weirToken }: Kubernetes): string {
  return JSON.stringify({
    clusters: [{ name: 'c', cluster: { server, 'certificate-authority': caFile } }],
    users: [{ name: 'u', user: { token: weirToken } }],
    contexts: [{ name: 'x', context: { cluster: 'c', user: 'u' } }],
    'current-context': 'x',
  })
}

const apisOf = async ({ url }: Running) => {
  const { items } = (await (await fetch(`${url}/api/v1/apis`)).json()) as {
    items: { api: { name: string } }[]
  }
  return items.map(({ api }) => api.name).toSorted()
}
const readinessOf = async ({ url }: Running) =>
  (await (await fetch(`${url}/readyz`)).json()) as { ready: boolean; degraded: string[] }

describe.skipIf(need('kubernetes', 'hubble').skip)(
  'a catalogue that is watched in a real cluster',
  () => {
    let cluster: Kubernetes

    beforeAll(async () => {
      cluster = await startKubernetes()
      await cluster.installCrds('gateway-api', ['gateways', 'httproutes'])
      await cluster.apply(
        { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } },
        SERVICE,
        GATEWAY,
        route('orders', '/orders'),
        ...roleOfDeploy(),
      )
    })
    afterAll(() => cluster?.stop())

    it('follows what is declared, is well without CRDs, and says what it may not read', async () => {
      const node = await startHubbleNode({ name: 'node-1' })
      const relay = await startRelay({ peerAddress: node.address })
      const directory = directoryOf({ kubeconfig: kubeconfigOf(cluster) })
      const weir = await startWeir(['run', '--relay', relay.address], directory, {
        WEIR_EVENTS_PUBLISHER: 'none',
        WEIR_IDENTITY_KUBERNETES_KUBECONFIG: join(directory, 'kubeconfig'),
      })
      expect(
        (
          await poll(
            () => readinessOf(weir),
            ({ ready }) => ready,
          )
        ).ready,
      ).toBe(true)
      expect(await apisOf(weir)).toEqual(['orders'])

      await cluster.apply(route('carts', '/carts'))
      expect(
        await poll(
          () => apisOf(weir),
          ({ length }) => length === 2,
        ),
      ).toEqual(['carts', 'orders'])
      await cluster.remove(route('orders', '/orders'))
      expect(
        await poll(
          () => apisOf(weir),
          ({ length }) => length === 1,
        ),
      ).toEqual(['carts'])

      await cluster.kill()
      const away = await poll(
        () => readinessOf(weir),
        ({ degraded }) => degraded.some((what) => what.startsWith('kubernetes ')),
      )
      expect(away).toMatchObject({ ready: true })
      expect(away.degraded.length).toBeGreaterThan(0)
      await cluster.start()
      await cluster.apply(route('stock', '/stock'))
      expect(
        await poll(
          () => apisOf(weir),
          ({ length }) => length === 2,
          60_000,
        ),
      ).toEqual(['carts', 'stock'])
      const back = await poll(
        () => readinessOf(weir),
        ({ degraded }) => degraded.length <= 1,
        60_000,
      )
      // Nobody may read all ConfigMaps.
      expect(back.degraded.filter((what) => !what.includes('configmaps'))).toEqual([])
      expect((await weir.stop()).code).toBe(0)
      await relay.stop()
      await node.stop()
    })
  },
)
