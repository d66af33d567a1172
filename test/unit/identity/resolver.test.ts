import { describe, expect, it } from 'vitest'
import { resolveAtBackend } from '../../../src/identity/backend-resolver.ts'
import { type At, atBackend, atGateway, short } from './asking.ts'
import {
  apiCr,
  backend,
  catalogueOf,
  endpointSlice,
  httpRoute,
  object,
  ordersApi,
  type RuleFields,
  rule,
  service,
} from './objects.ts'

describe('at the gateway of APK', () => {
  it.each<{
    why: string
    rules: RuleFields[]
    spec?: object
    path: string
    method?: string
    is: string
  }>([
    {
      why: 'an exact path',
      rules: [{ path: '/a', type: 'Exact' }],
      path: '/a',
      is: 'orders * /a exact',
    },
    {
      why: 'one slash more',
      rules: [{ path: '/a', type: 'Exact' }],
      path: '/a/',
      is: 'orders * /a exact',
    },
    { why: 'two slashes more', rules: [{ path: '/a', type: 'Exact' }], path: '/a//', is: 'none' },
    {
      why: 'a prefix',
      rules: [{ path: '/a/' }],
      path: '/a/b/c',
      is: 'orders * /a/{rest...} exact',
    },
    { why: 'a word that begins alike', rules: [{ path: '/a' }], path: '/ab', is: 'none' },
    {
      why: 'an expression',
      rules: [{ path: '/a/([^/]+)', type: 'RegularExpression' }],
      path: '/a/7/',
      is: 'orders * /a/{id} exact',
    },
    {
      why: 'another method',
      rules: [{ path: '/a', method: 'GET' }],
      path: '/a',
      method: 'HEAD',
      is: 'none',
    },
    {
      why: 'the more literal operation',
      rules: [
        { path: '/a/(.*)', type: 'RegularExpression' },
        { path: '/a/find', type: 'Exact' },
      ],
      path: '/a/find',
      is: 'orders * /a/find exact',
    },
  ])('knows $why', ({ rules, path, method, is }) => {
    const catalogue = catalogueOf(...ordersApi(rules))
    expect(short(atGateway(catalogue, 'orders.example.com', `/orders/1.0.0${path}`, method))).toBe(
      is,
    )
  })

  it.each([
    { why: 'after a slash', basePath: '/orders/1.0.0', path: '/orders/a', is: 'orders * /a exact' },
    {
      why: 'and with it',
      basePath: '/orders/1.0.0',
      path: '/orders/1.0.0/a',
      is: 'orders * /a exact',
    },
    { why: 'after a dot', basePath: '/orders.1.0.0', path: '/orders/a', is: 'orders * /a exact' },
    { why: 'another version', basePath: '/orders/1.0.0', path: '/orders/2.0.0/a', is: 'none' },
  ])('serves a default version without its version in the path: $why', ({ basePath, path, is }) => {
    const catalogue = catalogueOf(
      ...ordersApi([{ path: '/a', type: 'Exact' }], { basePath, isDefaultVersion: true }),
    )
    expect(short(atGateway(catalogue, 'orders.example.com', path))).toBe(is)
  })

  it('asks default versions last, and tells of both where the order is not known', () => {
    const of = (name: string, spec: object) =>
      apiCr(name, { production: [{ routeRefs: [`${name}-r`] }], ...spec })
    const all = httpRoute.bind(null)
    const catalogue = catalogueOf(
      of('one', { basePath: '/s/1.0.0' }),
      of('two', { basePath: '/s/2.0.0', apiVersion: '2.0.0', isDefaultVersion: true }),
      of('outer', { basePath: '/x' }),
      of('inner', { basePath: '/x/y' }),
      ...['one', 'two', 'outer', 'inner'].map((name) =>
        all(`${name}-r`, ['h.example.com'], [rule({ path: '/' })]),
      ),
    )
    expect(short(atGateway(catalogue, 'h.example.com', '/s/1.0.0/a'))).toBe(
      'one * /{rest...} exact',
    )
    expect(short(atGateway(catalogue, 'h.example.com', '/s/a'))).toBe('two * /{rest...} exact')
    expect(short(atGateway(catalogue, 'h.example.com', '/x/a'))).toBe('outer * /{rest...} exact')
    expect(short(atGateway(catalogue, 'h.example.com', '/x/y/a'))).toBe('ambiguous inner outer')
  })
})

describe('at a gateway of the Gateway API', () => {
  const catalogue = catalogueOf(
    httpRoute('exact', ['a.example.com'], [rule({ path: '/orders/new', type: 'Exact' })]),
    httpRoute(
      'regex',
      ['a.example.com'],
      [rule({ path: '/orders/([^/]+)', type: 'RegularExpression' })],
    ),
    httpRoute('long', ['a.example.com'], [rule({ path: '/orders/archive' })]),
    httpRoute('short', ['a.example.com'], [rule({ path: '/orders' })]),
    httpRoute('get', ['a.example.com'], [rule({ path: '/carts', method: 'GET' })]),
    httpRoute('any', ['a.example.com'], [rule({ path: '/carts' })]),
    httpRoute(
      'beta',
      ['a.example.com'],
      [rule({ path: '/carts', headers: [{ name: 'X-Beta', value: '1' }] })],
    ),
    httpRoute('twin-1', ['a.example.com'], [rule({ path: '/twins' })]),
    httpRoute('twin-2', ['a.example.com'], [rule({ path: '/twins' })]),
    httpRoute('wild', ['*.example.com'], [rule({ path: '/w' })]),
    httpRoute('wilder', ['*.com'], [rule({ path: '/w' })]),
    httpRoute('every', [], [rule({ path: '/w' })]),
  )
  it.each<{
    why: string
    host: string
    path: string
    method?: string
    headers?: Record<string, string>
    is: string
  }>([
    {
      why: 'exact before expression',
      host: 'a.example.com',
      path: '/orders/new',
      is: 'exact * /orders/new exact',
    },
    {
      why: 'expression before prefix',
      host: 'a.example.com',
      path: '/orders/archive',
      is: 'regex * /orders/{id} exact',
    },
    {
      why: 'the longer prefix',
      host: 'a.example.com',
      path: '/orders/archive/7',
      is: 'long * /orders/archive/{rest...} exact',
    },
    {
      why: 'a slash after an exact path',
      host: 'a.example.com',
      path: '/orders/new/',
      is: 'short * /orders/{rest...} exact',
    },
    {
      why: 'method before none, header absent',
      host: 'a.example.com',
      path: '/carts',
      headers: {},
      is: 'get GET /carts/{rest...} exact',
    },
    {
      why: 'a header, no other method',
      host: 'a.example.com',
      path: '/carts',
      method: 'PUT',
      headers: { 'x-beta': '1' },
      is: 'beta * /carts/{rest...} exact',
    },
    {
      why: 'method against header: implementations differ',
      host: 'a.example.com',
      path: '/carts',
      headers: { 'x-beta': '1' },
      is: 'ambiguous beta get',
    },
    {
      why: 'headers not known',
      host: 'a.example.com',
      path: '/carts',
      method: 'PUT',
      is: 'ambiguous any beta',
    },
    { why: 'a tie', host: 'a.example.com', path: '/twins', is: 'ambiguous twin-1 twin-2' },
    {
      why: 'a port and capitals in the host',
      host: 'A.Example.com:9095',
      path: '/orders/new',
      is: 'exact * /orders/new exact',
    },
    {
      why: 'the longest wildcard',
      host: 'b.c.example.com',
      path: '/w',
      is: 'wild * /w/{rest...} exact',
    },
    { why: 'a shorter wildcard', host: 'b.com', path: '/w', is: 'wilder * /w/{rest...} exact' },
    {
      why: 'a wildcard is not its bare domain',
      host: 'example.com',
      path: '/w',
      is: 'wilder * /w/{rest...} exact',
    },
    { why: 'no host of its own', host: 'b.org', path: '/w', is: 'every * /w/{rest...} exact' },
    {
      why: 'a host whose own routes lack the path',
      host: 'a.example.com',
      path: '/w',
      is: 'wild * /w/{rest...} high',
    },
    { why: 'no host', host: '', path: '/orders/new', is: 'exact * /orders/new high' },
    { why: 'no such path', host: 'a.example.com', path: '/nothing', is: 'none' },
  ])('knows $why', ({ host, path, method, headers, is }) => {
    expect(short(atGateway(catalogue, host, path, method, headers))).toBe(is)
  })

  it('is not asked for a route that steers pods to a Service', () => {
    const route = httpRoute('mesh', [], [rule({ path: '/', backend: 'service:orders:80' })])
    const spec = { ...(route['spec'] as object), parentRefs: [{ kind: 'Service', name: 'orders' }] }
    const mesh = catalogueOf({ ...route, spec })
    expect(short(atGateway(mesh, 'x.example.com', '/'))).toBe('none')
    expect(short(atGateway(mesh, '', '/'))).toBe('none')
    expect(short(atBackend(mesh, '/'))).toBe('mesh * /{rest...} high')
  })

  it("takes the listener's host where a route names none", () => {
    const listeners = [
      { name: 'web', hostname: 'l.example.com' },
      { name: 'other', hostname: 'o.example.com' },
    ]
    const route = httpRoute('r', [], [rule({ path: '/' })])
    const spec = { rules: [rule({ path: '/' })], parentRefs: [{ name: 'gw', sectionName: 'web' }] }
    const inherited = catalogueOf(
      object('gateway.networking.k8s.io/v1', 'Gateway', 'gw', { spec: { listeners } }),
      { ...route, spec },
    )
    expect(short(atGateway(inherited, 'l.example.com', '/'))).toBe('r * /{rest...} exact')
    expect(short(atGateway(inherited, 'o.example.com', '/'))).toBe('none')
  })
})

describe('at the backend, after rewriting', () => {
  it.each<{ why: string; rule: RuleFields; base?: string; sees: string[]; not: string[] }>([
    {
      why: 'nothing, exact',
      rule: { path: '/a', type: 'Exact' },
      sees: ['/a'],
      not: ['/a/', '/orders/1.0.0/a'],
    },
    {
      why: 'nothing, prefix',
      rule: { path: '/a' },
      sees: ['/a', '/a/', '/a/b'],
      not: ['/ab', '/'],
    },
    { why: 'base path', rule: { path: '/' }, base: '/v2', sees: ['/v2', '/v2/a'], not: ['/a'] },
    {
      why: 'prefix by prefix',
      rule: { path: '/a', prefix: '/b' },
      sees: ['/b', '/b/c'],
      not: ['/a', '/a/c'],
    },
    { why: 'prefix by the root', rule: { path: '/a', prefix: '/' }, sees: ['/', '/c'], not: ['c'] },
    {
      why: 'prefix by a full path',
      rule: { path: '/a', full: '/b/' },
      sees: ['/b'],
      not: ['/b/', '/b/c'],
    },
    {
      why: 'exact by a full path with a slash',
      rule: { path: '/a', type: 'Exact', full: '/b/' },
      sees: ['/b/'],
      not: ['/b'],
    },
    {
      why: 'groups',
      rule: { path: '/u/([^/]+)/p/([^/]+)', type: 'RegularExpression', full: '/p/\\2/of/\\1' },
      sees: ['/p/7/of/x'],
      not: ['/p/7/of', '/u/x/p/7'],
    },
    {
      why: 'groups and a base path',
      rule: { path: '/u/(.*)', type: 'RegularExpression', full: '/x/\\1/' },
      base: '/v2',
      sees: ['/v2/x/7/8/'],
      not: ['/v2/x/7'],
    },
    {
      why: 'a dropped group',
      rule: { path: '/u/([^/]+)', type: 'RegularExpression', full: '/me' },
      sees: ['/me'],
      not: ['/me/7'],
    },
    {
      why: 'an expression, no rewrite',
      rule: { path: '/u/([^/]+)', type: 'RegularExpression' },
      base: '/v2',
      sees: ['/v2/u/7'],
      not: ['/u/7'],
    },
    {
      why: 'everything',
      rule: { path: '(.*)', type: 'RegularExpression', full: '\\1' },
      sees: ['/', '/a/b'],
      not: [],
    },
  ])('APK: $why', ({ rule: fields, base = '', sees, not }) => {
    const [api, route] = ordersApi([fields])
    if (api === undefined || route === undefined) throw new Error('no API')
    const catalogue = catalogueOf(api, route, backend('orders-backend', 'orders.shop', 8080, base))
    expect(sees.map((path) => atBackend(catalogue, path).confidence)).toEqual(
      sees.map(() => 'high'),
    )
    expect(not.map((path) => short(atBackend(catalogue, path)))).toEqual(
      not.map(() => 'orders - low'),
    )
  })

  it('follows the rewrites by expression that Envoy Gateway keeps in filters', () => {
    const replaceRegexMatch = { pattern: '^/ctx/pets/([^/]+)$', substitution: '/v2/pets/\\1' }
    const spec = { urlRewrite: { path: { type: 'ReplaceRegexMatch', replaceRegexMatch } } }
    const extensionRef = { group: 'gateway.envoyproxy.io', kind: 'HTTPRouteFilter', name: 'f' }
    const catalogue = catalogueOf(
      object('gateway.envoyproxy.io/v1alpha1', 'HTTPRouteFilter', 'f', { spec }),
      object('gateway.envoyproxy.io/v1alpha1', 'Backend', 'pets', {
        spec: { endpoints: [{ fqdn: { hostname: 'pets.shop.svc', port: 80 } }] },
      }),
      httpRoute(
        'pets',
        ['a.example.com'],
        [
          rule({
            path: '/ctx/pets/([^/]+)',
            type: 'RegularExpression',
            backend: 'envoy:pets',
            filters: [{ type: 'ExtensionRef', extensionRef }],
          }),
        ],
      ),
    )
    expect(catalogue.problems).toEqual([])
    expect(short(atBackend(catalogue, '/v2/pets/7', { service: 'shop/pets' }))).toBe(
      'pets * /ctx/pets/{id} high',
    )
    expect(short(atBackend(catalogue, '/ctx/pets/7', { service: 'shop/pets' }))).toBe('pets - low')
  })

  it('tells nothing of a route that redirects', () => {
    const catalogue = catalogueOf(
      httpRoute(
        'r',
        [],
        [rule({ path: '/', backend: 'service:orders:80', filters: [{ type: 'RequestRedirect' }] })],
      ),
    )
    expect(short(atBackend(catalogue, '/'))).toBe('none')
  })
})

describe('two APIs on one backend', () => {
  const shared = (name: string, fields: RuleFields, host = `${name}.example.com`) => [
    apiCr(name, { production: [{ routeRefs: [name] }] }),
    httpRoute(name, [host], [rule({ ...fields, backend: 'both' })]),
  ]
  const both = backend('both', 'orders.shop')

  it('is one of them where their paths differ', () => {
    const catalogue = catalogueOf(
      ...shared('a', { path: '/a' }),
      ...shared('b', { path: '/b' }),
      both,
    )
    expect(short(atBackend(catalogue, '/a/7'))).toBe('a * /a/{rest...} high')
    expect(short(atBackend(catalogue, '/b/7'))).toBe('b * /b/{rest...} high')
    expect(short(atBackend(catalogue, '/c'))).toBe('none')
    expect(short(atBackend(catalogue, ''))).toBe('ambiguous a b')
  })
  it('is never guessed where they are the same, unless the gateway left its host', () => {
    const catalogue = catalogueOf(
      ...shared('a', { path: '/x' }),
      ...shared('b', { path: '/' }),
      both,
    )
    expect(short(atBackend(catalogue, '/x/7'))).toBe('ambiguous a b')
    expect(
      short(atBackend(catalogue, '/x/7', { service: 'shop/orders', host: 'orders.shop' })),
    ).toBe('ambiguous a b')
    const atA = { service: 'shop/orders', host: 'a.example.com' }
    expect(short(atBackend(catalogue, '/x/7', atA))).toBe('a * /x/{rest...} high')
    const destination = { ...atA, ip: '', port: 0, names: [], endpoint: null }
    const past = { method: 'GET', path: '/x/7', destination, behindGateway: false }
    expect(short(resolveAtBackend(catalogue, past))).toBe('ambiguous a b')
  })
  it('lists five of many, and counts the others', () => {
    const many = [1, 2, 3, 4, 5, 6, 7].flatMap((n) => shared(`api-${n}`, { path: '/' }))
    const answer = atBackend(catalogueOf(...many, both), '/x')
    expect([answer.candidates.length, answer.more]).toEqual([5, 2])
  })
  it('does not choose between production and sandbox', () => {
    const spec = { production: [{ routeRefs: ['p'] }], sandbox: [{ routeRefs: ['s'] }] }
    const route = (name: string, host: string) =>
      httpRoute(name, [host], [rule({ path: '/', backend: 'both' })])
    const catalogue = catalogueOf(
      apiCr('a', spec),
      route('p', 'a.example.com'),
      route('s', 'sandbox.example.com'),
      both,
    )
    expect(short(atBackend(catalogue, '/x'))).toBe('ambiguous a a')
    expect(atGateway(catalogue, 'sandbox.example.com', '/a/1.0.0/x').api?.environment).toBe(
      'sandbox',
    )
  })
  it('does not choose between operations that a rewrite made one', () => {
    const catalogue = catalogueOf(
      ...ordersApi([
        { path: '/v1/a', type: 'Exact', full: '/a' },
        { path: '/v2/a', type: 'Exact', full: '/a' },
      ]),
    )
    expect(short(atBackend(catalogue, '/a'))).toBe('orders - high')
  })
})

describe('which Service a destination is', () => {
  it.each([
    { host: 'orders', is: 'shop/orders' },
    { host: 'orders.shop', is: 'shop/orders' },
    { host: 'Orders.Shop.', is: 'shop/orders' },
    { host: 'orders.shop.svc', is: 'shop/orders' },
    { host: 'orders.shop.svc.cluster.local', is: 'shop/orders' },
    { host: 'orders-0.orders.shop.svc.cluster.local', is: 'shop/orders' },
  ])('reads $host as $is', ({ host, is }) => {
    const [api, route] = ordersApi([{ path: '/' }])
    if (api === undefined || route === undefined) throw new Error('no API')
    const catalogue = catalogueOf(api, route, backend('orders-backend', host))
    expect(short(atBackend(catalogue, '/', { service: is }))).toBe('orders * /{rest...} high')
  })

  const slice = endpointSlice('orders', ['10.0.0.7'], 3000)
  const ports = [
    { name: 'http', port: 8080, targetPort: 'web' },
    { name: 'admin', port: 9000 },
  ]
  const catalogue = catalogueOf(
    ...ordersApi([
      { path: '/' },
      { path: '/out', backend: 'out' },
      { path: '/lit', backend: 'literal' },
    ]),
    backend('out', 'api.partner.example.com', 443),
    backend('literal', '192.0.2.9', 80),
    service('orders', { clusterIP: '10.96.0.1', ports }),
    service('partner', { type: 'ExternalName', externalName: 'api.partner.example.com' }),
    slice,
  )
  it.each<{ why: string; at: At; path?: string; how: string; is: string }>([
    {
      why: 'its own address and port',
      at: { ip: '10.96.0.1', port: 8080 },
      how: 'service-ip+path',
      is: 'orders * /{rest...} high',
    },
    {
      why: "a pod's address and port",
      at: { ip: '10.0.0.7', port: 3000 },
      how: 'endpoint-ip+path',
      is: 'orders * /{rest...} high',
    },
    {
      why: 'another port of the Service',
      at: { ip: '10.96.0.1', port: 9000 },
      how: 'no-api',
      is: 'none',
    },
    {
      why: 'a learnt name',
      at: { ip: '203.0.113.1', port: 443, names: ['api.partner.example.com.'] },
      path: '/out',
      how: 'dns-name+path',
      is: 'orders * /out/{rest...} high',
    },
    {
      why: 'an address as backend',
      at: { ip: '192.0.2.9', port: 80 },
      path: '/lit',
      how: 'ip+path',
      is: 'orders * /lit/{rest...} high',
    },
    {
      why: 'the Host header only',
      at: { host: 'orders.shop.svc' },
      how: 'host+path',
      is: 'orders * /{rest...} low',
    },
    { why: 'nothing', at: { ip: '203.0.113.9' }, how: 'no-backend', is: 'none' },
    { why: 'a Service without an API', at: { service: 'shop/partner' }, how: 'no-api', is: 'none' },
    {
      why: 'its pod, called by another Service',
      at: { service: 'shop/canary', ip: '10.0.0.7', port: 3000 },
      how: 'endpoint-ip+path',
      is: 'orders * /{rest...} high',
    },
  ])('knows it by $why', ({ at, path = '/', how, is }) => {
    const answer = atBackend(catalogue, path, at)
    expect(answer.how).toBe(how)
    expect(short(answer)).toBe(is)
  })
})
