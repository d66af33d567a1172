import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { directoryOf } from '../fixtures/directory.ts'
import { recordsOfCall } from '../services/access-log.ts'
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

function route(name: string, path: string, service = 'orders') {
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
          backendRefs: [{ name: service, port: 8_080 }],
        },
      ],
    },
  }
}

/** A ClusterRole of `deploy/`, for the user `weir`. */
function roleOfDeploy(name: string): object[] {
  const documents = parseAllDocuments(readFileSync('deploy/weir.yaml', 'utf8'))
  const role = documents
    .map((document) => document.toJS() as { kind?: string; metadata?: { name?: string } } | null)
    .find((object) => object?.kind === 'ClusterRole' && object.metadata?.name === name)
  if (role === null || role === undefined) throw new Error(`Cannot find ${name} in deploy/`)
  return [
    role,
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name },
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
        ...roleOfDeploy('weir-reader'),
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

    it('puts a limit on who guesses passwords into the cluster, and takes it back', async () => {
      await cluster.installCrds('cilium', ['ciliumenvoyconfigs', 'ciliumclusterwideenvoyconfigs'])
      const labels = { 'weir.dev/enforce': 'enabled' }
      await cluster.apply(
        { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop', labels } },
        { ...SERVICE, metadata: meta('accounts') },
        route('accounts', '/login', 'accounts'),
        {
          apiVersion: 'discovery.k8s.io/v1',
          kind: 'EndpointSlice',
          metadata: meta('accounts-1', { labels: { 'kubernetes.io/service-name': 'accounts' } }),
          addressType: 'IPv4',
          endpoints: [{ addresses: ['10.0.3.2'] }],
          ports: [{ port: 8_080 }],
        },
        ...roleOfDeploy('weir-enforcer'),
      )
      const node = await startHubbleNode({ name: 'node-1' })
      await node.command({
        do: 'names',
        pods: {
          '10.0.3.9': { namespace: 'labs', pod: 'tester-1', identity: 1_009 },
          '10.0.3.2': { namespace: 'shop', pod: 'accounts-1', identity: 1_002 },
        },
      })
      const relay = await startRelay({ peerAddress: node.address })
      const directory = directoryOf({ kubeconfig: kubeconfigOf(cluster) })
      const weir = await startWeir(
        ['run', '--relay', relay.address, '--mode', 'shadow'],
        directory,
        {
          WEIR_EVENTS_PUBLISHER: 'none',
          WEIR_RESPOND_TARGET: 'kubernetes',
          WEIR_IDENTITY_KUBERNETES_KUBECONFIG: join(directory, 'kubeconfig'),
        },
      )
      await poll(
        () => readinessOf(weir),
        ({ ready }) => ready,
      )
      await poll(
        () => apisOf(weir),
        (names) => names.includes('accounts'),
      )
      for (let n = 0; n < 12; n++) {
        const call = recordsOfCall({
          from: { IPv4: '10.0.3.9', Port: 41_000 + n, Identity: 1_009 },
          to: { IPv4: '10.0.3.2', Port: 8_080, Identity: 1_002 },
          method: 'POST',
          host: 'accounts.shop:8080',
          path: '/login',
          status: 401,
        })
        await node.feedRecords(call)
      }
      const CEC = '/apis/cilium.io/v2/namespaces/shop/ciliumenvoyconfigs/weir-accounts'
      const cec = async () => JSON.stringify((await cluster.call('GET', CEC)).body)
      expect(await poll(cec, (text) => text.includes('10.0.3.9'), 40_000)).toContain('10.0.3.9')
      const limits = await (await fetch(`${weir.url}/api/v1/limits`)).json()
      expect(limits).toMatchObject({ items: [{ mode: 'shadow', state: 'shadow' }] })
      expect((await weir.stop()).code).toBe(0)
      expect(await cec()).not.toContain('10.0.3.9')
      await relay.stop()
      await node.stop()
    })
  },
)
