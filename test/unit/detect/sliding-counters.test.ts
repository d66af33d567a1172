import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SlidingCounters } from '../../../src/detect/sliding-counters.ts'

const WINDOW = 10
const T0 = 1_767_225_600

describe('SlidingCounters', () => {
  it('counts as a plain list of times does, for any order and any gaps', () => {
    const steps = fc.array(fc.record({ slot: fc.nat(2), step: fc.integer({ min: -15, max: 30 }) }))
    const property = fc.property(steps, (events) => {
      const counters = new SlidingCounters(3, WINDOW)
      const plain: number[][] = [[], [], []]
      let second = T0
      for (const { slot, step } of events) {
        second += step
        const times = plain[slot] ?? []
        const newest = Math.max(second, ...times)
        if (second > newest - WINDOW) times.push(second)
        const within = times.filter((time) => time > newest - WINDOW)
        expect(counters.add(slot, second)).toBe(within.length)
        expect(counters.oldestSecond(slot)).toBe(Math.min(...within))
      }
    })
    fc.assert(property)
  })

  it('forgets a slot and leaves its neighbours', () => {
    const counters = new SlidingCounters(3, WINDOW)
    for (const slot of [0, 1, 1, 2]) counters.add(slot, T0)
    counters.clear(1)
    expect([0, 1, 2].map((slot) => counters.add(slot, T0 + 1))).toEqual([2, 1, 2])
  })
})
