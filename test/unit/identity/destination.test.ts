import { describe, expect, it } from 'vitest'
import { type At, atBackend, short } from './asking.ts'
import {
  backend,
  catalogueOf,
  endpointSlice,
  httpRoute,
  object,
  ordersApi,
  rule,
  service,
} from './objects.ts'

const api = (name: string, path: string) =>
  httpRoute(name, [`${name}.example.com`], [rule({ path, backend: `service:${name}:80` })])
const slice = (name: string, addresses: readonly string[], port: number, pod = '') => {
  const made = endpointSlice(name, addresses, port, pod)
  return { ...made, metadata: { ...made.metadata, name: `${name}-${addresses.join('-')}` } }
}

describe('a pod behind two Services', () => {
  const ports = (targetPort: number) => ({ ports: [{ name: 'http', port: 80, targetPort }] })
  const catalogue = catalogueOf(
    api('one', '/a'),
    api('two', '/b'),
    service('one', ports(3000)),
    service('two', ports(4000)),
    slice('one', ['10.0.0.7'], 3000, 'pod-1'),
    slice('two', ['10.0.0.7'], 4000, 'pod-1'),
  )
  it.each<{ why: string; path: string; at: At; is: string }>([
    { why: 'by its port', path: '', at: { port: 3000 }, is: 'one - low' },
    { why: 'by its other port', path: '', at: { port: 4000 }, is: 'two - low' },
    { why: 'by the path', path: '/b', at: {}, is: 'two * /b/{rest...} high' },
    { why: 'without either by none', path: '', at: {}, is: 'ambiguous one two' },
    { why: 'on a port that is nobody of theirs', path: '/b', at: { port: 9 }, is: 'none' },
  ])('is one of them $why', ({ path, at, is }) => {
    expect(short(atBackend(catalogue, path, { ip: '10.0.0.7', ...at }))).toBe(is)
  })
})

describe('addresses', () => {
  const catalogue = catalogueOf(
    api('orders', '/'),
    service('orders', {
      clusterIP: '10.96.0.1',
      clusterIPs: ['10.96.0.1', 'fd00::1'],
      ports: [{ name: 'http', port: 80, targetPort: 'http' }],
    }),
    slice('orders', ['10.0.0.7'], 3000),
    slice('orders', ['fd00::7'], 3000),
    api('headless', '/h'),
    service('headless', { clusterIP: 'None', ports: [{ name: 'http', port: 80 }] }),
    slice('headless', ['10.0.0.8'], 80),
  )
  it.each([
    { why: "a Service's second family", ip: 'fd00::1', port: 80, is: 'orders * /{rest...} high' },
    { why: "a pod's second family", ip: 'fd00::7', port: 3000, is: 'orders * /{rest...} high' },
    { why: 'a named target port', ip: '10.0.0.7', port: 3000, is: 'orders * /{rest...} high' },
    { why: 'a pod of a headless Service', ip: '10.0.0.8', port: 80, is: 'headless - low' },
    { why: 'None is no address', ip: 'None', port: 80, is: 'none' },
  ])('are known: $why', ({ ip, port, is }) => {
    expect(short(atBackend(catalogue, '/x', { ip, port }))).toBe(is)
  })
})

describe('the host of a backend', () => {
  it.each([
    { host: 'orders', at: { service: 'shop/orders' } },
    { host: 'ORDERS.Shop.SVC.', at: { service: 'shop/orders' } },
    { host: 'orders.pay', at: { service: 'pay/orders' } },
    { host: 'orders.shop.svc.cluster.local', at: { service: 'shop/orders' } },
    { host: 'orders-0.orders.shop.svc.cluster.local', at: { service: 'shop/orders' } },
    { host: 'api.partner.example.com', at: { names: ['api.partner.example.com'] } },
    { host: '192.0.2.9', at: { ip: '192.0.2.9' } },
    { host: '10.96.0.5', at: { service: 'shop/five' } },
  ])('$host is found at $at', ({ host, at }) => {
    const [cr, route] = ordersApi([{ path: '/' }])
    if (cr === undefined || route === undefined) throw new Error('no API')
    const catalogue = catalogueOf(
      cr,
      route,
      backend('orders-backend', host, 80),
      service('five', { clusterIP: '10.96.0.5' }),
      object('v1', 'Namespace', 'shop'),
    )
    expect(short(atBackend(catalogue, '/x', { port: 80, ...at }))).toBe('orders * /{rest...} high')
  })
})
