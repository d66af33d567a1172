import { describe, expect, it } from 'vitest'
import type { AllowEntry } from '../../../src/detect/allow-list.ts'
import { createDetector, DETECT_OUTCOMES } from '../../../src/detect/detector.ts'
import { ConfigError } from '../../../src/errors.ts'
import { type CallSketch, callOf, findingsOf, signIn } from './calls.ts'

const reason = 'penetration test'

/** What becomes of one call, given the entry. */
function outcomeOf(entry: AllowEntry, sketch: Partial<CallSketch>): string | undefined {
  const detector = createDetector({ allow: [entry] }, () => {})
  return DETECT_OUTCOMES[detector.accept(callOf({ at: 0, ...sketch }))]
}

describe('allow-list', () => {
  it.each([
    { why: 'network', entry: { cidr: '203.0.113.0/24' }, call: {}, allowed: true },
    { why: 'other network', entry: { cidr: '203.0.112.0/24' }, call: {}, allowed: false },
    { why: 'bare address', entry: { cidr: '203.0.113.1' }, call: {}, allowed: true },
    {
      why: 'IPv6',
      entry: { cidr: '2001:db8::/32' },
      call: { client: '2001:db8::7' },
      allowed: true,
    },
    {
      why: 'address behind an application',
      entry: { cidr: '203.0.113.0/24' },
      call: { kind: 'application', client: 'app', addresses: ['203.0.113.9'] },
      allowed: true,
    },
    {
      why: 'workload',
      entry: { workload: 'shop/cron' },
      call: { kind: 'workload', client: 'shop/cron' },
      allowed: true,
    },
    {
      why: 'other workload',
      entry: { workload: 'shop/cron' },
      call: { kind: 'workload', client: 'shop/cart' },
      allowed: false,
    },
    { why: 'client', entry: { client: 'ip:203.0.113.1' }, call: {}, allowed: true },
    { why: 'other kind', entry: { client: 'xff:203.0.113.1' }, call: {}, allowed: false },
    {
      why: 'ran out',
      entry: { client: 'ip:203.0.113.1', until: '2026-01-01T00:00:00Z' },
      call: {},
      allowed: false,
    },
    {
      why: 'still holds',
      entry: { client: 'ip:203.0.113.1', until: '2026-01-01T00:00:01Z' },
      call: {},
      allowed: true,
    },
    {
      why: 'not all rules',
      entry: { cidr: '203.0.113.1', rules: ['auth-bruteforce'] },
      call: {},
      allowed: false,
    },
  ] as const)('$why: allowed $allowed', ({ entry, call, allowed }) => {
    expect(outcomeOf({ ...entry, reason }, call)).toBe(allowed ? 'filtered:allowed' : 'seen')
  })

  it('frees from the rules that it names, until its time is over', () => {
    const allow: AllowEntry[] = [
      { cidr: '203.0.113.1', rules: ['auth-bruteforce'], until: '2026-01-01T00:10:00Z', reason },
    ]
    const failing = Array.from({ length: 20 }, (_, i) => signIn({ at: i * 60 }))
    const [finding] = findingsOf(failing, { allow })
    expect(finding).toMatchObject({
      rule: 'auth-bruteforce',
      first: '2026-01-01T00:10:00.000Z',
      counts: { failures: 6 },
    })
  })

  it('tells every wrong entry at once', () => {
    const wrong = () =>
      createDetector(
        {
          allow: [
            { cidr: '10.0.0.0/33', reason },
            { cidr: '10.0.0.0/8', workload: 'a/b', reason },
            { workload: 'a/b', reason: ' ' },
            { client: 'ip:1', rules: ['no-such'], reason },
            { client: 'ip:1', until: 'tomorrow', reason },
          ],
        },
        () => {},
      )
    expect(wrong).toThrow(ConfigError)
    for (const part of [
      'detect.allow.0: "10.0.0.0/33" is no network',
      'detect.allow.1: needs exactly one',
      'detect.allow.2: needs a reason',
      'detect.allow.3: no rule "no-such"',
      'detect.allow.4: "tomorrow" is no time',
    ]) {
      expect(wrong).toThrow(part)
    }
  })
})
