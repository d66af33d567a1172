import { describe, expect, it } from 'vitest'
import { type At, atBackend, short } from './asking.ts'
import {
  apiCr,
  backend,
  catalogueOf,
  endpointSlice,
  httpRoute,
  object,
  type RuleFields,
  rule,
  service,
} from './objects.ts'

const modifier = (edits: object) => ({
  type: 'RequestHeaderModifier',
  requestHeaderModifier: edits,
})
const sets = (value: string, name = 'X-Api-Id') => modifier({ set: [{ name, value }] })

/** APIs of APK with equal paths on one backend. */
const sharing = (apis: Readonly<Record<string, Partial<RuleFields>>>) =>
  catalogueOf(
    ...Object.entries(apis).flatMap(([name, fields]) => [
      apiCr(name, { production: [{ routeRefs: [name] }] }),
      httpRoute(name, ['gw.example.com'], [rule({ path: '/', backend: 'both', ...fields })]),
    ]),
    backend('both', 'orders.shop'),
  )
const asked = (catalogue: ReturnType<typeof sharing>, at: At) =>
  short(atBackend(catalogue, '/x', { service: 'shop/orders', ...at }))

describe('an identity that routes write', () => {
  const each = sharing({ one: { filters: [sets('id-1')] }, two: { filters: [sets('id-2')] } })
  const some = sharing({ one: { filters: [sets('id-1')] }, two: {} })
  const fresh = sharing({
    one: { filters: [sets('id-1')] },
    two: { filters: [modifier({ remove: ['x-api-id'] })] },
  })
  const added = sharing({
    one: { filters: [modifier({ add: [{ name: 'x-api-name', value: 'one' }] })] },
    two: { filters: [sets('two', 'x-api-name')] },
  })
  const versions = sharing({
    one: {
      filters: [
        modifier({
          set: [
            { name: 'x-api-name', value: 'a' },
            { name: 'x-api-version', value: '1' },
          ],
        }),
      ],
    },
    two: {
      filters: [
        modifier({
          set: [
            { name: 'x-api-name', value: 'a' },
            { name: 'x-api-version', value: '2' },
          ],
        }),
      ],
    },
  })
  it.each<{ why: string; of: ReturnType<typeof sharing>; at: At; is: string }>([
    {
      why: 'each its own',
      of: each,
      at: { headers: { 'x-api-id': 'id-2' } },
      is: 'two * /{rest...} exact',
    },
    { why: 'no header came', of: each, at: {}, is: 'ambiguous one two' },
    {
      why: 'other headers came',
      of: each,
      at: { headers: { accept: '*/*' } },
      is: 'ambiguous one two',
    },
    {
      why: 'a value that neither writes',
      of: each,
      at: { headers: { 'x-api-id': 'x' } },
      is: 'ambiguous one two',
    },
    {
      why: 'not from a gateway',
      of: each,
      at: { headers: { 'x-api-id': 'id-2' }, direct: true },
      is: 'ambiguous one two',
    },
    {
      why: "one of them only, so that the other lets a client's own through",
      of: some,
      at: { headers: { 'x-api-id': 'id-1' } },
      is: 'one * /{rest...} high',
    },
    {
      why: 'a value that the one does not write',
      of: some,
      at: { headers: { 'x-api-id': 'else' } },
      is: 'two * /{rest...} high',
    },
    {
      why: "the other takes a client's away",
      of: fresh,
      at: { headers: { 'x-api-id': 'id-1' } },
      is: 'one * /{rest...} exact',
    },
    {
      why: 'added beside what the client sent',
      of: added,
      at: { headers: { 'x-api-name': 'two, one' } },
      is: 'one * /{rest...} exact',
    },
    {
      why: 'name and version together',
      of: versions,
      at: { headers: { 'x-api-name': 'a', 'x-api-version': '2' } },
      is: 'two * /{rest...} exact',
    },
    {
      why: 'the name alone, which both write',
      of: versions,
      at: { headers: { 'x-api-name': 'a' } },
      is: 'ambiguous one two',
    },
  ])('counts, or not: $why', ({ of, at, is }) => {
    expect(asked(of, at)).toBe(is)
  })

  it('does not make sure what was likely only', () => {
    const at = { headers: { 'x-api-id': 'id-2' }, service: '', host: 'orders.shop' }
    expect(short(atBackend(each, '/x', at))).toBe('two * /{rest...} low')
  })
})

describe('what else a request carries', () => {
  const header = { name: 'x-beta', value: '1' }
  const plain = (name: string, fields: Partial<RuleFields>, queryParams?: object[]) => {
    const made = rule({ path: '/x', backend: 'service:orders:80', ...fields })
    const [match] = made['matches'] as object[]
    const matches = [queryParams === undefined ? match : { ...match, queryParams }]
    return httpRoute(name, ['a.example.com'], [{ ...made, matches }])
  }
  const beta = catalogueOf(plain('beta', { headers: [header] }), plain('any', {}))
  const paged = catalogueOf(plain('paged', {}, [{ name: 'page', value: '1' }]), plain('any', {}))
  it.each<{ why: string; of: ReturnType<typeof catalogueOf>; at: At; is: string }>([
    { why: 'nothing is known', of: beta, at: {}, is: 'ambiguous any beta' },
    {
      why: 'the header of a condition',
      of: beta,
      at: { headers: { 'x-beta': '1' }, query: '' },
      is: 'beta * /x/{rest...} high',
    },
    {
      why: 'another value of it',
      of: beta,
      at: { headers: { 'x-beta': '2' } },
      is: 'any * /x/{rest...} high',
    },
    {
      why: 'other headers only',
      of: beta,
      at: { headers: { accept: 'x' } },
      is: 'any * /x/{rest...} high',
    },
    {
      why: 'the query of a condition',
      of: paged,
      at: { query: 'page=1' },
      is: 'paged * /x/{rest...} high',
    },
    { why: 'another query', of: paged, at: { query: 'page=2' }, is: 'any * /x/{rest...} high' },
  ])('tells routes apart: $why', ({ of, at, is }) => {
    expect(asked(of, at)).toBe(is)
  })
})

describe('which gateway it comes from', () => {
  const route = (name: string, gateway: string) => {
    const read = httpRoute(
      name,
      ['a.example.com'],
      [rule({ path: '/', backend: 'service:orders:80' })],
    )
    const parentRefs = [{ name: gateway, namespace: 'infra' }]
    return { ...read, spec: { ...(read['spec'] as object), parentRefs } }
  }
  const catalogue = catalogueOf(route('inner', 'gw-1'), route('outer', 'gw-2'))
  it.each([
    { gateway: 'infra/gw-1', is: 'inner * /{rest...} high' },
    { gateway: 'infra/gw-3', is: 'ambiguous inner outer' },
    { gateway: '', is: 'ambiguous inner outer' },
  ])('tells routes apart: "$gateway"', ({ gateway, is }) => {
    expect(asked(catalogue, { gateway })).toBe(is)
  })
})

describe('a document that describes a Service', () => {
  const document = {
    openapi: '3.0.1',
    info: { title: 'Stock', version: '2.1' },
    servers: [{ url: 'https://stock.example.com/v2' }],
    paths: { '/items/{sku}': { get: {}, put: {} }, '/items': { get: {} } },
  }
  const configMap = (labels: object, of: object = document, namespace = 'shop') =>
    object(
      'v1',
      'ConfigMap',
      'doc',
      { data: { 'openapi.json': JSON.stringify(of) } },
      { labels, namespace },
    )
  const stock = { 'weir.dev/service': 'stock' }
  it.each<{ why: string; path: string; method?: string; is: string }>([
    { why: 'an operation', path: '/v2/items/7', is: 'Stock GET /items/{sku} high' },
    { why: 'another method', path: '/v2/items/7', method: 'DELETE', is: 'Stock - low' },
    { why: 'a path that it does not have', path: '/health', is: 'Stock - low' },
  ])('is its API: $why', ({ path, method = 'GET', is }) => {
    const catalogue = catalogueOf(configMap(stock), service('stock', {}))
    expect(short(atBackend(catalogue, path, { service: 'shop/stock', method }))).toBe(is)
    expect(catalogue.apis.map(({ api }) => [api.name, api.version, api.context])).toEqual([
      ['Stock', '2.1', '/v2'],
    ])
  })
  it('gives a plain route that leads there its operations, and is asked after all routes', () => {
    const catalogue = catalogueOf(
      configMap(stock, { ...document, servers: [] }),
      httpRoute('r', ['a.example.com'], [rule({ path: '/', backend: 'service:stock:80' })]),
    )
    const at = { service: 'shop/stock' }
    expect(short(atBackend(catalogue, '/items/7', at))).toBe('r GET /items/{sku} high')
    expect(short(atBackend(catalogue, '/other', at))).toBe('r * /{rest...} high')
  })
  it('describes no Service of another namespace', () => {
    const catalogue = catalogueOf(configMap(stock, document, 'other'), service('stock', {}))
    expect(short(atBackend(catalogue, '/v2/items/7', { service: 'shop/stock' }))).toBe('none')
  })
  it.each([
    { why: 'no operation', of: { openapi: '3.0.1', paths: {} } },
    { why: 'no document', of: {} },
  ])('is told of where it has $why', ({ of }) => {
    const { apis, problems } = catalogueOf(configMap(stock, of))
    expect([apis, problems.map(({ object: title }) => title)]).toEqual([[], ['ConfigMap shop/doc']])
  })
})

describe('a Service that nobody declares', () => {
  const labels = { 'app.kubernetes.io/name': 'billing', 'app.kubernetes.io/version': '3' }
  const catalogue = catalogueOf(
    service('billing', {}, { labels }),
    service('plain', {}),
    service('front', { selector: { 'app.kubernetes.io/app': 'gateway' } }, { labels }),
    endpointSlice('billing', ['10.0.0.9'], 80),
  )
  it.each([
    { why: 'by its labels', at: { service: 'shop/billing' }, is: 'billing - low' },
    { why: "by its pods' address, too", at: { ip: '10.0.0.9' }, is: 'billing - low' },
    { why: 'without labels not', at: { service: 'shop/plain' }, is: 'none' },
    { why: 'and a gateway never', at: { service: 'shop/front' }, is: 'none' },
  ])('is called $why', ({ at, is }) => {
    expect(short(atBackend(catalogue, '/x', at))).toBe(is)
  })
  it('is no declared API', () => {
    expect(catalogue.apis).toEqual([])
  })
})

describe('odd requests', () => {
  const catalogue = sharing({ one: { path: '/a' } })
  it.each<{ why: string; path: string; at?: At; is: string }>([
    {
      why: 'a method that nobody knows',
      path: '/a',
      at: { method: 'BREW' },
      is: 'one * /a/{rest...} high',
    },
    { why: 'an asterisk for a path', path: '*', at: { method: 'OPTIONS' }, is: 'one - low' },
    { why: 'no path at all: TLS, or no layer 7', path: '', is: 'one - low' },
    { why: 'a path as it was recorded, encoded', path: '/%61', is: 'one - low' },
    { why: 'slashes as they were recorded', path: '/a//b', is: 'one * /a/{rest...} high' },
    { why: 'a line feed', path: '/a/\n', is: 'one * /a/{rest...} high' },
  ])('$why', ({ path, at, is }) => {
    expect(short(atBackend(catalogue, path, { service: 'shop/orders', ...at }))).toBe(is)
  })
})
