import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Catalogue } from '../../../src/identity/catalogue.ts'
import type { KubernetesObject } from '../../../src/identity/kubernetes-object.ts'
import { atBackend, atGateway } from './asking.ts'
import {
  type ForwardMatch,
  type ForwardRequest,
  ORDERS,
  sentByGateway,
  takenBy,
} from './gateway-router.ts'
import { httpRoute, object, rule } from './objects.ts'

const HOSTS = ['a.example.com', 'b.example.com', 'c.test']
const PATHS = ['/', '/a', '/a/', '/a/b', '/a/b/c', '/b', '/b/a', '/x', '/x/b', '/x/a/b']
const METHODS = ['GET', 'POST']
const HEADERS = [[], ['x-beta']]
/** Every request that a client may send, as far as the routes below can tell them apart. */
const REQUESTS: readonly ForwardRequest[] = HOSTS.flatMap((host) =>
  PATHS.flatMap((path) =>
    METHODS.flatMap((method) => HEADERS.map((headers) => ({ host, path, method, headers }))),
  ),
)

const path = fc.constantFrom('/', '/a', '/a/', '/a/b', '/b')
const match = fc.record({
  host: fc.constantFrom('', '*.example.com', 'a.example.com'),
  type: fc.constantFrom('Exact', 'PathPrefix'),
  path,
  method: fc.constantFrom(undefined, undefined, 'GET'),
  header: fc.constantFrom(undefined, undefined, 'x-beta'),
  prefix: fc.constantFrom(undefined, undefined, '/x', '/'),
  full: fc.constantFrom(undefined, undefined, undefined, '/x'),
  service: fc.constantFrom('one', 'two'),
})
const matches = fc.array(match, { minLength: 1, maxLength: 6 }).map((all) =>
  all.map((one, n): ForwardMatch => {
    const { type, ...rest } = one
    const isPrefix = type === 'PathPrefix'
    // ReplacePrefixMatch is refused for other matches.
    const prefix = isPrefix && one.full === undefined ? one.prefix : undefined
    return { ...rest, type: isPrefix ? 'PathPrefix' : 'Exact', prefix, api: `api-${n}` }
  }),
)

function objectsOf(all: readonly ForwardMatch[], gatewayClass: string): KubernetesObject[] {
  const routes = all.map((one) => {
    const { api, host, header, service, method, prefix, full } = one
    const headers = header === undefined ? undefined : [{ name: header, value: '1' }]
    const fields = {
      path: one.path,
      type: one.type,
      backend: `service:${service}:80`,
      ...(method !== undefined && { method }),
      ...(headers !== undefined && { headers }),
      ...(prefix !== undefined && { prefix }),
      ...(full !== undefined && { full }),
    }
    const route = httpRoute(api, host === '' ? [] : [host], [rule(fields)])
    return { ...route, spec: { ...(route['spec'] as object), parentRefs: [{ name: 'gw' }] } }
  })
  const listeners = [{ name: 'web', port: 80, protocol: 'HTTP' }]
  const spec = { gatewayClassName: gatewayClass, listeners }
  return [object('gateway.networking.k8s.io/v1', 'Gateway', 'gw', { spec }), ...routes]
}

/** Other people's routes, on hosts and Services of the same names elsewhere. */
const FOREIGN = Array.from({ length: 300 }, (_, n) =>
  httpRoute(
    `foreign-${n}`,
    [`f${n}.example.com`],
    [rule({ path: '/a', backend: 'service:three:80' })],
  ),
)

const headersOf = (names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, '1']))
const namesOf = (taken: readonly ForwardMatch[]): string[] => [
  ...new Set(taken.map(({ api }) => api)),
]

it.each([
  { gatewayClass: 'cilium', orders: [ORDERS.cilium] },
  { gatewayClass: 'some', orders: [ORDERS.cilium, ORDERS.envoyGateway] },
])('decides as gateways of class $gatewayClass do', ({ gatewayClass, orders }) => {
  const property = fc.property(matches, (all) => {
    const catalogue = new Catalogue([...FOREIGN, ...objectsOf(all, gatewayClass)])
    for (const request of REQUESTS) {
      const possible = orders.map((order) => namesOf(takenBy(all, request, order)))
      const truth = [...new Set(possible.flat())].sort()
      const { host, method } = request
      const answer = atGateway(catalogue, host, request.path, method, headersOf(request.headers), {
        query: '',
      })
      const found = answer.candidates.map(({ name }) => name).sort()
      // Where two orders do not agree, a third may take what lies between them.
      if (orders.length === 1 || truth.length <= 1) expect(found).toEqual(truth)
      else expect(found).toEqual(expect.arrayContaining(truth))
      const confidence = truth.length === 0 ? 'none' : found.length > 1 ? 'ambiguous' : 'exact'
      expect(answer.confidence).toBe(confidence)
    }
  })
  fc.assert(property, { numRuns: 150 })
})

/** What leads to the same paths at a backend by way of a rewritten prefix. */
function requestsBehind(all: readonly ForwardMatch[]): ForwardRequest[] {
  const fronts = all.filter(({ prefix }) => prefix !== undefined)
  return REQUESTS.flatMap((request) =>
    fronts.map((front) => {
      const below = request.path.slice((front.prefix ?? '').replace(/\/$/, '').length)
      return { ...request, path: `${front.path.replace(/\/$/, '')}${below}` }
    }),
  ).filter((request) => request.path.startsWith('/'))
}

it('takes at the backend whatever a gateway may have sent, and nothing else', () => {
  let several = 0
  let excluded = 0
  const property = fc.property(matches, (all) => {
    const catalogue = new Catalogue([...FOREIGN, ...objectsOf(all, 'cilium')])
    const arrived = new Map<string, { at: object; path: string; host: string; apis: Set<string> }>()
    for (const request of [...REQUESTS, ...requestsBehind(all)]) {
      for (const taken of takenBy(all, request, ORDERS.cilium)) {
        const { host, method } = request
        const at = { service: `shop/${taken.service}`, port: 80, method, host }
        for (const sent of sentByGateway(taken, request.path)) {
          const key = JSON.stringify([at, sent])
          const known = arrived.get(key) ?? { at, path: sent, host, apis: new Set<string>() }
          known.apis.add(taken.api)
          arrived.set(key, known)
        }
      }
    }
    for (const { at, path: sent, apis } of arrived.values()) {
      if (!PATHS.includes(sent)) continue
      const answer = atBackend(catalogue, sent, at)
      const found = answer.candidates.map(({ name }) => name)
      expect(found).toEqual(expect.arrayContaining([...apis].slice(0, 5 - answer.more)))
      const byPath = atBackend(catalogue, sent, { ...at, direct: true })
      if (apis.size > 1) several++
      if (byPath.candidates.length > found.length) excluded++
      // A prefix that a full path replaces has more ways back than anybody can list.
      const isListed = all.every(({ type, full }) => type === 'Exact' || full === undefined)
      if (isListed) expect(found.sort()).toEqual([...apis].sort())
      expect(answer.confidence).toBe(found.length > 1 ? 'ambiguous' : 'high')
    }
  })
  fc.assert(property, { numRuns: 300 })
  expect([several, excluded].every((count) => count > 50)).toBe(true)
})
