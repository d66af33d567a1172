import { describe, expect, it } from 'vitest'
import { OwnMaxima } from '../../../src/detect/own-maxima.ts'

const M0 = 29_453_760

describe('OwnMaxima', () => {
  it.each([
    { why: 'not at once', atMinute: 4, maximum: 0 },
    { why: 'not in the next block', atMinute: 9, maximum: 0 },
    { why: 'from the block after that on', atMinute: 10, maximum: 90 },
    { why: 'for good', atMinute: 100_000, maximum: 90 },
  ])('takes a minute for the past: $why', ({ atMinute, maximum }) => {
    const maxima = new OwnMaxima(2)
    maxima.learn(1, M0, 30)
    maxima.learn(1, M0 + 1, 90)
    maxima.learn(1, M0 + 2, 60)
    maxima.moveTo(1, M0 + atMinute)
    expect([maxima.maximumOf(0), maxima.maximumOf(1)]).toEqual([0, maximum])
  })

  it('settles block after block, and drops what led up to an abuse', () => {
    const maxima = new OwnMaxima(1)
    for (const [minute, count] of [
      [0, 10],
      [5, 20],
      [10, 30],
      [15, 40],
    ] as const) {
      maxima.learn(0, M0 + minute, count)
    }
    expect(maxima.maximumOf(0)).toBe(20)
    maxima.dropRecent(0)
    maxima.moveTo(0, M0 + 60)
    expect(maxima.maximumOf(0)).toBe(20)
    maxima.clear(0)
    expect(maxima.maximumOf(0)).toBe(0)
  })
})
