import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createDetector, DETECT_OUTCOMES } from '../../../src/detect/detector.ts'
import type { ApiCall } from '../../../src/model/api-call.ts'
import type { Finding } from '../../../src/model/finding.ts'
import { burst, callOf, findingsOf, inOrder, ORDERS, ordinaryLife, signIn } from './calls.ts'

const outcomesOf = (calls: readonly ApiCall[]): (string | undefined)[] => {
  const detector = createDetector({}, () => {})
  return calls.map((call) => DETECT_OUTCOMES[detector.accept(call)])
}

describe('createDetector()', () => {
  it('gives the same findings for the same calls, byte for byte', () => {
    const calls = inOrder(
      ordinaryLife(),
      burst(900, 30, { at: 3_000 }),
      Array.from({ length: 30 }, (_, i) => signIn({ at: 2_000 + i, client: '192.0.2.7' })),
    )
    const first = JSON.stringify(findingsOf(calls))
    expect(JSON.stringify(findingsOf(calls))).toBe(first)
    expect(JSON.parse(first)).not.toHaveLength(0)
  })

  it('does not depend on when it is told the time', () => {
    const calls = inOrder(ordinaryLife(0, 30), burst(900, 30, { at: 1_500 }))
    const findings: Finding[] = []
    const detector = createDetector({}, (finding) => findings.push(finding))
    for (const [i, call] of calls.entries()) {
      detector.accept(call)
      if (i % 7 === 0) detector.advance(call.exchange.endMs, i)
    }
    expect(findings).toEqual(findingsOf(calls))
  })

  it.each([
    { why: 'on time', call: callOf({ at: 99 }), outcome: 'seen' },
    {
      why: 'limited by us',
      call: callOf({ at: 99, limitedBy: 'weir' }),
      outcome: 'filtered:limited_by_weir',
    },
    { why: 'limited by another', call: callOf({ at: 99, limitedBy: 'other' }), outcome: 'seen' },
    { why: 'a revision', call: callOf({ at: 99, revises: true }), outcome: 'filtered:revision' },
    { why: 'late', call: callOf({ at: 50 }), outcome: 'seen' },
    { why: 'too late', call: callOf({ at: 40 }), outcome: 'filtered:late' },
    { why: 'without a time', call: callOf({ at: Number.NaN }), outcome: 'filtered:untimed' },
  ])('says what became of a call $why', ({ call, outcome }) => {
    expect(outcomesOf([callOf({ at: 100 }), call])[1]).toBe(outcome)
  })

  it('lets late calls complete an open window, but decide nothing', () => {
    const late = burst(239, 1, { at: 0, outcome: 'unanswered' })
    const calls = [callOf({ at: 30, client: 'other' }), ...late]
    expect(findingsOf(calls)).toEqual([])
    expect(findingsOf([...calls, callOf({ at: 30 })])).toMatchObject([{ score: 240 }])
  })

  it('counts what no window can take any more', () => {
    const detector = createDetector({}, () => {})
    for (const at of [100, 10, 20]) detector.accept(callOf({ at }))
    expect(detector.lateDropped).toBe(2)
  })

  it('is not blinded by a clock that is ahead', () => {
    const calls = inOrder(Array.from({ length: 10 }, (_, i) => signIn({ at: i })))
    const ahead = callOf({ at: 1e7, client: 'wrong clock' })
    const findings: Finding[] = []
    const detector = createDetector({}, (finding) => findings.push(finding))
    for (const call of calls) {
      detector.accept(call)
      detector.accept(ahead)
    }
    expect([findings.length, detector.lateDropped, detector.aheadDropped]).toEqual([1, 0, 9])
  })

  it('loses nothing over a silence, however long and however often', () => {
    const failing = Array.from({ length: 12 }, (_, i) => signIn({ at: i * 400 }))
    const findings = findingsOf([callOf({ at: -90_000 }), ...failing])
    expect(findings).toMatchObject([{ last: '2026-01-01T00:33:20.000Z', counts: { failures: 6 } }])
  })

  it('holds a bounded memory whatever is sent', () => {
    const statesMax = 1_000
    const detector = createDetector({ statesMax, apisMax: 10 }, () => {})
    for (let i = 0; i < 200_000; i++) {
      const at = i / 1_000
      const api = i % 2 === 0 ? null : { ...ORDERS, id: `api-${i % 501}` }
      detector.accept(callOf({ at, client: `client-${i}`, api, to: `ns/w${i % 500}` }))
    }
    expect(detector.states).toBeLessThanOrEqual(statesMax)
    expect(detector.apisOverflowed).toBeGreaterThan(100_000)
  })

  it('still finds an attacker among a crowd of strangers', () => {
    const strangers = Array.from({ length: 60_000 }, (_, i) =>
      signIn({ at: i / 1_000, client: `stranger-${i}`, status: 200 }),
    )
    const attack = Array.from({ length: 20 }, (_, i) => signIn({ at: 40 + i / 10 }))
    const findings = findingsOf(inOrder(strangers, attack), { statesMax: 1_000 })
    expect(findings[0]).toMatchObject({ client: { value: '203.0.113.1' } })
  })

  it('never throws, and never says more than its table, for any calls', () => {
    const sketch = fc.record({
      at: fc.oneof(fc.integer({ min: 0, max: 1_000 }), fc.double()),
      client: fc.constantFrom('a', 'b', '', '\u0000', '10.0.0.1'),
      kind: fc.constantFrom('header', 'application', 'xff', 'workload', 'ip'),
      status: fc.constantFrom(0, 200, 401, 403, 429, 503, 999, -1),
      operation: fc.constantFrom(null, { method: '*', template: '/login' }),
      path: fc.oneof(fc.string(), fc.webPath()),
      outcome: fc.constantFrom('answered', 'unanswered', 'denied', 'limited'),
    } as const)
    const options = { statesMax: 16, apisMax: 2, allow: [{ cidr: '10.0.0.0/8', reason: 'x' }] }
    const property = fc.property(fc.array(sketch, { maxLength: 200 }), (sketches) => {
      const detector = createDetector(options, (finding) => JSON.stringify(finding))
      for (const each of sketches) {
        expect(DETECT_OUTCOMES[detector.accept(callOf(each))]).toBeDefined()
      }
      expect(detector.states).toBeLessThanOrEqual(16)
    })
    fc.assert(property)
  })
})
