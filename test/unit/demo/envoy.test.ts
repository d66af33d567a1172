import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DemoEnvoy } from '../../../src/demo/envoy.ts'
import { createRandom } from '../../../src/demo/random.ts'
import { service } from '../../../src/demo/shop.ts'
import { type CecFixture, cecFixture, type Rule } from './cec-fixture.ts'

const ORDERS = service('orders')
const GET_ORDER: Rule = {
  method: 'GET',
  pathRegex: '^/orders/[^/?]+(\\?.*)?$',
  slug: 'getOrder',
  address: '10.0.0.2',
  max: 10,
  perSecond: 10,
}

function envoyWith(fixture: Partial<CecFixture>): DemoEnvoy {
  const envoy = new DemoEnvoy(createRandom(1))
  const changes = envoy.apply([cecFixture({ service: 'orders', port: 8080, ...fixture })])
  expect(changes).toEqual([{ key: 'shop/weir-orders', change: 'applied', reason: '' }])
  return envoy
}

/** Statuses of `count` requests at the same moment; 0 passes. */
function burst(envoy: DemoEnvoy, count: number, request = {}, node = 0, atMs = 0): number[] {
  const full = { method: 'GET', path: '/orders/7', address: '10.0.0.2', ...request }
  return Array.from({ length: count }, () => envoy.decide(ORDERS, node, full, atMs).status)
}
const passed = (statuses: readonly number[]): number => statuses.filter((s) => s === 0).length

describe('a limit that is enforced', () => {
  it.each([
    { why: 'the decided client and operation', request: {}, node: 0, passes: 10 },
    { why: 'query and all', request: { path: '/orders/7?a=/b' }, node: 0, passes: 10 },
    { why: 'another method', request: { method: 'POST' }, node: 0, passes: 30 },
    { why: 'another path', request: { path: '/orders' }, node: 0, passes: 30 },
    { why: 'a path below', request: { path: '/orders/7/lines' }, node: 0, passes: 30 },
    { why: 'another client', request: { address: '10.0.0.3' }, node: 0, passes: 30 },
  ])('$why: $passes of 30 pass', ({ request, node, passes }) => {
    expect(passed(burst(envoyWith({ enforce: [GET_ORDER] }), 30, request, node))).toBe(passes)
  })

  it('answers 429 and tells which revision keyed on which address', () => {
    const envoy = envoyWith({ enforce: [{ ...GET_ORDER, max: 1 }] })
    burst(envoy, 1)
    const request = { method: 'GET', path: '/orders/7', address: '10.0.0.2' }
    expect(envoy.decide(ORDERS, 0, request, 0)).toEqual({
      status: 429,
      responseHeaders: [
        { key: 'x-weir', value: 'enforce; r=9c41d07e; c=10.0.0.2' },
        { key: 'retry-after', value: '5' },
      ],
      requestHeaders: [],
    })
  })

  it('has a bucket of its own on each node', () => {
    const envoy = envoyWith({ enforce: [GET_ORDER] })
    expect(passed([...burst(envoy, 30, {}, 0), ...burst(envoy, 30, {}, 1)])).toBe(20)
  })

  it('charges the strictest rule first; what it refuses costs the others nothing', () => {
    const any = { ...GET_ORDER, method: null, slug: 'any', max: 12, perSecond: 20 }
    const envoy = envoyWith({ enforce: [any, GET_ORDER] })
    expect(passed(burst(envoy, 30))).toBe(10)
    expect(passed(burst(envoy, 30, { path: '/else' }))).toBe(2)
  })

  it('does nothing where the scaffold lacks the filter', () => {
    const envoy = envoyWith({ enforce: [GET_ORDER], without: 'weir.local_ratelimit' })
    expect(passed(burst(envoy, 30))).toBe(30)
  })

  it('lets through at most burst + rate · time, whatever comes, and never holds back less', () => {
    const arrivals = fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 200 })
    const property = fc.property(arrivals, fc.integer({ min: 1, max: 20 }), (gaps, max) => {
      const envoy = envoyWith({ enforce: [{ ...GET_ORDER, max, perSecond: 5 }] })
      let atMs = 0
      let tokens = max
      for (const gap of gaps) {
        atMs += gap
        tokens = Math.min(max, tokens + (gap / 1_000) * 5)
        const passes = burst(envoy, 1, {}, 0, atMs)[0] === 0
        // Within rounding either answer is right at exactly one token.
        if (Math.abs(tokens - 1) > 1e-9 && passes !== tokens > 1) return false
        if (passes) tokens--
      }
      return true
    })
    fc.assert(property)
  })
})

describe('a shadow limit', () => {
  it('marks what it would refuse, and refuses nothing', () => {
    const envoy = envoyWith({ shadow: [GET_ORDER] })
    const request = { method: 'GET', path: '/orders/7', address: '10.0.0.2' }
    const decisions = Array.from({ length: 30 }, () => envoy.decide(ORDERS, 0, request, 0))
    expect(passed(decisions.map(({ status }) => status))).toBe(30)
    const marks = decisions.flatMap(({ requestHeaders }) => requestHeaders)
    expect(marks).toHaveLength(20)
    expect(marks[0]).toEqual({ key: 'x-weir-would-limit', value: 'r=5be2a91f; c=10.0.0.2' })
  })
})

describe('changes of CiliumEnvoyConfigs', () => {
  const armed = (enforce: readonly Rule[]): object =>
    cecFixture({ service: 'orders', port: 8080, enforce })

  it('fill all buckets, but only real changes do', () => {
    const envoy = envoyWith({ enforce: [GET_ORDER] })
    expect(passed(burst(envoy, 30))).toBe(10)
    expect(envoy.apply([armed([GET_ORDER])])).toEqual([])
    expect(passed(burst(envoy, 30))).toBe(0)
    const other = { ...GET_ORDER, slug: 'other', pathRegex: '^/other$' }
    expect(envoy.apply([armed([GET_ORDER, other])])).toMatchObject([{ change: 'applied' }])
    expect(passed(burst(envoy, 30))).toBe(10)
  })

  it('redirect only the named Service and port', () => {
    const envoy = envoyWith({ enforce: [GET_ORDER] })
    expect(envoy.redirects(ORDERS)).toBe(true)
    expect(envoy.redirects(service('catalog'))).toBe(false)
    envoy.apply([cecFixture({ service: 'orders', port: 9090 })])
    expect(envoy.redirects(ORDERS)).toBe(false)
  })

  it('end with the object', () => {
    const envoy = envoyWith({ enforce: [GET_ORDER] })
    expect(envoy.apply([])).toEqual([{ key: 'shop/weir-orders', change: 'removed', reason: '' }])
    expect(passed(burst(envoy, 30))).toBe(30)
  })

  it.each([
    { why: 'a regex that RE2 refuses', rules: [{ ...GET_ORDER, pathRegex: '^(?!x)' }] },
    { why: 'the same descriptor twice', rules: [GET_ORDER, GET_ORDER] },
    { why: 'an empty bucket', rules: [{ ...GET_ORDER, max: 0 }] },
    { why: 'half a token', rules: [{ ...GET_ORDER, perSecond: 0.5 }] },
  ])('are refused once for $why, and what was in force stays', ({ rules }) => {
    const envoy = envoyWith({ enforce: [GET_ORDER] })
    burst(envoy, 30)
    expect(envoy.apply([armed(rules)])).toMatchObject([
      { key: 'shop/weir-orders', change: 'refused', reason: expect.stringMatching(/./) },
    ])
    expect(envoy.apply([armed(rules)])).toEqual([])
    expect(passed(burst(envoy, 30))).toBe(0)
  })

  it('never throw, whatever stands there', () => {
    const property = fc.property(fc.array(fc.anything()), (cecs) => {
      new DemoEnvoy(createRandom(1)).apply(cecs)
    })
    fc.assert(property)
  })
})
