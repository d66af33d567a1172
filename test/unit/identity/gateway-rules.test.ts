import { describe, expect, it } from 'vitest'
import type { KubernetesObject } from '../../../src/identity/kubernetes-object.ts'
import { type At, atBackend, atGateway, short } from './asking.ts'
import { catalogueOf, httpRoute, object, type RuleFields, routeMetadata, rule } from './objects.ts'

const GATEWAY_API = 'gateway.networking.k8s.io/v1'
const HOST = 'a.example.com'

type Fields = Readonly<Record<string, unknown>>

function gateway(listeners: readonly Fields[], spec: Fields = {}): KubernetesObject {
  const all = { spec: { gatewayClassName: 'some', listeners, ...spec } }
  return object(GATEWAY_API, 'Gateway', 'gw', all, { namespace: 'infra' })
}

/** A route of Gateway infra/gw. */
function attached(
  name: string,
  hosts: readonly string[],
  rules: readonly Fields[],
  parent: Fields = {},
  metadata: Fields = {},
): KubernetesObject {
  const route = httpRoute(name, hosts, rules, metadata)
  const parentRefs = [{ name: 'gw', namespace: 'infra', ...parent }]
  return { ...route, spec: { ...(route['spec'] as Fields), parentRefs } }
}

const listener = (fields: Fields = {}): Fields => ({
  name: 'web',
  port: 80,
  protocol: 'HTTP',
  allowedRoutes: { namespaces: { from: 'All' } },
  ...fields,
})

describe('whether a route is attached', () => {
  const namespace = (labels: Fields): KubernetesObject =>
    object('v1', 'Namespace', 'shop', {}, { labels })
  const selector = (match: Fields): Fields => ({
    allowedRoutes: { namespaces: { from: 'Selector', selector: match } },
  })
  it.each<{
    why: string
    listeners: Fields[]
    parent?: Fields
    hosts?: string[]
    more?: KubernetesObject[]
    is: boolean
  }>([
    { why: 'all namespaces', listeners: [listener()], is: true },
    {
      why: 'its own namespace only, which is the default',
      listeners: [listener({ allowedRoutes: {} })],
      is: false,
    },
    {
      why: 'no namespace',
      listeners: [listener({ allowedRoutes: { namespaces: { from: 'None' } } })],
      is: false,
    },
    {
      why: 'a namespace with the label',
      listeners: [listener(selector({ matchLabels: { team: 'shop' } }))],
      more: [namespace({ team: 'shop' })],
      is: true,
    },
    {
      why: 'a namespace with another label',
      listeners: [listener(selector({ matchLabels: { team: 'pay' } }))],
      more: [namespace({ team: 'shop' })],
      is: false,
    },
    {
      why: 'a namespace that is not known may have it',
      listeners: [listener(selector({ matchLabels: { team: 'pay' } }))],
      is: true,
    },
    {
      why: 'a namespace by its name, known or not',
      listeners: [listener(selector({ matchLabels: { 'kubernetes.io/metadata.name': 'pay' } }))],
      is: false,
    },
    {
      why: 'an expression',
      listeners: [
        listener(
          selector({ matchExpressions: [{ key: 'team', operator: 'NotIn', values: ['shop'] }] }),
        ),
      ],
      more: [namespace({ team: 'shop' })],
      is: false,
    },
    {
      why: 'another kind',
      listeners: [
        listener({
          allowedRoutes: { namespaces: { from: 'All' }, kinds: [{ kind: 'GRPCRoute' }] },
        }),
      ],
      is: false,
    },
    {
      why: 'a listener that does not read HTTP',
      listeners: [listener({ protocol: 'TLS' })],
      is: false,
    },
    {
      why: 'a section of another name',
      listeners: [listener()],
      parent: { sectionName: 'tls' },
      is: false,
    },
    { why: 'its section', listeners: [listener()], parent: { sectionName: 'web' }, is: true },
    { why: 'another port', listeners: [listener()], parent: { port: 81 }, is: false },
    { why: 'its port', listeners: [listener()], parent: { port: 80 }, is: true },
    { why: "a listener's host", listeners: [listener({ hostname: HOST })], is: true },
    {
      why: "a listener's wildcard",
      listeners: [listener({ hostname: '*.example.com' })],
      is: true,
    },
    {
      why: "another listener's host",
      listeners: [listener({ hostname: 'b.example.com' })],
      is: false,
    },
    {
      why: 'a wildcard that the listener cuts down to this host',
      listeners: [listener({ hostname: HOST })],
      hosts: ['*.example.com'],
      is: true,
    },
    {
      why: 'a wildcard that the listener cuts down to another',
      listeners: [listener({ hostname: 'b.example.com' })],
      hosts: ['*.example.com'],
      is: false,
    },
    { why: 'no host of its own', listeners: [listener({ hostname: HOST })], hosts: [], is: true },
  ])('$why: $is', ({ listeners, parent, hosts = [HOST], more = [], is }) => {
    const route = attached('r', hosts, [rule({ path: '/', backend: 'service:orders:80' })], parent)
    const catalogue = catalogueOf(gateway(listeners), route, ...more)
    expect(short(atGateway(catalogue, HOST, '/x'))).toBe(is ? 'r * /{rest...} exact' : 'none')
  })

  it('leads nowhere where no gateway takes it, and everywhere where pods send by it', () => {
    const rules = [rule({ path: '/', backend: 'service:orders:80' })]
    const none = gateway([listener({ allowedRoutes: {} })])
    expect(short(atBackend(catalogueOf(none, attached('r', [HOST], rules)), '/x'))).toBe('none')
    const mesh = attached('r', [], rules, { kind: 'Service', name: 'orders' })
    expect(short(atBackend(catalogueOf(none, mesh), '/x'))).toBe('r * /{rest...} high')
  })

  it('tells of a Gateway that does not take it, and counts one that is not known', () => {
    const route = attached('r', [HOST], [rule({ path: '/', backend: 'service:orders:80' })])
    const refused = catalogueOf(gateway([listener({ allowedRoutes: {} })]), route)
    expect(refused.problems.map(({ reason }) => reason)).toEqual([
      'Gateway infra/gw has no listener that takes it',
    ])
    expect(short(atGateway(catalogueOf(route), HOST, '/x'))).toBe('r * /{rest...} exact')
  })
})

describe('which of two listeners', () => {
  const rules = [rule({ path: '/', backend: 'service:orders:80' })]
  const redirect = [rule({ path: '/', filters: [{ type: 'RequestRedirect' }] })]
  const catalogue = catalogueOf(
    gateway([listener(), listener({ name: 'tls', port: 443, protocol: 'HTTPS' })]),
    attached('app', [HOST], rules, { sectionName: 'tls' }),
    attached('to-tls', [HOST], redirect, { sectionName: 'web' }),
  )
  it.each([
    { why: 'nothing tells', host: HOST, port: 0, is: 'ambiguous app to-tls' },
    { why: 'the port of the connection', host: HOST, port: 443, is: 'app * /{rest...} exact' },
    { why: 'the port of the host', host: `${HOST}:80`, port: 0, is: 'to-tls * /{rest...} exact' },
    { why: 'a port that is none of theirs', host: HOST, port: 8443, is: 'ambiguous app to-tls' },
  ])('$why', ({ host, port, is }) => {
    expect(short(atGateway(catalogue, host, '/x', 'GET', undefined, { port }))).toBe(is)
  })
})

describe('which host', () => {
  const rules = (path: string): Fields[] => [rule({ path, backend: 'service:orders:80' })]
  it('is one only at one gateway: what its routes lack is answered by nobody', () => {
    const catalogue = catalogueOf(
      gateway([listener()]),
      attached('exact', [HOST], rules('/x')),
      attached('wild', ['*.example.com'], rules('/w')),
    )
    expect(short(atGateway(catalogue, HOST, '/w'))).toBe('none')
    expect(short(atGateway(catalogue, 'b.example.com', '/w'))).toBe('wild * /w/{rest...} exact')
  })
  it('may be of two gateways', () => {
    const catalogue = catalogueOf(
      gateway([listener()]),
      attached('exact', [HOST], rules('/x')),
      attached('other', ['*.example.com'], rules('/w'), { name: 'gw-2' }),
    )
    expect(short(atGateway(catalogue, HOST, '/w'))).toBe('other * /w/{rest...} exact')
  })
})

describe('order where two routes match', () => {
  const header = (name: string): Fields => ({ name, value: '1' })
  interface Tie {
    why: string
    one: RuleFields
    two: RuleFields
    unknown: string
    cilium: string
  }
  it.each<Tie>([
    {
      why: 'a longer prefix',
      one: { path: '/a/b' },
      two: { path: '/a' },
      unknown: 'one',
      cilium: 'one',
    },
    {
      why: 'a slash at the end is no length',
      one: { path: '/a/' },
      two: { path: '/a' },
      unknown: 'ambiguous',
      cilium: 'ambiguous',
    },
    {
      why: 'a method',
      one: { path: '/a', method: 'GET' },
      two: { path: '/a' },
      unknown: 'one',
      cilium: 'one',
    },
    {
      why: 'a method, which counts as a header to Envoy Gateway',
      one: { path: '/a', method: 'GET' },
      two: { path: '/a', headers: [header('x')] },
      unknown: 'ambiguous',
      cilium: 'one',
    },
    {
      why: 'a method against two headers',
      one: { path: '/a', method: 'GET' },
      two: { path: '/a', headers: [header('x'), header('y')] },
      unknown: 'ambiguous',
      cilium: 'one',
    },
    {
      why: 'more headers',
      one: { path: '/a', headers: [header('x'), header('y')] },
      two: { path: '/a', headers: [header('x')] },
      unknown: 'one',
      cilium: 'one',
    },
    {
      why: 'as many conditions',
      one: { path: '/a', headers: [header('x')] },
      two: { path: '/a', headers: [header('y')] },
      unknown: 'ambiguous',
      cilium: 'ambiguous',
    },
    {
      why: 'nothing, where neither age nor name decides',
      one: { path: '/a' },
      two: { path: '/a' },
      unknown: 'ambiguous',
      cilium: 'ambiguous',
    },
  ])('$why', ({ one, two, ...is }) => {
    for (const known of ['unknown', 'cilium'] as const) {
      const gatewayClass = object(GATEWAY_API, 'GatewayClass', 'mine', {
        spec: { controllerName: known === 'cilium' ? 'io.cilium/gateway-controller' : 'x.y/z' },
      })
      const catalogue = catalogueOf(
        gatewayClass,
        gateway([listener()], { gatewayClassName: 'mine' }),
        attached('one', [HOST], [rule({ ...one, backend: 'service:one:80' })]),
        attached('two', [HOST], [rule({ ...two, backend: 'service:two:80' })]),
      )
      const answer = atGateway(catalogue, HOST, '/a/b', 'GET', { x: '1', y: '1' }, { query: '' })
      expect([known, answer.api?.name ?? answer.confidence]).toEqual([known, is[known]])
      // The Service tells what the gateway does not.
      for (const name of ['one', 'two']) {
        expect(atBackend(catalogue, '/a/b', { service: `shop/${name}` }).api?.name).toBe(name)
      }
    }
  })

  it('puts Envoy Gateway by its own, where its class says so', () => {
    const controllerName = 'gateway.envoyproxy.io/gatewayclass-controller'
    const catalogue = catalogueOf(
      object(GATEWAY_API, 'GatewayClass', 'eg', { spec: { controllerName } }),
      gateway([listener()], { gatewayClassName: 'eg' }),
      attached('one', [HOST], [rule({ path: '/a', method: 'GET' })]),
      attached('two', [HOST], [rule({ path: '/a', headers: [header('x'), header('y')] })]),
    )
    const answer = atGateway(catalogue, HOST, '/a', 'GET', { x: '1', y: '1' }, { query: '' })
    expect(short(answer)).toBe('two * /a/{rest...} exact')
  })

  it('does not say whether a gRPC method or a gRPC service comes first', () => {
    const route = (name: string, method: Fields): KubernetesObject =>
      object(GATEWAY_API, 'GRPCRoute', name, {
        spec: { hostnames: [HOST], rules: [{ matches: [{ method }] }] },
      })
    const catalogue = catalogueOf(
      route('method', { method: 'Get' }),
      route('service', { service: 'pets.Pets' }),
      route('both', { service: 'pets.Pets', method: 'List' }),
    )
    const asked = (path: string) => short(atGateway(catalogue, HOST, path, 'POST'))
    expect(asked('/pets.Pets/Get')).toBe('ambiguous method service')
    expect(asked('/pets.Pets/List')).toBe('both POST /pets.Pets/List exact')
  })
})

describe('paths that a gateway may put straight first', () => {
  const catalogue = catalogueOf(
    httpRoute('a', [HOST], [rule({ path: '/a' })]),
    httpRoute('b', [HOST], [rule({ path: '/b' })]),
  )
  it.each([
    { path: '/a/%7Eme', is: 'a * /a/{rest...} exact' },
    { path: '/a//x', is: 'a * /a/{rest...} exact' },
    { path: '/a/../b', is: 'ambiguous a b' },
    { path: '/a/../c', is: 'a * /a/{rest...} high' },
    { path: '//a', is: 'none' },
  ])('$path: $is', ({ path, is }) => {
    expect(short(atGateway(catalogue, HOST, path))).toBe(is)
  })
})

describe('references to other namespaces', () => {
  const far = { name: 'far', namespace: 'pay', port: 80 }
  const route = httpRoute('r', [HOST], [{ ...rule({ path: '/' }), backendRefs: [far] }])
  const grant = (to: Fields, from: Fields = {}): KubernetesObject =>
    object(
      'gateway.networking.k8s.io/v1beta1',
      'ReferenceGrant',
      'g',
      {
        spec: {
          from: [
            { group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'shop', ...from },
          ],
          to: [{ group: '', kind: 'Service', ...to }],
        },
      },
      { namespace: 'pay' },
    )
  it.each([
    { why: 'nobody grants it', grants: [], is: 'none' },
    { why: 'all Services are granted', grants: [grant({})], is: 'r * /{rest...} high' },
    { why: 'this one is', grants: [grant({ name: 'far' })], is: 'r * /{rest...} high' },
    { why: 'another one is', grants: [grant({ name: 'near' })], is: 'none' },
    { why: 'to another namespace', grants: [grant({}, { namespace: 'x' })], is: 'none' },
    { why: 'to another kind', grants: [grant({}, { kind: 'GRPCRoute' })], is: 'none' },
  ])('$why', ({ grants, is }) => {
    const catalogue = catalogueOf(route, ...grants)
    expect(short(atBackend(catalogue, '/x', { service: 'pay/far' }))).toBe(is)
    expect(short(atGateway(catalogue, HOST, '/x'))).toMatch(/^r .* exact$/)
  })
})

describe('what comes to a backend besides', () => {
  const copies = {
    type: 'RequestMirror',
    requestMirror: { backendRef: { name: 'copy', port: 80 } },
  }
  it.each<{ why: string; service: string; at?: At; is: string }>([
    { why: 'the request', service: 'shop/orders', is: 'r * /{rest...} high' },
    { why: 'its copy', service: 'shop/copy', is: 'r * /{rest...} low' },
    {
      why: "the copy of one, and another's request",
      service: 'shop/both',
      is: 'own * /{rest...} high',
    },
    {
      why: 'the copy, by the mark that Envoy puts on its host',
      service: 'shop/both',
      at: { host: 'a.example.com-shadow' },
      is: 'mirrored * /{rest...} low',
    },
    { why: 'nothing where a backend has no weight', service: 'shop/idle', is: 'none' },
  ])('$why', ({ service, at, is }) => {
    const both = {
      type: 'RequestMirror',
      requestMirror: { backendRef: { name: 'both', port: 80 } },
    }
    const weighted = {
      ...rule({ path: '/' }),
      backendRefs: [
        { name: 'orders', port: 80, weight: 9 },
        { name: 'idle', port: 80, weight: 0 },
      ],
    }
    const catalogue = catalogueOf(
      httpRoute('r', [HOST], [{ ...weighted, filters: [copies] }]),
      httpRoute('mirrored', ['m.example.com'], [rule({ path: '/', filters: [both] })]),
      httpRoute('own', [HOST], [rule({ path: '/x', backend: 'service:both:80', prefix: '/' })]),
    )
    expect(short(atBackend(catalogue, '/y', { service, ...at })).replace('/x/', '/')).toBe(is)
  })
})

describe('APK 2', () => {
  const api = { name: 'pets', version: 'v1', context: '/pets/v1', organization: 'acme' }
  it('joins gRPC routes by their labels, and never by labels that two share', () => {
    const labels = {
      'kgw.wso2.com/name': 'pets',
      'kgw.wso2.com/version': 'v1',
      'kgw.wso2.com/organization': 'acme',
    }
    const metadata = (name: string, of: Fields) => {
      const read = routeMetadata(name, of)
      return { ...read, metadata: { ...read.metadata, labels } }
    }
    const route = object(
      GATEWAY_API,
      'GRPCRoute',
      'r',
      {
        spec: {
          hostnames: [HOST],
          rules: [{ matches: [{ method: { service: 'Pets', method: 'Get' } }] }],
        },
      },
      { labels },
    )
    const one = catalogueOf(metadata('m', { ...api, uuid: 'u' }), route)
    expect(atGateway(one, HOST, '/Pets/Get', 'POST').api).toMatchObject({ id: 'u', name: 'pets' })
    const two = catalogueOf(metadata('m', api), metadata('n', { ...api, name: 'other' }), route)
    expect(atGateway(two, HOST, '/Pets/Get', 'POST').api?.id).toBe('shop/pets')
  })
  it.each([
    { why: 'by its annotation', host: HOST, envtype: 'SANDBOX', is: 'sandbox' },
    {
      why: 'by the annotation against the host',
      host: `sandbox.${HOST}`,
      envtype: 'PRODUCTION',
      is: 'production',
    },
    { why: 'by its host', host: `acme.sandbox.${HOST}`, envtype: undefined, is: 'sandbox' },
    { why: 'by neither', host: HOST, envtype: undefined, is: 'production' },
  ])('tells sandbox from production $why', ({ host, envtype, is }) => {
    const extensionRef = { group: 'dp.wso2.com', kind: 'RouteMetadata', name: 'm' }
    const annotations = envtype && { 'gateway.envoyproxy.io/kgw-envtype': envtype }
    const filters = [{ type: 'ExtensionRef', extensionRef }]
    const route = httpRoute('r', [host], [rule({ path: '/pets/v1', filters })], { annotations })
    const found = atGateway(catalogueOf(routeMetadata('m', api), route), host, '/pets/v1/x').api
    expect([found?.name, found?.environment]).toEqual(['pets', is])
  })
  it('knows what a filter rewrites, and a host that it puts in', () => {
    const filter = (name: string, urlRewrite: Fields) =>
      object('gateway.envoyproxy.io/v1alpha1', 'HTTPRouteFilter', name, { spec: { urlRewrite } })
    const ref = (name: string) => ({
      type: 'ExtensionRef',
      extensionRef: { group: 'gateway.envoyproxy.io', kind: 'HTTPRouteFilter', name },
    })
    const replaceRegexMatch = { pattern: '^/ctx/([^/]+)/x$', substitution: '/x/\\1' }
    const catalogue = catalogueOf(
      filter('path', { path: { type: 'ReplaceRegexMatch', replaceRegexMatch } }),
      filter('host', { hostname: { type: 'Backend' } }),
      httpRoute(
        'r',
        [HOST],
        [
          rule({
            path: '/ctx/([^/]+)/x',
            type: 'RegularExpression',
            backend: 'service:orders:80',
            filters: [ref('path')],
          }),
        ],
      ),
      httpRoute(
        'kept',
        ['b.example.com'],
        [rule({ path: '/x', backend: 'service:orders:80', filters: [ref('host')] })],
      ),
    )
    expect(short(atBackend(catalogue, '/x/7'))).toBe('ambiguous kept r')
    const named = (host: string) =>
      short(atBackend(catalogue, '/x/7', { service: 'shop/orders', host }))
    expect(named(HOST)).toBe('ambiguous kept r')
    expect(named('c.example.com')).toBe('kept * /x/{rest...} high')
  })
})

describe('the host behind a gateway', () => {
  const hostname = (name: string) => ({
    type: 'URLRewrite',
    urlRewrite: { hostname: name, path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/' } },
  })
  const catalogue = catalogueOf(
    httpRoute('one', [HOST], [rule({ path: '/x', prefix: '/', backend: 'service:orders:80' })]),
    httpRoute(
      'two',
      ['b.example.com'],
      [rule({ path: '/x', backend: 'service:orders:80', filters: [hostname('two.internal')] })],
    ),
  )
  it.each([
    { host: '', is: 'ambiguous one two' },
    { host: HOST, is: 'one * /x/{rest...} high' },
    { host: 'two.internal', is: 'two * /x/{rest...} high' },
    { host: 'orders.shop.svc', is: 'ambiguous one two' },
  ])('tells "$host" as $is', ({ host, is }) => {
    expect(short(atBackend(catalogue, '/y', { service: 'shop/orders', host }))).toBe(is)
  })
})
