import { describe, expect, it } from 'vitest'
import { resolveRequest } from '../../../src/identity/resolve-request.ts'
import { apiCr, backend, catalogueOf, httpRoute, ordersApi, rule } from './objects.ts'

const catalogue = catalogueOf(
  ...ordersApi([{ path: '/orders/([^/]+)', type: 'RegularExpression', method: 'GET' }]),
)

describe('resolveRequest()', () => {
  it('answers with the names of the public face, and no more than there is', () => {
    const input = {
      leg: 'gateway',
      method: 'get',
      host: 'orders.example.com',
      path: '/orders/1.0.0/orders/7?x=1#y',
    }
    const api = catalogue.apis[0]?.api
    expect(resolveRequest(catalogue, input)).toEqual({
      api,
      operation: { method: 'GET', template: '/orders/{id}' },
      confidence: 'exact',
      how: 'host+path',
      candidates: [api],
    })
  })
  it('takes the backend leg by Service and rewritten path', () => {
    const input = {
      leg: 'backend',
      method: 'GET',
      path: '/orders/7',
      service: 'shop/orders',
      port: 8080,
      ip: '10.0.0.7',
      headers: {},
      time: '2026-01-01T00:00:00Z',
    }
    expect(resolveRequest(catalogue, input)).toMatchObject({ confidence: 'high' })
  })
  it('counts the candidates beyond five', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f']
    const many = catalogueOf(
      ...names.flatMap((name) => [
        apiCr(name, { production: [{ routeRefs: [name] }] }),
        httpRoute(name, [`${name}.example.com`], [rule({ path: '/', backend: 'b' })]),
      ]),
      backend('b', 'orders'),
    )
    const input = { leg: 'backend', method: 'GET', path: '/', service: 'shop/orders' }
    expect(resolveRequest(many, input)).toMatchObject({
      api: null,
      confidence: 'ambiguous',
      more: 1,
    })
  })
  it.each([
    { why: 'nothing', input: undefined },
    { why: 'a text', input: 'GET /' },
    { why: 'no leg', input: { method: 'GET', path: '/' } },
    { why: 'another leg', input: { leg: 'left', method: 'GET', path: '/' } },
    { why: 'no method', input: { leg: 'gateway', path: '/' } },
    { why: 'a path without its slash', input: { leg: 'gateway', method: 'GET', path: 'orders' } },
    {
      why: 'a Service without namespace',
      input: { leg: 'backend', method: 'GET', path: '/', service: 'orders' },
    },
    { why: 'no address', input: { leg: 'backend', method: 'GET', path: '/', ip: 'x' } },
    { why: 'no port', input: { leg: 'backend', method: 'GET', path: '/', port: '80' } },
  ])('says what is wrong with $why', ({ input }) => {
    expect(resolveRequest(catalogue, input)).toEqual({ error: expect.stringMatching(/.+/) })
  })
})
