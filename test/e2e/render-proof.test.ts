import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { directoryOf } from '../fixtures/directory.ts'
import { SHOP_MANIFESTS } from '../fixtures/shop.ts'
import { type CallAnswer, type CecEnvoy, startCecEnvoy } from '../services/cec-envoy.ts'
import { parseCec } from '../services/cec-parser.ts'
import { need } from '../services/need.ts'
import { runWeir } from './weir.ts'

const RATE = 5
const BURST_CALLS = 30

/** A finding on POST /login and on any order, for one client. */
const finding = (id: string, operation: { method: string; template: string }, address: string) => ({
  id,
  rule: 'request-flood',
  client: { kind: 'workload', value: `shop/${id}`, addresses: [address] },
  api: { name: 'Orders API', version: '1.0' },
  operation,
  last: '2026-01-01T00:01:00Z',
  suggestion: { limit: { rate: RATE, per: '1s', burst: RATE, scope: 'operation' } },
})

/** Clients of the rendered limit, and the loopback addresses from which the test calls as them. */
const CLIENTS = { '10.0.0.77': '127.0.0.2' } as const

/**
 * Renders as a user would. Weir limits no loopback address, so the client's address, and nothing
 * else, is changed to one from which the test can call.
 */
async function render(mode: string, operation: { method: string; template: string }) {
  const manifests = directoryOf({ 'shop.yaml': SHOP_MANIFESTS })
  const { code, stdout, stderr } = await runWeir(
    ['render', '--manifests', manifests, '--mode', mode],
    JSON.stringify(finding('f1', operation, '10.0.0.77')),
  )
  expect(stderr).not.toMatch(/cannot|refus/i)
  expect(code).toBe(0)
  const parsed = await parseCec(stdout.replaceAll('10.0.0.77', CLIENTS['10.0.0.77']))
  if (!parsed.accepted) throw new Error(parsed.reason)
  expect(parsed.dropped).toEqual([])
  return parsed.resources
}

async function envoyWith(resources: Awaited<ReturnType<typeof render>>): Promise<CecEnvoy> {
  const upstream = createServer((_, response) => response.end('ok'))
  onTestFinished(() => void upstream.close())
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  const { port } = upstream.address() as AddressInfo
  const envoy = await startCecEnvoy({ resources, upstreamPort: port })
  onTestFinished(() => envoy.stop())
  return envoy
}

const burst = (envoy: CecEnvoy, from: string, method: string, path: string) =>
  Promise.all(Array.from({ length: BURST_CALLS }, () => envoy.request({ from, method, path })))

const limited = (answers: readonly CallAnswer[]) => answers.filter(({ status }) => status === 429)

const ORDER = { method: 'GET', template: '/orders/{id}' }

describe.skipIf(need('cec-parser', 'envoy').skip)(
  'what `weir render` writes, through Cilium’s parser into a real Envoy',
  () => {
    it('limits the client named, on the operation named, and nothing else', async () => {
      const resources = await render('enforce', ORDER)
      expect(resources.listeners).toHaveLength(1)
      expect(resources.routes).toHaveLength(1)
      expect(resources.clusters).toHaveLength(1)
      const envoy = await envoyWith(resources)
      const refused = limited(await burst(envoy, '127.0.0.2', 'GET', '/orders/7?full=1'))
      expect(refused.length).toBeGreaterThanOrEqual(BURST_CALLS - 3 * RATE)
      for (const { headers } of refused) {
        expect(headers['x-weir']).toMatch(/^enforce; r=[0-9a-f]{8}; c=127\.0\.0\.2$/)
        expect(Number(headers['retry-after'])).toBeGreaterThan(0)
      }
      expect(limited(await burst(envoy, '127.0.0.3', 'GET', '/orders/7'))).toEqual([])
      expect(limited(await burst(envoy, '127.0.0.2', 'POST', '/login'))).toEqual([])
      expect(limited(await burst(envoy, '127.0.0.2', 'POST', '/orders/7'))).toEqual([])
      expect(limited(await burst(envoy, '127.0.0.2', 'GET', '/orders/7/items'))).toEqual([])
    })

    it('in shadow limits nobody, and marks what it would have', async () => {
      const envoy = await envoyWith(await render('shadow', ORDER))
      const answers = await burst(envoy, '127.0.0.2', 'GET', '/orders/7')
      expect(limited(answers)).toEqual([])
      const marks = answers.map(({ headers }) => headers['x-l7-upstream'] ?? '')
      const marked = marks.filter((mark) => /^would=r=[0-9a-f]{8}; c=127\.0\.0\.2$/.test(mark))
      expect(marked.length).toBeGreaterThanOrEqual(BURST_CALLS - 3 * RATE)
      const others = await burst(envoy, '127.0.0.3', 'GET', '/orders/7')
      expect(others.filter(({ headers }) => /r=/.test(headers['x-l7-upstream'] ?? ''))).toEqual([])
    })
  },
)
