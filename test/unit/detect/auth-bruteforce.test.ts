import { describe, expect, it } from 'vitest'
import type { ApiCall } from '../../../src/model/api-call.ts'
import { type CallSketch, callOf, findingsOf, inOrder, ordinaryLife, signIn } from './calls.ts'

/** Sign-ins one after the other, from `at` on, with these statuses. */
function signIns(statuses: readonly number[], sketch: Partial<CallSketch> = {}, everySeconds = 2) {
  const at = sketch.at ?? 0
  return statuses.map((status, i) => signIn({ ...sketch, at: at + i * everySeconds, status }))
}
const times = (count: number, status: number): number[] =>
  Array.from({ length: count }, () => status)

describe('auth-bruteforce', () => {
  it.each([401, 403, 400, 422])('finds a client at its fifth %i in a row', (status) => {
    expect(findingsOf(signIns(times(4, status)))).toEqual([])
    expect(findingsOf(signIns(times(5, status)))).toHaveLength(1)
  })

  it('tells who, what, how many, against what; before there is a baseline, that there is none', () => {
    const calls = signIns(times(5, 401), { addresses: ['203.0.113.1', '203.0.113.2'] })
    expect(findingsOf(calls, { coverage: () => 0.75 })).toEqual([
      {
        id: expect.stringMatching(/^[0-9a-f]{32}$/),
        rule: 'auth-bruteforce',
        ruleVersion: 1,
        kind: 'bruteforce',
        severity: 'low',
        client: { kind: 'ip', value: '203.0.113.1', addresses: ['203.0.113.1', '203.0.113.2'] },
        target: null,
        api: expect.objectContaining({ name: 'orders' }),
        operation: { method: 'POST', template: '/login' },
        first: '2026-01-01T00:00:00.000Z',
        last: '2026-01-01T00:00:08.000Z',
        score: 6.51,
        threshold: 6.4,
        baseline: { source: 'none', floor: 5, p0: 0.25, p1: 0.92 },
        coverage: 0.75,
        counts: { '401': 5, failures: 5, successes: 0 },
        samples: calls.map(({ exchange }) => exchange.id),
        sentence:
          'Client ip 203.0.113.1 failed 5 of 5 sign-ins at POST /login of orders 1.0 within 8 s; no baseline yet, 25 % taken as usual.',
        suggestion: { limit: { rate: 1, per: '1s', burst: 1, scope: 'operation' } },
      },
    ])
  })

  it('compares with what is usual once it has been learned', () => {
    const attack = signIns(times(5, 401), { at: 3_600 })
    const findings = findingsOf([...ordinaryLife(), ...attack])
    expect(findings).toHaveLength(1)
    expect(findings[0]?.baseline).toMatchObject({ source: 'population', p0: 0.15 })
    expect(findings[0]?.sentence).toContain('clients of this operation fail 2 % (taken as 15 %)')
  })

  it('finds within 8 failures whoever did well before', () => {
    const statuses = [...times(10, 200), ...times(8, 401)]
    expect(findingsOf(signIns(statuses))).toHaveLength(1)
  })

  it('asks more of an address behind which many do well', () => {
    const good = signIns(times(40, 200), {}, 30)
    const failing = (count: number) => signIns(times(count, 401), { at: 1_200 })
    expect(findingsOf([...good, ...failing(9)])).toEqual([])
    expect(findingsOf([...good, ...failing(10)])).toHaveLength(1)
  })

  it('leaves alone a NAT of people who mistype one time in three', () => {
    const statuses = Array.from({ length: 600 }, (_, i) => (i % 3 === 0 ? 401 : 200))
    expect(findingsOf(signIns(statuses, {}, 5))).toEqual([])
  })

  it('leaves alone who tries now and then, without ever getting in', () => {
    expect(findingsOf(signIns(times(20, 401), {}, 3_600))).toEqual([])
  })

  it('finds a slow one, too', () => {
    const findings = findingsOf(signIns(times(20, 401), {}, 120))
    expect(findings[0]).toMatchObject({ severity: 'low', counts: { failures: 6 } })
  })

  it('becomes severe at twenty failures: told again, same id, present numbers, once', () => {
    const findings = findingsOf(signIns(times(60, 401)))
    expect(findings.map(({ severity }) => severity)).toEqual(['low', 'high'])
    expect(findings[1]?.id).toBe(findings[0]?.id)
    expect(findings[1]).toMatchObject({ counts: { '401': 20, failures: 20 } })
    expect(findings[1]?.first).toBe(findings[0]?.first)
  })

  it('becomes severe when the client gets in after all', () => {
    const calls = signIns([...times(7, 401), 200, 200])
    const findings = findingsOf(calls)
    expect(findings.map(({ severity }) => severity)).toEqual(['low', 'high'])
    expect(findings[1]).toMatchObject({ counts: { '401': 7, '200': 1, failures: 7, successes: 1 } })
    expect(findings[1]?.sentence).toContain('failed 7 of 8 sign-ins')
    expect(findings[1]?.sentence).toContain('and then got in')
    expect(findings[1]?.samples).toContain(calls[7]?.exchange.id)
  })

  it('tells a new abuse when the old one has been over for the cool-down', () => {
    const again = (at: number) => [...signIns(times(6, 401)), ...signIns(times(9, 401), { at })]
    expect(findingsOf(again(300))).toHaveLength(1)
    const findings = findingsOf(again(7_200))
    expect(findings.map(({ counts }) => counts['failures'])).toEqual([5, 5])
    expect(findings[1]?.first).toBe('2026-01-01T02:00:00.000Z')
    expect(findings[0]?.id).not.toBe(findings[1]?.id)
  })

  it.each([
    { why: '5xx', calls: signIns(times(50, 503)) },
    { why: 'not found', calls: signIns(times(50, 404)) },
    { why: '429 of another', calls: signIns(times(50, 429), { limitedBy: 'other' }) },
    { why: '429 of ours', calls: signIns(times(50, 429), { limitedBy: 'weir' }) },
    { why: '403 of ours', calls: signIns(times(50, 403), { limitedBy: 'weir' }) },
    { why: 'refusals by policy', calls: signIns(times(50, 403), { outcome: 'denied' }) },
    { why: 'revisions', calls: signIns(times(50, 401), { revises: true }) },
    {
      why: 'other operations',
      calls: signIns(times(50, 401), { operation: null, path: '/items' }),
    },
  ])('has nothing against $why', ({ calls }) => {
    expect(findingsOf(calls)).toEqual([])
  })

  it('keeps operations apart, and clients', () => {
    const other = { method: 'POST', template: '/token' }
    const mixed = inOrder(
      signIns(times(4, 401)),
      signIns(times(4, 401), { operation: other }),
      signIns(times(4, 401), { client: '203.0.113.2' }),
      signIns(times(4, 401), { kind: 'application' }),
    )
    expect(findingsOf(mixed)).toEqual([])
  })

  it('takes all paths below an auth path as one, where no operation is known', () => {
    const calls = signIns(times(5, 401)).map((_, i) =>
      callOf({
        at: i,
        api: null,
        operation: null,
        method: 'POST',
        path: `/login/${i}`,
        status: 401,
      }),
    )
    expect(findingsOf(calls)).toMatchObject([
      { api: null, operation: null, target: { workload: 'shop/orders', operation: 'POST /login' } },
    ])
  })

  it('folds clients that all fail at once into one incident that names nobody', () => {
    const calls: ApiCall[][] = []
    for (let client = 0; client < 20; client++) {
      const who = { client: `192.0.2.${client}` }
      calls.push(signIns(times(5, 200), { ...who, at: client }, 60))
      calls.push(signIns(times(30, 401), { ...who, at: 400 + client / 10 }, 2))
    }
    const findings = findingsOf(inOrder(...calls))
    expect(findings).toHaveLength(1)
    expect(findings[0]).toMatchObject({
      kind: 'incident',
      severity: 'medium',
      client: null,
      target: { namespace: 'shop', api: 'orders', operation: 'POST /login' },
      counts: { clients: 20, failing: 20 },
      suggestion: null,
    })
  })

  it('still finds attackers while those who did well before go on doing well', () => {
    const calls: ApiCall[][] = []
    for (let client = 0; client < 20; client++) {
      calls.push(signIns(times(12, 200), { client: `192.0.2.${client}`, at: client }, 60))
      calls.push(signIns(times(6, 401), { client: `203.0.113.${client}`, at: 400 + client }, 10))
    }
    const findings = findingsOf(inOrder(...calls))
    expect(findings).toHaveLength(20)
    expect(new Set(findings.map(({ kind }) => kind))).toEqual(new Set(['bruteforce']))
  })

  it('puts no hostile text into the sentence', () => {
    const client = `a\u202e\n\u001b[31m${'x'.repeat(5_000)}`
    const [finding] = findingsOf(signIns(times(5, 401), { kind: 'header', client }))
    expect(finding?.sentence).not.toMatch(/\p{C}/u)
    expect(finding?.sentence.length).toBeLessThan(400)
  })
})
