import { expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import type { Api, LimitTarget } from '../../../src/model/api.ts'
import type { Limit } from '../../../src/model/limit.ts'
import { renderFindings } from '../../../src/respond/render.ts'
import { createResponder } from '../../../src/respond/responder.ts'
import { validateCec } from '../../../src/respond/validate-cec.ts'
import {
  API,
  factsOf,
  findingOf,
  GET_ORDER_MATCH,
  memoryTarget,
  START_MS,
  TARGET,
} from './samples.ts'

const HOSTILE = [
  { why: 'line feeds', text: 'a\nx-weir: b\r\n' },
  { why: 'formatters', text: '100% %REQ(authorization)% %%' },
  { why: 'quotes', text: `"'\`\\ {{}} \${x} # : - &a *a !!js` },
  { why: 'other scripts', text: 'ñ ☃ \u202e \u0000 \ud800 😀' },
  { why: 'expressions', text: '(a+)+$ [^/]* .* \\Q \\pL (?i)' },
  { why: 'ten kB', text: 'x'.repeat(10_240) },
]

it.each(HOSTILE)('a plan carries nothing of names with $why', ({ text }) => {
  const api: Api = { ...API, name: text, version: text, context: text, id: text, namespace: text }
  const client = { kind: 'workload', value: text, addresses: ['10.0.0.2'] } as const
  const operation = { method: 'GET', template: `/${text}` }
  const finding = findingOf({ api, client, operation, sentence: text, rule: text })
  const targetsOf = (): LimitTarget[] => [TARGET]
  const options = { mode: 'enforce', targetsOf, factsOf: () => factsOf() } as const
  const rendered = renderFindings(finding, options)
  if ('refusal' in rendered) throw new Error(rendered.refusal)
  const [document, ...more] = parseAllDocuments(rendered.documents)
  expect(more).toEqual([])
  const cec: unknown = document?.toJSON()
  expect(validateCec(cec)).toEqual([])
  expect(rendered.documents.length).toBeLessThan(12_000)
  // Printable ASCII and line feeds; the one formatter is ours.
  expect(rendered.documents).toMatch(/^[\n -~]*$/)
  expect(rendered.documents.match(/%[^%]*%/g)).toEqual(['%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%'])
})

it.each(HOSTILE)('a reason with $why in it is one short line', ({ text }) => {
  const told: Limit[] = []
  const api: Api = { ...API, name: text }
  const base = {
    mode: 'enforce',
    target: memoryTarget().target,
    factsOf: () => factsOf(),
    onLimit: (limit: Limit) => told.push(limit),
  } as const
  const unknown = createResponder({ ...base, targetsOf: () => [] })
  unknown.finding(findingOf({ api }))
  const match = { ...GET_ORDER_MATCH, pathRegex: `/(?i)${text}` }
  const unreadable = createResponder({
    ...base,
    targetsOf: () => [{ ...TARGET, matches: [match] }],
  })
  unreadable.finding(findingOf({ api }))
  const full = createResponder({
    ...base,
    targetsOf: () => [TARGET],
    budgets: { clientsPerApiMax: 0 },
  })
  full.finding(findingOf({ api }))
  expect(told.map(({ state }) => state)).toEqual(['refused', 'refused', 'refused'])
  for (const { reason } of told) {
    expect(reason.length).toBeLessThan(700)
    expect(reason).not.toMatch(/[\p{Cc}\p{Cf}\p{Cs}]/u)
  }
})

it.each([
  { why: 'an IPv6 address in any form', address: '2001:DB8:0:0::7', keyed: '2001:db8::7' },
  { why: 'an IPv4 address in IPv6', address: '::ffff:10.0.0.9', keyed: '10.0.0.9' },
])('a limit is keyed on $why as Envoy writes it', ({ address, keyed }) => {
  const finding = findingOf({ client: { kind: 'ip', value: address, addresses: [address] } })
  const rendered = renderFindings(finding, {
    mode: 'enforce',
    targetsOf: () => [TARGET],
    factsOf: () => factsOf(),
  })
  expect(rendered).toMatchObject({ documents: expect.stringContaining(`value: ${keyed}\n`) })
})

it.each([
  '127.0.0.1',
  '::1',
  '::ffff:127.0.0.1',
  'fe80::1',
  '0.0.0.0',
  '10.0.0.2:80',
  'x',
  '',
  '1',
])('no limit is keyed on %j', (address) => {
  const finding = findingOf({ client: { kind: 'ip', value: address, addresses: [address] } })
  const options = { mode: 'enforce', targetsOf: () => [TARGET], factsOf: () => factsOf() } as const
  expect(renderFindings(finding, options)).toMatchObject({ refusal: expect.any(String) })
})

it('a thousand findings at once stay within every budget', async () => {
  const memory = memoryTarget()
  const responder = createResponder({
    mode: 'enforce',
    target: memory.target,
    targetsOf: (_api, operation) => [
      {
        ...TARGET,
        service: `s${operation?.template.slice(2) ?? ''}`,
        matches: [{ method: 'GET', pathRegex: '/x/[^/]+', template: '/x/{id}' }],
      },
    ],
    factsOf: () => factsOf(),
    armMs: 1_000,
    minWriteIntervalMs: 1_000,
  })
  await responder.start(new AbortController().signal)
  const pass = async (seconds: number, fromMs: number): Promise<number> => {
    for (let i = 1; i <= seconds; i++) {
      responder.sink.advance(fromMs + i * 1_000, fromMs + i * 1_000)
      await new Promise((resolve) => setImmediate(resolve))
    }
    return fromMs + seconds * 1_000
  }
  let nowMs = await pass(1, START_MS)
  for (let i = 0; i < 1_000; i++) {
    const address = `10.1.${i >> 8}.${i & 255}`
    responder.finding(
      findingOf({
        id: `finding-${i}`,
        client: { kind: 'ip', value: address, addresses: [address] },
        api: { ...API, id: `api-${i % 50}` },
        operation: { method: 'GET', template: `/t${i % 50}` },
      }),
    )
  }
  const active = () => responder.limits().filter(({ until }) => until !== null)
  expect(active().length).toBeLessThanOrEqual(100)
  expect(responder.limits().length).toBeLessThanOrEqual(600)
  nowMs = await pass(60, nowMs)
  expect(memory.standing.size).toBeLessThanOrEqual(20)
  const acting = memory.written.filter((text) => text.includes('typed_per_filter_config'))
  expect(acting.length).toBeLessThanOrEqual(30) // a minute; what takes rules back is not held up
  responder.pause(true)
  await pass(70, nowMs)
  expect(active()).toEqual([])
  for (const text of memory.standing.values()) expect(text).not.toContain('typed_per_filter_config')
})
