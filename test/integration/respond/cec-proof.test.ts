import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parse } from 'yaml'
import { validateCec } from '../../../src/respond/validate-cec.ts'
import { type CallAnswer, type CecEnvoy, startCecEnvoy } from '../../services/cec-envoy.ts'
import { type CecResources, parseCec } from '../../services/cec-parser.ts'
import { need } from '../../services/need.ts'

const GOLDEN = join(import.meta.dirname, '../../unit/respond/golden')
const files = readdirSync(GOLDEN)
const textOf = (file: string): string => readFileSync(join(GOLDEN, file), 'utf8')

/** Clients of the golden files, and the loopback addresses from which the test calls as them. */
const CLIENTS = [
  ['10.0.0.2', '127.0.0.2'],
  ['10.0.0.3', '127.0.0.3'],
  ['10.0.0.6', '127.0.0.6'],
  ['2001:db8::7', '127.0.0.7'],
] as const

/** What the agent makes of a golden file in which nothing but the clients' addresses is changed. */
async function resourcesOf(file: string): Promise<CecResources> {
  const yaml = CLIENTS.reduce((text, [from, to]) => text.replaceAll(from, to), textOf(file))
  const parsed = await parseCec(yaml)
  if (!parsed.accepted) throw new Error(parsed.reason)
  return parsed.resources
}

async function envoyWith(resources: CecResources): Promise<CecEnvoy> {
  const upstream = createServer((_, response) => response.end('ok'))
  onTestFinished(() => void upstream.close())
  await new Promise<void>((resolve) => upstream.listen(0, '127.0.0.1', resolve))
  const { port } = upstream.address() as AddressInfo
  const envoy = await startCecEnvoy({ resources, upstreamPort: port })
  onTestFinished(() => envoy.stop())
  return envoy
}

type Call = readonly [method: string, path: string]

/** All at once, as one client. */
const send = (envoy: CecEnvoy, from: string, calls: readonly Call[]): Promise<CallAnswer[]> =>
  Promise.all(calls.map(([method, path]) => envoy.request({ from, method, path })))

const times = (count: number, call: Call): Call[] => Array.from({ length: count }, () => call)
const refused = (answers: readonly CallAnswer[]): number =>
  answers.filter(({ status, headers }) => status === 429 && headers['x-weir'] !== undefined).length
const marked = (answers: readonly CallAnswer[]): number =>
  answers.filter(({ headers }) => /would=r=/.test(headers['x-l7-upstream'] ?? '')).length

/** One a path that the API has. */
const API_CALLS: readonly Call[] = [
  ['GET', '/orders'],
  ['GET', '/orders?page=2'],
  ['POST', '/orders'],
  ['GET', '/orders/7'],
  ['PUT', '/orders/7'],
  ['DELETE', '/orders/7?hard=1'],
  ['GET', '/orders/7/items/3'],
  ['POST', '/orders/7/items'],
  ['GET', '/customers/4/orders'],
  ['GET', '/customers/4/addresses/home'],
  ['PATCH', '/customers/4/addresses/home'],
  ['GET', '/reports/v1.0/2026/01?format=csv'],
  ['GET', '/health'],
  ['HEAD', '/health'],
]
/** Near them, and none of them. */
const OTHER_CALLS: readonly Call[] = [
  ['GET', '/'],
  ['GET', '/orders/7/items'],
  ['PATCH', '/orders/7'],
  ['GET', '/orders/7/items/x'],
  ['GET', '/reports/v1x0/2026'],
  ['POST', '/customers/4/orders'],
  ['GET', '/x?y=/orders'],
  ['GET', '/healthz'],
]

describe.skipIf(need('cec-parser').skip)('the golden files, through Cilium’s own parser', () => {
  it.each(files)('%s: nothing is refused, nothing dropped, nothing warned of', async (file) => {
    const parsed = await parseCec(textOf(file))
    expect(parsed).toMatchObject({ accepted: true, dropped: [], warnings: [] })
    if (!parsed.accepted) return
    const { listeners, routes, clusters } = parsed.resources
    expect([listeners.length, routes.length, clusters.length]).toEqual([1, 1, 1])
    expect(validateCec(parse(textOf(file)))).toEqual([])
  })
})

describe.skipIf(need('cec-parser', 'envoy').skip)('the golden files, in a real Envoy', () => {
  it('api.yaml: one budget over all of the API, for the client named and nobody else', async () => {
    const envoy = await envoyWith(await resourcesOf('api.yaml'))
    const own = await send(envoy, '127.0.0.2', [...API_CALLS, ...API_CALLS])
    const passed = own.length - refused(own)
    expect(passed).toBeGreaterThanOrEqual(5) // the burst: each call is charged once
    expect(passed).toBeLessThanOrEqual(5 + 5) // and a second's refill
    // Each operation draws on that budget: none is left out.
    for (const call of API_CALLS) {
      await send(envoy, '127.0.0.2', times(6, ['GET', '/orders']))
      expect([call, refused(await send(envoy, '127.0.0.2', times(3, call)))]).not.toEqual([call, 0])
    }
    expect(refused(await send(envoy, '127.0.0.2', OTHER_CALLS))).toBe(0)
    expect(refused(await send(envoy, '127.0.0.4', [...API_CALLS, ...API_CALLS]))).toBe(0)
    // The shadow beside it marks its own client on its own operation, and refuses nobody.
    const shadowed = await send(envoy, '127.0.0.3', times(10, ['GET', '/orders/7']))
    expect(refused(shadowed)).toBe(0)
    expect(marked(shadowed)).toBeGreaterThanOrEqual(6)
    expect(marked(await send(envoy, '127.0.0.3', API_CALLS.slice(0, 3)))).toBe(0)
  })

  it('both.yaml: shadow and enforce side by side, and a client-wide limit', async () => {
    const envoy = await envoyWith(await resourcesOf('both.yaml'))
    const order: Call = ['GET', '/orders/7']
    const limited = await send(envoy, '127.0.0.2', times(30, order))
    expect(refused(limited)).toBeGreaterThanOrEqual(10)
    expect(marked(limited)).toBe(0)
    expect(refused(await send(envoy, '127.0.0.3', times(5, order)))).toBe(4) // one a minute
    const shadowed = await send(envoy, '127.0.0.7', times(30, order))
    expect(refused(shadowed)).toBe(0)
    expect(marked(shadowed)).toBeGreaterThanOrEqual(10)
    expect(refused(await send(envoy, '127.0.0.6', times(15, ['POST', '/a'])))).toBeGreaterThan(4)
    expect(refused(await send(envoy, '127.0.0.2', times(15, ['POST', '/a'])))).toBe(0)
  })

  it('from inert to acting and back by RDS alone, as often as it is wanted', async () => {
    const inert = await resourcesOf('inert.yaml')
    const acting = await resourcesOf('enforce.yaml')
    const envoy = await envoyWith(inert)
    const burst = times(30, ['GET', '/orders/7'] as const)
    expect(refused(await send(envoy, '127.0.0.2', burst))).toBe(0)
    expect(await envoy.writeRoutes(acting.routes)).toBe('reloaded')
    expect(refused(await send(envoy, '127.0.0.2', burst))).toBeGreaterThanOrEqual(10)
    expect(await envoy.writeRoutes(acting.routes)).toBe('unchanged') // no refill
    expect(await envoy.writeRoutes(inert.routes)).toBe('reloaded')
    expect(refused(await send(envoy, '127.0.0.2', burst))).toBe(0)
  })
})
