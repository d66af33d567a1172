import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { Operation } from '../../../src/model/api.ts'
import {
  apiCr,
  backend,
  catalogueOf,
  endpointSlice,
  httpRoute,
  metadataFilter,
  object,
  ordersApi,
  routeMetadata,
  rule,
  service,
} from './objects.ts'

const show = ({ method, template }: Operation): string => `${method} ${template}`

describe('served shapes', () => {
  it.each([
    { version: 'v1alpha1', refs: 'httpRouteRefs' },
    { version: 'v1alpha1', refs: 'routeRefs' },
    { version: 'v1alpha2', refs: 'routeRefs' },
    { version: 'v1alpha2', refs: 'httpRouteRefs' },
    { version: 'v1alpha3', refs: 'routeRefs' },
  ])('reads an API of $version with $refs', ({ version, refs }) => {
    const catalogue = catalogueOf(
      apiCr('orders', { organization: 'acme', production: [{ [refs]: ['r'] }] }, version),
      httpRoute('r', ['orders.example.com'], [rule({ path: '/orders', method: 'GET' })]),
    )
    expect(catalogue.problems).toEqual([])
    expect(catalogue.apis).toEqual([
      {
        api: {
          name: 'orders',
          version: '1.0.0',
          context: '/orders/1.0.0',
          type: 'REST',
          organization: 'acme',
          environment: 'production',
          namespace: 'shop',
          id: 'shop/orders-cr',
        },
        operations: [{ method: 'GET', template: '/orders/{rest...}' }],
      },
    ])
  })

  it('does not take an API of another group for one', () => {
    const catalogue = catalogueOf(object('backstage.io/v1alpha1', 'API', 'orders'))
    expect(catalogue.apis).toEqual([])
    expect(catalogue.ignoredKinds).toEqual(new Map([['backstage.io/API', 1]]))
  })

  it('reads production and sandbox as two APIs with one id', () => {
    const catalogue = catalogueOf(
      apiCr('orders', {
        environment: 'dev',
        production: [{ routeRefs: ['p'] }],
        sandbox: [{ routeRefs: ['s'] }],
      }),
      httpRoute('p', ['a.example.com'], [rule({ path: '/' })]),
      httpRoute('s', ['sandbox.a.example.com'], [rule({ path: '/' })]),
    )
    expect(catalogue.apis.map(({ api }) => [api.environment, api.id])).toEqual([
      ['dev', 'shop/orders-cr'],
      ['sandbox', 'shop/orders-cr'],
    ])
  })

  it('reads RouteMetadata, with its id and the environment that only the route tells', () => {
    const api = {
      name: 'pets',
      version: 'v1',
      context: '/pets/v1',
      uuid: 'u-1',
      envType: 'production',
    }
    const rules = [
      rule({
        path: '/pets/v1/cats',
        prefix: '/cats',
        backend: 'service:pets:80',
        filters: [metadataFilter('m')],
      }),
      rule({
        path: '/pets/cats',
        prefix: '/cats',
        backend: 'service:pets:80',
        filters: [metadataFilter('m')],
      }),
    ]
    const annotations = { 'gateway.envoyproxy.io/kgw-envtype': 'SANDBOX' }
    const catalogue = catalogueOf(
      routeMetadata('m', api),
      httpRoute('p', ['a.example.com'], rules),
      httpRoute('s', ['b.example.com'], rules, { annotations }),
    )
    expect(catalogue.problems).toEqual([])
    expect(catalogue.apis.map((entry) => [entry.api.environment, entry.api.id])).toEqual([
      ['production', 'u-1'],
      ['sandbox', 'u-1'],
    ])
    // With and without the version in the path it is one operation.
    expect(catalogue.apis[0]?.operations.map(show)).toEqual(['* /cats/{rest...}'])
  })

  it('takes a plain HTTPRoute for an API of its name, or of its labels', () => {
    const labels = { 'weir.dev/api': 'shop', 'weir.dev/version': 'v2' }
    const catalogue = catalogueOf(
      httpRoute('orders', ['a.example.com'], [rule({ path: '/orders', type: 'Exact' })]),
      httpRoute('labelled-1', ['b.example.com'], [rule({ path: '/a' })], { labels }),
      httpRoute('labelled-2', ['b.example.com'], [rule({ path: '/b' })], { labels }),
    )
    expect(
      catalogue.apis.map(({ api, operations }) => [
        api.name,
        api.version,
        api.context,
        ...operations.map(show),
      ]),
    ).toEqual([
      ['orders', '', '', '* /orders'],
      ['shop', 'v2', '', '* /a/{rest...}', '* /b/{rest...}'],
    ])
  })

  it('reads GraphQL as one POST, and gRPC as paths that nothing rewrites', () => {
    const gql = {
      spec: {
        hostnames: ['g.example.com'],
        backendRefs: [{ group: 'dp.wso2.com', kind: 'Backend', name: 'gql' }],
      },
    }
    const grpcRules = [
      {
        matches: [{ method: { service: 'Students', method: 'Get' } }],
        backendRefs: [{ group: 'dp.wso2.com', kind: 'Backend', name: 'grpc' }],
      },
    ]
    const catalogue = catalogueOf(
      apiCr('gql', { apiType: 'GraphQL', production: [{ routeRefs: ['gql'] }] }, 'v1alpha2'),
      object('dp.wso2.com/v1alpha2', 'GQLRoute', 'gql', gql),
      apiCr(
        'grpc',
        { apiType: 'GRPC', basePath: '/school.v1', production: [{ routeRefs: ['grpc'] }] },
        'v1alpha3',
      ),
      object('gateway.networking.k8s.io/v1', 'GRPCRoute', 'grpc', { spec: { rules: grpcRules } }),
      backend('gql', 'gql', 80, '/graphql'),
      backend('grpc', 'grpc', 9000),
    )
    expect(catalogue.problems).toEqual([])
    const targets = catalogue.apis.map(({ api }) => catalogue.limitTargets(api, null, 'api'))
    expect(targets).toEqual([
      [
        {
          namespace: 'shop',
          service: 'gql',
          port: 80,
          matches: [{ method: 'POST', pathRegex: '/graphql', template: '/' }],
        },
      ],
      [
        {
          namespace: 'shop',
          service: 'grpc',
          port: 9000,
          matches: [
            {
              method: 'POST',
              pathRegex: '/school\\.v1\\.Students/Get/?',
              template: '/Students/Get',
            },
          ],
        },
      ],
    ])
  })

  it('passes over system APIs, and tells of those that are not served or too old', () => {
    const catalogue = catalogueOf(
      apiCr('system', { systemAPI: true }),
      { ...apiCr('refused', {}), status: { deploymentStatus: { accepted: false } } },
      object('dp.wso2.com/v1alpha1', 'API', 'old', {
        spec: { context: '/x', prodHTTPRouteRefs: ['r'] },
      }),
      apiCr('routeless', { production: [{ routeRefs: ['missing'] }] }),
    )
    expect(catalogue.apis.map(({ api }) => api.name)).toEqual(['routeless'])
    expect(catalogue.problems.map(({ object: title }) => title)).toEqual([
      'API shop/refused-cr',
      'API shop/old',
      'API shop/routeless-cr',
    ])
  })

  it('never throws because of what an object holds', () => {
    const odd = [
      null,
      7,
      'x',
      [],
      {},
      [null],
      { rules: null },
      { rules: [null, 7, { matches: [null, { path: 5 }] }] },
    ]
    for (const spec of odd) {
      for (const kind of ['API', 'Backend', 'GQLRoute', 'RouteMetadata']) {
        catalogueOf(object('dp.wso2.com/v1alpha2', kind, 'x', { spec }))
      }
      for (const kind of ['HTTPRoute', 'GRPCRoute', 'Gateway']) {
        catalogueOf(object('gateway.networking.k8s.io/v1', kind, 'x', { spec }))
      }
      catalogueOf(service('x', {}), object('v1', 'Service', 'x', { spec }))
      catalogueOf(
        object(
          'discovery.k8s.io/v1',
          'EndpointSlice',
          'x',
          { endpoints: spec },
          { labels: { 'kubernetes.io/service-name': 'x' } },
        ),
      )
    }
    expect(
      catalogueOf(...ordersApi([{ path: '/(?!x)', type: 'RegularExpression' }])).problems,
    ).toEqual([{ object: 'HTTPRoute shop/orders-route', reason: expect.stringContaining('(?!') }])
  })
})

describe('definitions', () => {
  const document = {
    openapi: '3.0.1',
    paths: {
      '/employee/{employeeId}': { get: {}, put: {} },
      '/employee': { get: {} },
      '/dept/{d}/staff': { get: {} },
    },
  }
  const packed = object('v1', 'ConfigMap', 'def', {
    binaryData: { definition: gzipSync(JSON.stringify(document)).toString('base64') },
  })

  it('gives generated expressions their declared names, and prefixes their operations', () => {
    const catalogue = catalogueOf(
      packed,
      ...ordersApi(
        [
          {
            path: '/employee/(.*)',
            type: 'RegularExpression',
            method: 'GET',
            full: '/employee/\\1',
          },
          { path: '/dept', prefix: '/d' },
        ],
        { definitionFileRef: 'def' },
      ),
    )
    expect(catalogue.problems).toEqual([])
    expect(catalogue.apis[0]?.operations.map(show)).toEqual([
      'GET /employee/{employeeId}',
      'GET /dept/{d}/staff',
      '* /dept/{rest...}',
    ])
  })

  it.each([
    {
      why: 'packed rubbish',
      fields: { binaryData: { a: Buffer.from([0x1f, 0x8b, 1, 2]).toString('base64') } },
    },
    { why: 'no JSON', fields: { data: { a: '{"openapi": "3", "paths": ' } } },
    { why: 'nothing', fields: {} },
  ])('tells of a definition with $why, and goes on', ({ fields }) => {
    const catalogue = catalogueOf(
      object('v1', 'ConfigMap', 'def', fields),
      ...ordersApi([{ path: '/a' }], { definitionFileRef: 'def' }),
    )
    expect(catalogue.problems).toEqual([
      { object: 'ConfigMap shop/def', reason: expect.stringContaining('its definition') },
    ])
    expect(catalogue.apis[0]?.operations).toHaveLength(1)
  })
})

describe('limitTargets()', () => {
  it('names the Service, its port, and the paths that it sees', () => {
    const catalogue = catalogueOf(
      ...ordersApi(
        [
          {
            path: '/orders/([^/]+)',
            type: 'RegularExpression',
            method: 'GET',
            full: '/v2/orders/\\1',
          },
          { path: '/orders', type: 'Exact', method: 'POST', full: '/v2/orders' },
          { path: '/health', backend: 'outside' },
        ],
        { isDefaultVersion: true },
      ),
      backend('outside', 'api.partner.example.com', 443),
    )
    const [entry] = catalogue.apis
    if (entry === undefined) throw new Error('no API')
    const [byId] = entry.operations
    const one = { method: 'GET', pathRegex: '/v2/orders/[^/]+', template: '/orders/{id}' }
    const other = { method: 'POST', pathRegex: '/v2/orders', template: '/orders' }
    const target = { namespace: 'shop', service: 'orders', port: 8080 }
    expect(catalogue.limitTargets(entry.api, byId ?? null, 'operation')).toEqual([
      { ...target, matches: [one] },
    ])
    expect(catalogue.limitTargets(entry.api, null, 'api')).toEqual([
      { ...target, matches: [one, other] },
    ])
    expect(catalogue.limitTargets(entry.api, null, 'operation')).toEqual([])
    // A finding's JSON is another object than the catalogue's.
    expect(
      catalogue.limitTargets({ ...entry.api }, { ...other, method: 'POST' }, 'operation'),
    ).toHaveLength(1)
  })
})

describe('facts for others', () => {
  const orders = service('orders', { selector: { app: 'orders' } })
  const catalogue = catalogueOf(
    orders,
    endpointSlice('orders', ['10.0.0.7', '10.0.0.8'], 3000),
    object('v1', 'Namespace', 'shop', {}, { labels: { 'weir.dev/enforce': 'enabled' } }),
    object('cilium.io/v2', 'CiliumEnvoyConfig', 'cec'),
    object('cilium.io/v2', 'CiliumClusterwideEnvoyConfig', 'ccec'),
    httpRoute('plain', [], [rule({ path: '/' })]),
    object('apps/v1', 'Deployment', 'a'),
    object('apps/v1', 'Deployment', 'b'),
  )
  it('hands out raw objects, labels and addresses', () => {
    expect(catalogue.service('shop', 'orders')).toBe(orders)
    expect(catalogue.service('shop', 'carts')).toBeUndefined()
    expect(catalogue.namespaceLabels('shop')?.get('weir.dev/enforce')).toBe('enabled')
    expect(catalogue.namespaceLabels('other')).toBeUndefined()
    expect(catalogue.ciliumEnvoyConfigs().map(({ metadata }) => metadata.name)).toEqual([
      'cec',
      'ccec',
    ])
    expect(catalogue.httpRoutes()).toHaveLength(1)
    expect(catalogue.endpointAddresses('shop', 'orders')).toEqual(['10.0.0.7', '10.0.0.8'])
    expect(catalogue.ignoredKinds).toEqual(new Map([['apps/Deployment', 2]]))
  })
  it('finds an API by what a finding tells of it, and none where two answer', () => {
    const twice = catalogueOf(
      apiCr('orders', { production: [{ routeRefs: ['r'] }], sandbox: [{ routeRefs: ['r'] }] }),
      httpRoute('r', ['a.example.com'], [rule({ path: '/' })]),
    )
    const named = { name: 'orders', version: '1.0.0' }
    expect(twice.findApi(named)).toBeUndefined()
    expect(twice.findApi({ ...named, environment: 'sandbox' })?.environment).toBe('sandbox')
    expect(twice.findApi({ ...named, version: '2.0.0' })).toBeUndefined()
    expect(twice.findApi({ ...named, environment: 'sandbox', namespace: 'other' })).toBeUndefined()
  })
})

it.each([
  { why: 'a route that a gateway takes', parentRefs: [{ name: 'public' }], isBehind: true },
  {
    why: 'a route of a Service',
    parentRefs: [{ kind: 'Service', name: 'orders' }],
    isBehind: false,
  },
])('knows whether an API can be bypassed: $why', ({ parentRefs, isBehind }) => {
  const backendRefs = [{ name: 'orders', port: 8_080 }]
  const rules = [{ matches: [{ path: { type: 'PathPrefix', value: '/o' } }], backendRefs }]
  const route = object('gateway.networking.k8s.io/v1', 'HTTPRoute', 'r', {
    spec: { parentRefs, rules },
  })
  const catalogue = catalogueOf(route, service('orders', { ports: [{ port: 8_080 }] }))
  const [only] = catalogue.apis
  expect(only === undefined ? undefined : catalogue.isBehindGateway(only.api)).toBe(isBehind)
  // Of an older catalogue, as a call may carry it.
  expect(only === undefined ? undefined : catalogue.isBehindGateway({ ...only.api })).toBe(isBehind)
})

describe('pods', () => {
  const orders = service('orders', { selector: { app: 'orders' }, ports: [{ port: 8_080 }] })
  const pod = (name: string, ip: string, over: object = {}) =>
    object(
      'v1',
      'Pod',
      name,
      { status: { podIP: ip, podIPs: [{ ip }, { ip: 'fd00::1' }], ...over } },
      {
        labels: { app: 'orders', tier: 'web' },
      },
    )

  it('tell the Services that select them, where no EndpointSlice does', () => {
    const { services } = catalogueOf(orders, pod('a', '10.0.0.1'), pod('b', '10.0.0.2'))
    expect(services.ofPodIp('10.0.0.2')).toEqual(['shop/orders'])
    expect(services.ofPodIp('fd00::1')).toEqual(['shop/orders'])
    expect(services.ofPodIp('10.0.0.9')).toEqual([])
  })

  it.each([
    { why: 'has ended', made: pod('a', '10.0.0.1', { phase: 'Succeeded' }) },
    {
      why: "is of the host's network",
      made: { ...pod('a', '10.0.0.1'), spec: { hostNetwork: true } },
    },
    { why: 'has other labels', made: object('v1', 'Pod', 'a', { status: { podIP: '10.0.0.1' } }) },
  ])('says nothing of an address where it $why', ({ made }) => {
    expect(catalogueOf(orders, made).services.ofPodIp('10.0.0.1')).toEqual([])
  })
})
