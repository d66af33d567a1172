import { expect, it } from 'vitest'
import { buildCatalogue } from '../../../src/identity/build-catalogue.ts'
import { Catalogue } from '../../../src/identity/catalogue.ts'
import { CatalogueHistory } from '../../../src/identity/catalogue-history.ts'
import { atBackend, short } from './asking.ts'
import { httpRoute, ordersApi, rule, service } from './objects.ts'

const none = new Catalogue([])
const first = new Catalogue([])
const second = new Catalogue(ordersApi([{ path: '/a' }]))
const third = new Catalogue(ordersApi([{ path: '/b' }]))

it('gives a late flow the catalogue of its time', () => {
  const history = new CatalogueHistory(none)
  expect(history.at(5_000)).toBe(none)
  history.add(first, 500)
  history.add(second, 1_000)
  history.add(third, 2_000)
  expect([0, 999, 1_000, 1_999, 2_000, 9_999].map((timeMs) => history.at(timeMs))).toEqual([
    first,
    first,
    second,
    second,
    third,
    third,
  ])
  expect(history.current).toBe(third)
  // The API is gone; a flow of before still finds it.
  expect(short(atBackend(history.at(1_500), '/a'))).toBe('orders * /a/{rest...} high')
})

it('keeps a few, and tells what that cost', () => {
  const history = new CatalogueHistory(none, 2)
  history.add(first, 500)
  history.add(second, 1_000)
  history.add(third, 2_000)
  expect([history.at(0), history.forgotten]).toEqual([second, 1])
})

it('takes the newest for the newest where the clock was set back', () => {
  const history = new CatalogueHistory(none)
  history.add(first, 500)
  history.add(second, 2_000)
  history.add(third, 1_000)
  expect([history.at(1_500), history.at(2_000)]).toEqual([first, third])
})

it('is built in short steps as it is at once', async () => {
  const objects = Array.from({ length: 2_000 }, (_, n) => [
    httpRoute(`r-${n}`, ['a.example.com'], [rule({ path: `/${n}`, backend: `service:s-${n}:80` })]),
    service(`s-${n}`, {}),
  ]).flat()
  let turns = 0
  const ticker = setInterval(() => turns++, 0)
  const built = await buildCatalogue(objects, { yieldEveryMs: 1 })
  clearInterval(ticker)
  expect(turns).toBeGreaterThan(1)
  const whole = new Catalogue(objects)
  expect(built.apis).toEqual(whole.apis)
  for (const n of [0, 999, 1_999]) {
    const at = { service: `shop/s-${n}` }
    expect(short(atBackend(built, `/${n}/x`, at))).toBe(short(atBackend(whole, `/${n}/x`, at)))
  }
})

it('stops building where it is told to', async () => {
  const stop = AbortSignal.abort()
  const objects = Array.from({ length: 500 }, (_, n) => service(`s-${n}`, {}))
  await expect(buildCatalogue(objects, { yieldEveryMs: 0, signal: stop })).rejects.toThrow()
})
