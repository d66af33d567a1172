import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DecayedQuantiles } from '../../../src/detect/decayed-quantiles.ts'
import { FailureRate } from '../../../src/detect/failure-rate.ts'

const DAY_MS = 86_400_000
const T0 = 1_767_225_600_000

describe('DecayedQuantiles', () => {
  it('is never below the true quantile, and at most 6 % above it', () => {
    const values = fc.array(fc.integer({ min: 1, max: 1_000_000 }), { minLength: 1, maxLength: 99 })
    const property = fc.property(values, fc.constantFrom(0.5, 0.9, 0.99), (samples, q) => {
      const quantiles = new DecayedQuantiles(DAY_MS)
      for (const value of samples) quantiles.add(value, T0)
      const sorted = samples.toSorted((a, b) => a - b)
      const exact = sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? 0
      const estimate = quantiles.quantile(q)
      expect(estimate).toBeGreaterThanOrEqual(exact)
      expect(estimate).toBeLessThanOrEqual(exact * 1.06 + 1)
    })
    fc.assert(property)
  })

  it('follows what is new, even years later', () => {
    const quantiles = new DecayedQuantiles(DAY_MS)
    for (let i = 0; i < 1_000; i++) quantiles.add(500, T0)
    for (const day of [10, 1_000]) {
      for (let i = 0; i < 100; i++) quantiles.add(5, T0 + day * DAY_MS)
      expect(quantiles.quantile(0.9)).toBe(5)
      expect(quantiles.samples).toBeCloseTo(101, -1)
    }
  })

  it('has nothing to say without samples', () => {
    expect(new DecayedQuantiles(DAY_MS).quantile(0.99)).toBe(0)
  })
})

describe('FailureRate', () => {
  it('begins with one in ten, and follows what is new, even years later', () => {
    const failures = new FailureRate(DAY_MS)
    expect(failures.rate).toBe(0.1)
    for (let i = 0; i < 1_000; i++) failures.learn(true, T0)
    expect(failures.rate).toBeCloseTo(0.99, 2)
    for (let i = 0; i < 1_000; i++) failures.learn(false, T0 + 1_000 * DAY_MS)
    expect(failures.rate).toBeCloseTo(0.001, 3)
    expect(failures.tries).toBeCloseTo(1_000, 5)
  })
})
