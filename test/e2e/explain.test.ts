import { describe, expect, it } from 'vitest'
import { directoryOf } from '../fixtures/directory.ts'
import { httpRequest, httpResponse } from '../fixtures/hubble-flows.ts'
import { captureOf, SHOP_MANIFESTS } from '../fixtures/shop.ts'
import { runWeir } from './weir.ts'

const T = 1_760_000_000_000
const OTHER_API = `
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: stock, namespace: shop}
spec:
  hostnames: [stock.acme.test]
  rules: [{matches: [{path: {type: PathPrefix, value: /}}], backendRefs: [{name: orders, port: 8080}]}]
`
const flow = (n: number, path: string) => ({
  atMs: T + n * 1_000,
  uuid: `u-${n}`,
  clientPort: 40_000 + n,
  url: `http://orders.shop:8080${path}`,
  service: 'orders',
  headers: { 'x-request-id': `r-${n}` },
})
const { l7: _, ...packet } = httpRequest(flow(3, '/')).flow ?? {}
const capture = captureOf([
  httpRequest(flow(1, '/orders/7')),
  httpResponse({ ...flow(1, '/orders/7'), atMs: T + 1_008, uuid: 'u-1b', code: 200 }),
  httpRequest(flow(2, '/orders/\u001b[31m')),
  // A packet of the same connection, without layer 7.
  { node_name: 'node-1', flow: { ...packet, Type: 1 } },
])

const directory = () =>
  directoryOf({
    'flows.jsonl': capture,
    'shop.yaml': SHOP_MANIFESTS,
    'two.yaml': SHOP_MANIFESTS + OTHER_API,
  })

async function explain(args: readonly string[], manifests = 'shop.yaml') {
  const cwd = directory()
  const all = ['explain', 'call', 'flows.jsonl', '--manifests', manifests, ...args]
  return runWeir(all, '', cwd)
}

describe('weir explain call', () => {
  it('tells leg, destination, routes, and what came of them, with names', async () => {
    const { code, stdout } = await explain(['--request-id', 'r-1'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^Call [0-9a-f]{32}\n/)
    for (const part of [
      'GET //orders.shop:8080/orders/7 came from shop/web',
      'which is no gateway',
      'The destination is shop/orders, found by service.',
      'HTTPRoute shop/orders-route, rule 1 (Orders API 1.0 (shop): GET /orders/{id}) stays.',
      'It is Orders API 1.0 (shop), GET /orders/{id}; high (service+path)',
    ]) {
      expect(stdout).toContain(part)
    }
  })

  it('tells why nothing decides, and the cure', async () => {
    const { code, stdout } = await explain(['--request-id', 'r-1'], 'two.yaml')
    expect(code).toBe(0)
    expect(stdout).toMatch(/It is one of .*Orders API 1\.0 \(shop\)/)
    expect(stdout).toContain('HTTPRoute shop/stock, rule 1 (stock (shop): * /{rest...}) stays.')
    expect(stdout).toContain('What would make it sure:\n  - Give each API a Service of its own')
  })

  it.each([
    { why: 'a request', line: 1, part: '/orders/7' },
    { why: 'its answer', line: 2, part: '/orders/7' },
    { why: 'a flow without HTTP', line: 4, part: 'A flow without HTTP' },
  ])('finds a line: $why', async ({ line, part }) => {
    const { code, stdout } = await explain(['--line', String(line)])
    expect([code, stdout]).toEqual([0, expect.stringContaining(part)])
    expect(stdout.match(/^(?:Call|A flow)/gm)).toHaveLength(1)
  })

  it('writes JSON, by the id of an event', async () => {
    const first = await explain(['--request-id', 'r-1', '--json'])
    const { id } = JSON.parse(first.stdout) as { id: string }
    const { code, stdout } = await explain(['--id', id, '--json'])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      id,
      via: 'direct',
      api: { name: 'Orders API' },
      operation: { method: 'GET', template: '/orders/{id}' },
      confidence: 'high',
      considered: [{ route: 'HTTPRoute shop/orders-route', rule: 1, stays: true, why: '' }],
      cures: [],
    })
  })

  it('hands no control characters of a request to the terminal', async () => {
    const { stdout } = await explain(['--request-id', 'r-2'])
    expect(stdout).toContain('/orders/\\u{1b}[31m')
    expect(stdout).not.toContain('\u001b')
  })

  it.each([
    { why: 'no such call', args: ['--id', 'x'], code: 1, says: 'has no such call' },
    { why: 'no such line', args: ['--line', '99'], code: 2, says: 'it has 4' },
    { why: 'no way to name one', args: [], code: 2, says: 'use one of' },
    { why: 'two ways', args: ['--id', 'x', '--line', '1'], code: 2, says: 'use one of' },
    { why: 'no number', args: ['--line', 'x'], code: 2, says: '1 or more' },
  ])('exits $code for $why', async ({ args, code, says }) => {
    const ended = await explain(args)
    expect([ended.code, ended.stdout]).toEqual([code, ''])
    expect(ended.stderr).toContain(says)
  })
})
