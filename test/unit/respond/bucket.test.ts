import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { perSecondOf, rateOf, retryAfterOf } from '../../../src/respond/bucket.ts'
import { effectOf } from '../../../src/respond/effect.ts'
import { bucketOf } from './samples.ts'

describe('rateOf()', () => {
  it.each([
    { rate: 10, per: '1s', burst: 10, max: 10, fill: 10, everyMs: 1_000 },
    { rate: 10, per: '1s', burst: 500, max: 10, fill: 10, everyMs: 1_000 },
    { rate: 10, per: '1s', burst: 0, max: 1, fill: 10, everyMs: 1_000 },
    { rate: 30, per: '1m', burst: 30, max: 1, fill: 1, everyMs: 2_000 },
    { rate: 2.5, per: '1s', burst: 5, max: 2, fill: 2, everyMs: 800 },
    { rate: 5, per: '100ms', burst: 100, max: 50, fill: 50, everyMs: 1_000 },
    { rate: 1, per: '1h', burst: 1, max: 1, fill: 1, everyMs: 60_000 },
  ])('$rate per $per, burst $burst', ({ rate, per, burst, max, fill, everyMs }) => {
    const bucket = { maxTokens: max, tokensPerFill: fill, fillIntervalMs: everyMs }
    expect(rateOf({ rate, per, burst })?.bucket).toEqual(bucket)
  })
  it.each([
    { rate: 0, per: '1s', burst: 1 },
    { rate: Number.NaN, per: '1s', burst: 1 },
    { rate: 1e9, per: '1s', burst: 1 },
    { rate: 1, per: '1d', burst: 1 },
    { rate: 1, per: '0s', burst: 1 },
    { rate: 1, per: '1s', burst: Number.POSITIVE_INFINITY },
  ])('is none for $rate per $per, burst $burst', (limit) => {
    expect(rateOf(limit)).toBeUndefined()
  })
  it('never lets more pass than asked, nor less than 99 % of it, and no burst above a second', () => {
    const rate = fc.double({ min: 1 / 60, max: 100_000, noNaN: true })
    const property = fc.property(rate, fc.integer({ min: 1, max: 1e6 }), (asked, burst) => {
      const bucket = bucketOf(asked, burst)
      const real = perSecondOf(bucket)
      return (
        real <= asked * 1.000001 &&
        real >= asked * 0.99 &&
        bucket.fillIntervalMs >= 50 &&
        bucket.maxTokens <= Math.max(1, asked)
      )
    })
    fc.assert(property)
  })
})

it('retryAfterOf() waits for the slowest bucket, 5 s at least', () => {
  expect(retryAfterOf([bucketOf(10)])).toBe(5)
  expect(retryAfterOf([bucketOf(10), bucketOf(2, 1, '1m')])).toBe(30)
})

describe('effectOf(): rate 10/s, burst 10, 5 s, so that 60 may pass and 74 are the bound', () => {
  const seen = { limited: 0, passed: 0, buckets: 1, refills: 0, seconds: 5 }
  it.each([
    { why: 'limits', evidence: { limited: 400, passed: 60 }, effect: 'effective' },
    { why: 'within chance', evidence: { limited: 1, passed: 74 }, effect: 'effective' },
    { why: 'never written', evidence: { limited: 0, passed: 500 }, effect: 'ineffective' },
    { why: 'one of two nodes lags', evidence: { limited: 200, passed: 75 }, effect: 'ineffective' },
    {
      why: 'enters by two nodes',
      evidence: { limited: 9, passed: 120, buckets: 2 },
      effect: 'effective',
    },
    {
      why: 'was written again',
      evidence: { limited: 9, passed: 80, refills: 1 },
      effect: 'effective',
    },
    { why: 'low demand', evidence: { passed: 20 }, effect: 'undecided' },
  ])('$why: $effect', ({ evidence, effect }) => {
    expect(effectOf(bucketOf(10), { ...seen, ...evidence })).toBe(effect)
  })
})
