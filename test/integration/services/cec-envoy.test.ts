import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type CallAnswer, type CecEnvoy, startCecEnvoy } from '../../services/cec-envoy.ts'
import { type CecResources, parseCec } from '../../services/cec-parser.ts'
import { type JsonObject, objectAt, objectsAt } from '../../services/json-object.ts'
import { need } from '../../services/need.ts'
import { actingCec, INERT_CEC } from './checkout.ts'

async function resourcesOf(cec: string): Promise<CecResources> {
  const parsed = await parseCec(cec)
  if (!parsed.accepted) throw new Error(parsed.reason)
  return parsed.resources
}

async function startCheckout(): Promise<CecEnvoy> {
  const upstream = createServer((_, response) => response.end('ok'))
  onTestFinished(() => void upstream.close())
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  const { port } = upstream.address() as AddressInfo
  const envoy = await startCecEnvoy({ resources: await resourcesOf(INERT_CEC), upstreamPort: port })
  onTestFinished(() => envoy.stop())
  return envoy
}

const BURST = 40

/** Forty calls at once: four seconds' worth of what the limited client may do. */
async function burst(envoy: CecEnvoy, from: string, path: string): Promise<CallAnswer[]> {
  const calls = Array.from({ length: BURST }, () => envoy.request({ from, method: 'GET', path }))
  return Promise.all(calls)
}

/** What a burst may pass of a bucket of 10 that gets 10 a second, beginning at `startMs`. */
function passedSince(startMs: number): number {
  return 11 + Math.ceil((performance.now() - startMs) / 100)
}

const limitedOf = (answers: readonly CallAnswer[]): CallAnswer[] =>
  answers.filter(({ status, headers }) => status === 429 || 'x-weir' in headers)

describe.skipIf(need('cec-parser', 'envoy').skip)(
  'a config through Cilium’s parser into a real Envoy',
  () => {
    it('limits the named client on the named operation, nobody else and nothing in shadow', async () => {
      const envoy = await startCheckout()
      expect(limitedOf(await burst(envoy, '127.0.0.2', '/orders/7'))).toEqual([])

      const { routes } = await resourcesOf(actingCec())
      expect(await envoy.writeRoutes(routes)).toBe('reloaded')

      let startMs = performance.now()
      const limited = limitedOf(await burst(envoy, '127.0.0.2', '/orders/7'))
      expect(BURST - limited.length).toBeGreaterThanOrEqual(10)
      expect(BURST - limited.length).toBeLessThanOrEqual(passedSince(startMs))
      for (const { status, headers } of limited) {
        expect(status).toBe(429)
        expect(headers).toMatchObject({
          'x-weir': 'enforce; r=9c41d07e; c=127.0.0.2',
          'retry-after': '5',
          'x-l7-resp': 'seen-req=1 path=/orders/7 code=429', // The policy filter saw the request.
        })
      }
      expect(limitedOf(await burst(envoy, '127.0.0.2', '/carts/7'))).toEqual([])
      expect(limitedOf(await burst(envoy, '127.0.0.3', '/orders/7'))).toEqual([])

      startMs = performance.now()
      const watched = await burst(envoy, '127.0.0.7', '/orders/7')
      expect(limitedOf(watched)).toEqual([])
      const marks = watched.map(({ headers }) => headers['x-l7-upstream'])
      const marked = marks.filter((mark) => mark === 'would=r=5be2a91f; c=127.0.0.7')
      expect(BURST - marked.length).toBeGreaterThanOrEqual(10)
      expect(BURST - marked.length).toBeLessThanOrEqual(passedSince(startMs))

      const stats = await envoy.stats('http_local_rate_limit\\.enforced$')
      expect(stats['weir.http_local_rate_limit.enforced']).toBe(limited.length)
      const lines = async (): Promise<number> => (await envoy.accessLog()).length
      await expect.poll(lines, { timeout: 5_000 }).toBe(5 * BURST)
      const logged = (await envoy.accessLog()).filter(({ flags }) => flags === 'RL')
      expect(logged).toHaveLength(limited.length)
    })

    it('says what Envoy did with routes', async () => {
      const envoy = await startCheckout()
      const { routes } = await resourcesOf(actingCec())
      expect(await envoy.writeRoutes(routes)).toBe('reloaded')
      expect(await envoy.writeRoutes(routes)).toBe('unchanged')
      const bad = await resourcesOf(actingCec(withEmptyRefill))
      expect(await envoy.writeRoutes(bad.routes)).toBe('rejected')
      expect(envoy.log()).toMatch(/tokens_per_fill|TokensPerFill/i)
      expect(limitedOf(await burst(envoy, '127.0.0.2', '/orders/7'))).not.toEqual([])
    })
  },
)

/** Passes the agent, which does not look inside filters, and not Envoy. */
function withEmptyRefill(filters: JsonObject): void {
  for (const descriptor of objectsAt(objectAt(filters, 'weir.local_ratelimit'), 'descriptors')) {
    objectAt(descriptor, 'token_bucket')['tokens_per_fill'] = 0
  }
}
