import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { WatchedResource } from '../../../src/kubernetes/watched-resource.ts'
import { type Kubernetes, startKubernetes } from '../../services/kubernetes.ts'
import { need } from '../../services/need.ts'
import { type BreakablePath, breakablePathTo } from './breakable-path.ts'
import { httpRoute, namespace, rbacFor, service } from './cluster-objects.ts'
import { asWeir, startWatch, until } from './recorded-watch.ts'

const SERVICES: WatchedResource = {
  group: '',
  plural: 'services',
  namespace: 'shop',
  optional: false,
}
const GATEWAY_GROUP = 'gateway.networking.k8s.io'
const ROUTES: WatchedResource = {
  group: GATEWAY_GROUP,
  plural: 'httproutes',
  namespace: 'shop',
  optional: true,
}

describe.skipIf(need('kubernetes').skip)('createObjectWatch() when things break', () => {
  let kubernetes: Kubernetes
  beforeAll(async () => {
    kubernetes = await startKubernetes()
    await kubernetes.installCrds('gateway-api', ['httproutes'])
    const verbs = ['get', 'list', 'watch']
    await kubernetes.apply(namespace('shop'))
    await kubernetes.apply(...rbacFor('routes', [GATEWAY_GROUP], ['httproutes'], verbs))
    await kubernetes.apply(...rbacFor('services', [''], ['services'], verbs))
  })
  afterAll(() => kubernetes.stop())

  it('loses nothing when the API server is killed, and sees what was deleted meanwhile', async () => {
    await kubernetes.apply(service('stays'), service('goes'), httpRoute('stays'), httpRoute('goes'))
    const path = await breakablePathTo(kubernetes.server)
    const { status, changes, names, states, synced } = await startWatch(kubernetes, {
      connect: { ...asWeir(kubernetes), server: path.server },
      resources: [SERVICES, ROUTES],
    })
    const isEach = (state: string): boolean => status().every((each) => each.state === state)
    await until(() => synced() === 1 && isEach('synced'), status)
    await kubernetes.kill()
    await until(() => isEach('away'), status)
    expect(names().sort()).toEqual(['goes', 'goes', 'stays', 'stays'])
    // The watch comes back when all is done, and not in between.
    path.cut()
    await kubernetes.start()
    await kubernetes.remove(service('goes'))
    await kubernetes.remove(httpRoute('goes'))
    await kubernetes.apply(service('comes'), httpRoute('comes'))
    path.mend()
    await until(
      () => changes.length >= 4 && isEach('synced'),
      () => [changes, status()],
    )
    expect(changes.toSorted()).toEqual([
      'added shop/comes',
      'added shop/comes',
      'deleted shop/goes',
      'deleted shop/goes',
    ])
    expect(names().sort()).toEqual(['comes', 'comes', 'stays', 'stays'])
    expect(states).toContain('services away')
    expect(synced()).toBe(1)
  })

  it('lists again and tells the differences when its resourceVersion is too old', async () => {
    await kubernetes.apply(service('old-1'), service('old-2'))
    const path = await breakablePathTo(kubernetes.server)
    const { status, changes, lists, states, synced } = await startWatch(kubernetes, {
      connect: { ...asWeir(kubernetes), server: path.server },
      resources: [SERVICES],
    })
    await until(() => synced() === 1, status)
    path.cut()
    await until(() => states.includes('services away'), status)
    await kubernetes.remove(service('old-1'))
    await kubernetes.apply(service('old-2', { changed: 'yes' }), service('old-3'))
    // A server that has seen nothing of it, over a history that is gone.
    await kubernetes.kill()
    await kubernetes.compact()
    await kubernetes.start()
    path.mend()
    await until(
      () => changes.length >= 3,
      () => [changes, status()],
    )
    expect(changes.toSorted()).toEqual([
      'added shop/old-3',
      'deleted shop/old-1',
      'modified shop/old-2',
    ])
    expect(status()[0]).toMatchObject({ state: 'synced', lists: 2, events: 0 })
    expect(lists).toHaveLength(1)
  })

  it.each([
    {
      why: 'a server that is frozen',
      breaks: (pid: number) => process.kill(pid, 'SIGSTOP'),
      mends: (pid: number) => process.kill(pid, 'SIGCONT'),
    },
    {
      why: 'a path that swallows everything',
      breaks: (_: number, path: BreakablePath) => path.hush(),
      mends: (_: number, path: BreakablePath) => path.mend(),
    },
  ])('notices $why, and goes on without a list', async ({ breaks, mends }) => {
    const path = await breakablePathTo(kubernetes.server)
    const { status, changes, states, synced } = await startWatch(kubernetes, {
      connect: { ...asWeir(kubernetes), server: path.server },
      resources: [SERVICES],
      timing: { watchIdleMs: 800, requestIdleMs: 800 },
    })
    await until(() => synced() === 1, status)
    breaks(kubernetes.pid, path)
    try {
      await until(() => states.includes('services away'), status)
      expect(status()[0]?.reason).toContain('nothing came for 800 ms')
    } finally {
      mends(kubernetes.pid, path)
    }
    const name = `after-silence-${Date.now()}`
    await kubernetes.apply(service(name))
    await until(
      () => changes.includes(`added shop/${name}`),
      () => changes,
    )
    expect(status()[0]).toMatchObject({ state: 'synced', lists: 1 })
  })

  it('goes on from the last bookmark when a quiet watch ends', async () => {
    const { status, changes, states, synced } = await startWatch(kubernetes, {
      resources: [ROUTES],
      // The server sends a bookmark about two seconds before it ends a watch, where it has anything
      // new to say: etcd tells it every 5 s.
      timing: { watchMs: 9_000 },
    })
    await until(() => synced() === 1, status)
    for (let i = 0; i < 5; i++) await kubernetes.apply(service(`noise-${i}`))
    await until(() => (status()[0]?.watches ?? 0) >= 2, status)
    await kubernetes.apply(httpRoute('after-bookmark'))
    await until(
      () => changes.includes('added shop/after-bookmark'),
      () => changes,
    )
    expect(changes).toEqual(['added shop/after-bookmark'])
    expect(status()[0]).toMatchObject({ lists: 1, events: 1 })
    expect(status()[0]?.bookmarks).toBeGreaterThanOrEqual(1)
    // An orderly end is no outage.
    expect(states).toEqual([`httproutes.${GATEWAY_GROUP} synced`])
  })

  it('reads its list again as often as it was told to', async () => {
    const { status, changes, synced } = await startWatch(kubernetes, {
      resources: [SERVICES],
      timing: { relistEveryMs: 1_000 },
    })
    await until(() => synced() === 1, status)
    await until(() => (status()[0]?.lists ?? 0) >= 3, status)
    expect(changes).toEqual([])
  })

  it('reads 10,000 objects without a hold of 50 ms on the loop', async () => {
    const rules = Array.from({ length: 5 }, (_, i) => ({
      matches: [{ path: { type: 'PathPrefix', value: `/orders/${i}` } }],
      backendRefs: [{ name: `orders-${i}`, port: 8080 }],
    }))
    const routes = Array.from({ length: 10_000 }, (_, i) => ({
      apiVersion: `${GATEWAY_GROUP}/v1`,
      kind: 'HTTPRoute',
      metadata: { name: `many-${i}`, namespace: 'many', labels: { app: `app-${i % 50}` } },
      spec: { hostnames: [`host-${i}.test`], rules },
    }))
    await kubernetes.seed(`${GATEWAY_GROUP}/httproutes`, routes)
    let longestMs = 0
    let before = process.threadCpuUsage()
    // What the thread worked between two turns: the time that others take from it does not count.
    const turn = setInterval(() => {
      const spent = process.threadCpuUsage(before)
      longestMs = Math.max(longestMs, (spent.user + spent.system) / 1_000)
      before = process.threadCpuUsage()
    }, 1)
    const { status, synced } = await startWatch(kubernetes, {
      resources: [{ ...ROUTES, namespace: 'many' }],
    })
    longestMs = 0 // The client library is loaded by now, which is one long turn.
    await until(() => synced() === 1, status)
    await sleep(20)
    clearInterval(turn)
    expect(status()[0]).toMatchObject({ objects: 10_000, leftOut: 0, lists: 1 })
    expect(longestMs).toBeLessThan(50)
  })
})
