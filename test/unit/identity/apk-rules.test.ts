import { describe, expect, it } from 'vitest'
import { Catalogue } from '../../../src/identity/catalogue.ts'
import type { KubernetesObject } from '../../../src/identity/kubernetes-object.ts'
import { sentByApk } from './apk-router.ts'
import { type At, atBackend, atGateway, short } from './asking.ts'
import {
  apiCr,
  backend,
  catalogueOf,
  httpRoute,
  object,
  ordersApi,
  type RuleFields,
  rule,
} from './objects.ts'

const HOST = 'orders.example.com'

interface Compiled {
  readonly why: string
  readonly rule: RuleFields
  readonly basePath?: string
  readonly isDefaultVersion?: boolean
  readonly before?: string
  /** What the client asks for → what the backend gets; null: no route. */
  readonly requests: Readonly<Record<string, string | null>>
}

describe('what APK compiles routes to', () => {
  it.each<Compiled>([
    {
      why: 'a prefix without a rewrite keeps its path below the context',
      rule: { path: '/a' },
      requests: { '/orders/1.0.0/a': '/a', '/orders/1.0.0/a/b': '/a/b', '/orders/1.0.0/ab': null },
    },
    {
      why: 'an exact path takes one more slash, which the backend does not see',
      rule: { path: '/a', type: 'Exact' },
      requests: { '/orders/1.0.0/a': '/a', '/orders/1.0.0/a/': '/a', '/orders/1.0.0/a//': null },
    },
    {
      why: 'one slash of the declared path says nothing',
      rule: { path: '/a/', type: 'Exact' },
      requests: { '/orders/1.0.0/a': '/a/', '/orders/1.0.0/a/': '/a/' },
    },
    {
      why: 'a slash at the end of a full target stays for an exact path',
      rule: { path: '/a', type: 'Exact', full: '/b/' },
      requests: { '/orders/1.0.0/a': '/b/' },
    },
    {
      why: 'and goes for a prefix',
      rule: { path: '/a', full: '/b/' },
      requests: { '/orders/1.0.0/a': '/b', '/orders/1.0.0/a/c': '/b' },
    },
    {
      why: 'a prefix is put in place of a prefix',
      rule: { path: '/a', prefix: '/b' },
      requests: { '/orders/1.0.0/a': '/b', '/orders/1.0.0/a/c': '/b/c' },
    },
    {
      why: 'the root in place of a prefix',
      rule: { path: '/a', prefix: '/' },
      requests: { '/orders/1.0.0/a': '/', '/orders/1.0.0/a/c': '/c' },
    },
    {
      why: 'the base path of the backend goes before the target, as it is',
      rule: { path: '/a', prefix: '/b' },
      before: '/v2',
      requests: { '/orders/1.0.0/a/c': '/v2/b/c' },
    },
    {
      why: 'and before the path, where nothing is rewritten',
      rule: { path: '/a', type: 'Exact' },
      before: '/v2/',
      requests: { '/orders/1.0.0/a': '/v2/a' },
    },
    {
      why: 'groups of an expression stand in the target',
      rule: { path: '/u/([^/]+)/p/([^/]+)', type: 'RegularExpression', full: '/p/\\2/of/\\1' },
      requests: { '/orders/1.0.0/u/x/p/7': '/p/7/of/x', '/orders/1.0.0/u/x/p/7/': '/p/7/of/x' },
    },
    {
      why: 'a greedy group takes slashes',
      rule: { path: '/employee/(.*)', type: 'RegularExpression', full: '/employee/\\1' },
      requests: {
        '/orders/1.0.0/employee/1': '/employee/1',
        '/orders/1.0.0/employee/1/photo': '/employee/1/photo',
      },
    },
    {
      why: 'the whole path as one group',
      rule: { path: '(.*)', type: 'RegularExpression', full: '\\1' },
      requests: { '/orders/1.0.0': '/', '/orders/1.0.0/a/b': '/a/b' },
    },
    {
      why: 'the generated literal of a path that ends in a wildcard',
      rule: { path: '/x/(.*)', type: 'RegularExpression', full: '/x///1' },
      requests: { '/orders/1.0.0/x/7': '/x///1', '/orders/1.0.0/x/8/9': '/x///1' },
    },
    {
      why: 'a group beyond the last is the slash at the end',
      rule: { path: '/a', type: 'RegularExpression', full: '/b\\1' },
      requests: { '/orders/1.0.0/a': '/b', '/orders/1.0.0/a/': '/b/' },
    },
    {
      why: 'dots in the context are dots, and nothing else',
      rule: { path: '/a', type: 'RegularExpression', full: '/a' },
      requests: { '/orders/1.0.0/a': '/a', '/orders/1x0.0/a': null },
    },
    {
      why: 'a prefix with an expression in it is one',
      rule: { path: '/a/[0-9]+', prefix: '/n' },
      requests: {
        '/orders/1.0.0/a/7': '/n',
        '/orders/1.0.0/a/7/x': '/n/x',
        '/orders/1.0.0/a/x': null,
      },
    },
    {
      why: 'a default version answers without its version, too',
      rule: { path: '/a', type: 'Exact' },
      isDefaultVersion: true,
      requests: { '/orders/1.0.0/a': '/a', '/orders/a': '/a', '/orders/2.0.0/a': null },
    },
    {
      why: 'any other version does not',
      rule: { path: '/a', type: 'Exact' },
      requests: { '/orders/a': null },
    },
    {
      why: 'a version after a dot goes with its dot',
      rule: { path: '/a' },
      basePath: '/pkg.1.0.0',
      isDefaultVersion: true,
      requests: { '/pkg.1.0.0/a/b': '/a/b', '/pkg/a/b': '/a/b' },
    },
    {
      why: 'a version that stands in the path only is cut out of the path',
      rule: { path: '/1.0.0/a', type: 'Exact' },
      basePath: '/orders',
      isDefaultVersion: true,
      requests: { '/orders/1.0.0/a': '/1.0.0/a', '/orders/a': '/1.0.0/a' },
    },
    {
      why: 'a path that repeats the context is put behind it as it is',
      rule: { path: '/orders/1.0.0/a', type: 'Exact' },
      requests: { '/orders/1.0.0/orders/1.0.0/a': '/orders/1.0.0/a', '/orders/1.0.0/a': null },
    },
    {
      why: 'a slash at the end of the context is doubled',
      rule: { path: '/a', type: 'Exact' },
      basePath: '/orders/1.0.0/',
      requests: { '/orders/1.0.0//a': '/a', '/orders/1.0.0/a': null },
    },
  ])('$why', ({ rule: fields, basePath, isDefaultVersion = false, before = '', requests }) => {
    const context = basePath ?? '/orders/1.0.0'
    const [api, route] = ordersApi([fields], { basePath: context, isDefaultVersion })
    if (api === undefined || route === undefined) throw new Error('no API')
    const catalogue = catalogueOf(
      api,
      route,
      backend('orders-backend', 'orders.shop', 8080, before),
    )
    expect(catalogue.problems).toEqual([])
    const forward = { context, version: '1.0.0', isDefaultVersion, before }
    for (const [path, sent] of Object.entries(requests)) {
      expect([path, sentByApk(forward, fields, 'GET', path)]).toEqual([path, sent])
      const { api: found } = atGateway(catalogue, HOST, path)
      expect([path, found?.name]).toEqual([path, sent === null ? undefined : 'orders'])
      if (sent !== null) expect(atBackend(catalogue, sent).confidence).toBe('high')
    }
  })
})

const two = (
  spec: { production?: object; sandbox?: object; other?: object },
  rules: { one: RuleFields; two: RuleFields },
): KubernetesObject[] => [
  apiCr('one', { production: [{ routeRefs: ['one'] }], ...spec.production }),
  apiCr('two', { production: [{ routeRefs: ['two'] }], ...spec.other }),
  httpRoute('one', ['gw.example.com'], [rule({ backend: 'both', ...rules.one })]),
  httpRoute('two', ['gw.example.com'], [rule({ backend: 'both', ...rules.two })]),
  backend('both', 'orders.shop'),
]

describe('which environment', () => {
  const spec = { production: [{ routeRefs: ['p'] }], sandbox: [{ routeRefs: ['s'] }] }
  const sides = (sandboxHost: string) =>
    catalogueOf(
      apiCr('orders', spec),
      httpRoute('p', ['a.example.com'], [rule({ path: '/', backend: 'b' })]),
      httpRoute('s', ['sandbox.a.example.com'], [rule({ path: '/', backend: 'sb' })]),
      backend('b', 'orders.shop'),
      backend('sb', sandboxHost),
    )
  it('is told by the host in front, and by the backend behind', () => {
    const catalogue = sides('sandbox.shop')
    const front = (host: string) => atGateway(catalogue, host, '/orders/1.0.0/x').api?.environment
    expect([front('a.example.com'), front('sandbox.a.example.com')]).toEqual([
      'production',
      'sandbox',
    ])
    const behind = (service: string) => atBackend(catalogue, '/x', { service }).api?.environment
    expect([behind('shop/orders'), behind('shop/sandbox')]).toEqual(['production', 'sandbox'])
  })
  it('is both where they share a backend', () => {
    const { api, candidates } = atBackend(sides('orders.shop'), '/x')
    expect([api, candidates.map(({ environment }) => environment)]).toEqual([
      null,
      ['production', 'sandbox'],
    ])
  })
})

describe("evidence that APK's router leaves", () => {
  const spelled = catalogueOf(
    ...two({}, { one: { path: '/' }, two: { path: '/', backend: 'long' } }),
    backend('long', 'orders.shop.svc.cluster.local'),
  )
  it.each<{ why: string; at: At; is: string }>([
    { why: 'its name of the backend', at: { host: 'orders.shop' }, is: 'one * /{rest...} high' },
    {
      why: 'another name of the same Service',
      at: { host: 'orders.shop.svc.cluster.local' },
      is: 'two * /{rest...} high',
    },
    { why: 'a third name of it', at: { host: 'orders.shop.svc' }, is: 'ambiguous one two' },
    { why: 'no host', at: {}, is: 'ambiguous one two' },
    {
      why: 'a host that the caller wrote',
      at: { host: 'orders.shop', direct: true },
      is: 'ambiguous one two',
    },
  ])('tells two APIs apart, or not: $why', ({ at, is }) => {
    expect(short(atBackend(spelled, '/x', { service: 'shop/orders', ...at }))).toBe(is)
  })
})

describe('odd APIs of APK', () => {
  it('takes the last of two objects of one name', () => {
    const catalogue = new Catalogue([
      ...ordersApi([{ path: '/a' }], { basePath: '/old' }),
      ...ordersApi([{ path: '/a' }], { basePath: '/new' }),
    ])
    expect(short(atGateway(catalogue, HOST, '/old/a'))).toBe('none')
    expect(short(atGateway(catalogue, HOST, '/new/a'))).toBe('orders * /a/{rest...} exact')
  })
  it('tells of both where one context is below another, as nothing puts them in order', () => {
    const catalogue = catalogueOf(
      ...two(
        { production: { basePath: '/x' }, other: { basePath: '/x/y' } },
        { one: { path: '/' }, two: { path: '/' } },
      ),
    )
    expect(short(atGateway(catalogue, 'gw.example.com', '/x/y/a'))).toBe('ambiguous one two')
    expect(short(atGateway(catalogue, 'gw.example.com', '/x/a'))).toBe('one * /{rest...} exact')
  })
  it('tells of both where one route belongs to two APIs', () => {
    const route = httpRoute('r', ['gw.example.com'], [rule({ path: '/a', backend: 'b' })])
    const catalogue = catalogueOf(
      apiCr('one', { production: [{ routeRefs: ['r'] }] }),
      apiCr('two', { production: [{ routeRefs: ['r'] }] }),
      route,
      backend('b', 'orders.shop'),
    )
    expect(short(atGateway(catalogue, 'gw.example.com', '/one/1.0.0/a'))).toMatch(/^one .* exact$/)
    expect(short(atBackend(catalogue, '/a'))).toBe('ambiguous one two')
  })
  it("does not take another namespace's route of the same name for its own", () => {
    const elsewhere = httpRoute('r', ['gw.example.com'], [rule({ path: '/a' })], {
      namespace: 'other',
    })
    const catalogue = catalogueOf(apiCr('one', { production: [{ routeRefs: ['r'] }] }), elsewhere)
    expect(catalogue.problems.map(({ reason }) => reason)).toEqual(['its route r is not there'])
    expect(short(atGateway(catalogue, 'gw.example.com', '/one/1.0.0/a'))).toBe('none')
  })
  it('leaves out what was not accepted, and system APIs', () => {
    const refused = { status: { deploymentStatus: { accepted: false } } }
    const catalogue = catalogueOf(
      ...two({ other: { systemAPI: true } }, { one: { path: '/' }, two: { path: '/' } }).map(
        (one) => (one.metadata.name === 'one-cr' ? { ...one, ...refused } : one),
      ),
    )
    expect(short(atGateway(catalogue, 'gw.example.com', '/one/1.0.0/'))).toBe('none')
    expect(short(atGateway(catalogue, 'gw.example.com', '/two/1.0.0/'))).toBe('none')
    expect(short(atBackend(catalogue, '/'))).toBe('none')
  })
  it('knows every Service of a backend that has several', () => {
    const [api, route] = ordersApi([{ path: '/' }])
    if (api === undefined || route === undefined) throw new Error('no API')
    const services = ['orders', 'orders-2'].map((host) => ({ host, port: 80 }))
    const spec = { spec: { services } }
    const catalogue = catalogueOf(
      api,
      route,
      object('dp.wso2.com/v1alpha1', 'Backend', 'orders-backend', spec),
    )
    for (const service of ['shop/orders', 'shop/orders-2']) {
      expect(short(atBackend(catalogue, '/x', { service }))).toBe('orders * /{rest...} high')
    }
  })
  it('tells nothing behind a redirect, and the API in front of it', () => {
    const catalogue = catalogueOf(
      ...ordersApi([{ path: '/a', filters: [{ type: 'RequestRedirect' }] }]),
    )
    expect(short(atBackend(catalogue, '/a'))).toBe('none')
    expect(short(atGateway(catalogue, HOST, '/orders/1.0.0/a'))).toMatch(/exact$/)
  })
})

describe('intelligent routing', () => {
  const versions = ['v1.2.3', 'v1.2.10', 'v1.1.9', 'v2.0.0']
  const objects = versions.flatMap((version, n) => [
    apiCr(`s-${version}`, {
      apiVersion: version,
      basePath: `/s/${version}`,
      production: [{ routeRefs: [`r-${n}`] }],
    }),
    httpRoute(`r-${n}`, ['gw.example.com'], [rule({ path: '/a' })]),
  ])
  const on = new Catalogue(objects, { apkIntelligentRouting: true })
  it.each([
    { path: '/s/v1/a', is: 's-v1.2.10' },
    { path: '/s/v1.2/a', is: 's-v1.2.10' },
    { path: '/s/v1.1/a', is: 's-v1.1.9' },
    { path: '/s/v2/a', is: 's-v2.0.0' },
    { path: '/s/v1.2.3/a', is: 's-v1.2.3' },
    { path: '/s/v3/a', is: undefined },
  ])('answers $path by $is where it is on', ({ path, is }) => {
    expect(atGateway(on, 'gw.example.com', path).api?.name).toBe(is)
  })
  it('is off without a word', () => {
    expect(short(atGateway(new Catalogue(objects), 'gw.example.com', '/s/v1/a'))).toBe('none')
  })
})

describe('other kinds of APIs', () => {
  const gql = (basePath: string) =>
    catalogueOf(
      apiCr('gql', { apiType: 'GraphQL', production: [{ routeRefs: ['g'] }] }),
      object('dp.wso2.com/v1alpha2', 'GQLRoute', 'g', {
        spec: {
          hostnames: ['gw.example.com'],
          backendRefs: [{ group: 'dp.wso2.com', kind: 'Backend', name: 'b' }],
        },
      }),
      backend('b', 'orders.shop', 80, basePath),
    )
  it.each([
    { why: 'a base path', basePath: '/graphql', path: '/graphql' },
    { why: 'none', basePath: '', path: '/' },
  ])('is GraphQL a POST to the base path of its backend: $why', ({ basePath, path }) => {
    const catalogue = gql(basePath)
    const asked = (at: string) => short(atGateway(catalogue, 'gw.example.com', at, 'POST'))
    expect([asked('/gql/1.0.0'), asked('/gql/1.0.0/x')]).toEqual(['gql POST / exact', 'none'])
    expect(short(atGateway(catalogue, 'gw.example.com', '/gql/1.0.0', 'GET'))).toBe('none')
    expect(short(atBackend(catalogue, path, { service: 'shop/orders', method: 'POST' }))).toBe(
      'gql POST / high',
    )
  })

  const grpc = (match: object, isDefaultVersion = false) =>
    catalogueOf(
      apiCr('school', {
        apiType: 'GRPC',
        apiVersion: 'v1',
        basePath: '/school.v1',
        isDefaultVersion,
        production: [{ routeRefs: ['r'] }],
      }),
      object('gateway.networking.k8s.io/v1', 'GRPCRoute', 'r', {
        spec: {
          hostnames: ['gw.example.com'],
          rules: [
            {
              matches: [{ method: match }],
              backendRefs: [{ group: 'dp.wso2.com', kind: 'Backend', name: 'b' }],
            },
          ],
        },
      }),
      backend('b', 'orders.shop', 80, '/ignored'),
    )
  it.each([
    {
      why: 'a method',
      match: { service: 'Students', method: 'Get' },
      not: '/school.v1.Students/Set',
    },
    { why: 'a service', match: { service: 'Students' }, not: '/school.v1.Teachers/Get' },
    {
      why: 'an expression',
      match: { type: 'RegularExpression', service: 'S[a-z]+', method: 'Get' },
      not: '/school.v1/Students/Get',
    },
  ])('is gRPC the same path on both legs: $why', ({ match, not }) => {
    const catalogue = grpc(match)
    for (const [path, is] of [
      ['/school.v1.Students/Get', 'school'],
      [not, undefined],
    ] as const) {
      const front = atGateway(catalogue, 'gw.example.com', path, 'POST')
      const behind = atBackend(catalogue, path, { service: 'shop/orders', method: 'POST' })
      expect([path, front.api?.name]).toEqual([path, is])
      expect([path, behind.confidence]).toEqual([path, is === undefined ? 'low' : 'high'])
    }
  })
  it('is gRPC of a default version without its version, on both legs, too', () => {
    const catalogue = grpc({ service: 'Students', method: 'Get' }, true)
    for (const path of ['/school.v1.Students/Get', '/school.Students/Get']) {
      expect(short(atGateway(catalogue, 'gw.example.com', path, 'POST'))).toMatch(/exact$/)
      const at = { service: 'shop/orders', method: 'POST' }
      expect(short(atBackend(catalogue, path, at))).toMatch(/high$/)
    }
  })
})
