import { describe, expect, it } from 'vitest'
import { DETECT_RULES, rulesOf } from '../../../src/detect/rule-catalogue.ts'
import { ConfigError } from '../../../src/errors.ts'

describe('rulesOf()', () => {
  it('has defaults within their own bounds', () => {
    const bad = DETECT_RULES.flatMap(({ thresholds }) =>
      Object.entries(thresholds).filter(([, t]) => !(t.min <= t.value && t.value <= t.max)),
    )
    expect(bad).toEqual([])
    expect(rulesOf([])).toMatchObject({ bruteforce: { llr: 6.4 }, flood: { windowSeconds: 60 } })
  })

  it('takes over what is set, and switches off', () => {
    const settings = rulesOf([
      { id: 'auth-bruteforce', thresholds: { failuresMin: 7 } },
      { id: 'request-flood', enabled: false },
    ])
    expect(settings).toMatchObject({ bruteforce: { failuresMin: 7, llr: 6.4 }, flood: null })
  })

  it('tells every wrong option at once', () => {
    const wrong = () =>
      rulesOf([
        { id: 'no-such-rule' },
        {
          id: 'request-flood',
          thresholds: { floorPerMinutes: 1, p99Factor: 0, dominantShare: NaN },
        },
        { id: 'request-flood' },
        { id: 'auth-bruteforce', thresholds: { p0Min: 0.8, toString: 1 } },
      ])
    expect(wrong).toThrow(ConfigError)
    for (const part of [
      'no rule "no-such-rule" (there are: auth-bruteforce, request-flood)',
      'request-flood has no threshold "floorPerMinutes"',
      'request-flood.p99Factor must be 1 to 100 (now: 0)',
      'request-flood.dominantShare must be 0.1 to 1 (now: NaN)',
      '"request-flood" stands twice',
      'auth-bruteforce has no threshold "toString"',
      'p0Min ≤ p0Max < p1',
    ]) {
      expect(wrong).toThrow(part)
    }
  })
})
