import { expect, it } from 'vitest'
import { atBackend, atGateway, short } from './asking.ts'
import { catalogueOf, httpRoute, ordersApi, rule } from './objects.ts'

const catalogue = () =>
  catalogueOf(
    ...ordersApi([{ path: '/a' }]),
    httpRoute('carts', ['carts.example.com'], [rule({ path: '/c', backend: 'service:carts:80' })]),
  )

it('answers again without looking, and alike', () => {
  const of = catalogue()
  const ask = () => [
    short(atBackend(of, '/a/7')),
    short(atBackend(of, '/a/7', { service: 'shop/carts' })),
    short(atBackend(of, '/c', { service: 'shop/carts' })),
    short(atBackend(of, '/c', { service: 'shop/carts', method: 'PUT', port: 81 })),
    short(atGateway(of, 'orders.example.com', '/orders/1.0.0/a')),
    short(atGateway(of, 'carts.example.com', '/orders/1.0.0/a')),
    short(atGateway(of, 'carts.example.com', '/c')),
  ]
  const first = ask()
  const { misses } = of.cache
  expect(ask()).toEqual(first)
  expect(new Set(first).size).toBeGreaterThan(3)
  expect(of.cache.misses).toBe(misses)
})

it('lets a flood of made-up paths push out nothing of another backend', () => {
  const of = catalogue()
  const carts = () => atBackend(of, '/c/7', { service: 'shop/carts' })
  carts()
  for (let n = 0; n < 5_000; n++) atBackend(of, `/a/${n}`)
  const { hits, replaced } = of.cache
  expect(short(carts())).toBe('carts * /c/{rest...} high')
  expect(of.cache.hits).toBe(hits + 1)
  expect(replaced).toBeGreaterThan(4_000)
})

it('lets a flood of made-up hosts push out nothing of a host that is there', () => {
  const of = catalogue()
  const carts = () => atGateway(of, 'carts.example.com', '/c')
  carts()
  for (let n = 0; n < 5_000; n++) atGateway(of, `h${n}.example.org`, '/c')
  const { hits } = of.cache
  expect(short(carts())).toBe('carts * /c/{rest...} exact')
  expect(of.cache.hits).toBe(hits + 1)
})

it('does not keep what is very long', () => {
  const of = catalogue()
  const path = `/a/${'x'.repeat(1_000)}`
  atBackend(of, path)
  atBackend(of, path)
  expect(of.cache.hits).toBe(0)
})
