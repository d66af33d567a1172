import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NodeReading } from '../../../src/hubble/node-reading.ts'

const T = 1_760_000_000_000

/** Takes one flow each ms from `from`; how many of them were new. */
function read(reading: NodeReading, from: number, count: number): number {
  let taken = 0
  for (let i = from; i < from + count; i++) if (reading.take(T + i, 7, i, T)) taken++
  return taken
}

describe('NodeReading', () => {
  it('takes a ring that is read again for what it is, however long it is', () => {
    const reading = new NodeReading()
    expect(read(reading, 0, 5_000)).toBe(5_000)
    expect(read(reading, 0, 5_010)).toBe(10)
    expect(reading.misjudged).toBe(0)
  })

  it('takes a late flow that two threads of the agent stamped at once', () => {
    const reading = new NodeReading()
    read(reading, 0, 1_000)
    expect(reading.take(T + 1_002, 7, 1_002, T)).toBe(true)
    expect(reading.take(T + 1_001, 7, 1_001, T)).toBe(true)
    expect(reading.take(T + 1_001, 7, 1_001, T)).toBe(false)
  })

  it('tells flows of the same instant apart', () => {
    const reading = new NodeReading()
    const takes = [1, 2, 1, 3].map((low) => reading.take(T, 0, low, T))
    expect(takes).toEqual([true, true, false, true])
  })

  it('counts what it took for doubles where a clock was set back, and goes on after one ring', () => {
    const reading = new NodeReading()
    read(reading, 200_000, 300)
    expect(read(reading, 0, 70_000)).toBe(70_000 - 65_535)
    expect(read(reading, 70_000, 10)).toBe(10)
    expect(reading.misjudged).toBe(65_535)
  })

  it('a node whose clock was set back by an hour was not heard for that hour', () => {
    const reading = new NodeReading()
    const HOUR = 3_600_000
    read(reading, HOUR, 300)
    const takes = Array.from({ length: 120 }, (_, second) =>
      reading.take(T + second * 1_000, 8, second, T + second * 1_000),
    )
    expect(takes.indexOf(true)).toBe(61)
    expect(takes.slice(61)).toEqual(takes.slice(61).fill(true))
    expect(reading.misjudged).toBe(61)
  })

  it('tells a ring that was read again twice, with nothing new in between, from a clock that was set back', () => {
    const reading = new NodeReading()
    read(reading, 0, 300)
    for (const nowMs of [T, T + 120_000]) {
      for (let i = 0; i < 300; i++) expect(reading.take(T + i, 7, i, nowMs)).toBe(false)
    }
    expect(reading.misjudged).toBe(0)
  })

  it('one flow from the far future made all that followed look old', () => {
    const reading = new NodeReading()
    read(reading, 0, 300)
    expect(reading.take(T + 3_600_000, 9, 9, T)).toBe(true)
    expect(reading.take(T + 3_600_000, 9, 9, T)).toBe(false)
    expect(read(reading, 300, 1_000)).toBe(1_000)
  })

  it('takes the ring of a node whose clock is an hour ahead once, however often it is read', () => {
    const reading = new NodeReading()
    expect(read(reading, 3_600_000, 1_000)).toBe(1_000)
    expect(read(reading, 3_600_000, 1_010)).toBe(10)
  })

  it('a clock that is set forward is believed after a few flows', () => {
    const reading = new NodeReading()
    read(reading, 0, 300)
    expect(read(reading, 3_600_000, 1_000)).toBe(1_000)
    expect(read(reading, 3_600_000, 1_010)).toBe(10)
  })

  it('a copy goes on from where it was taken, on its own', () => {
    const reading = new NodeReading()
    read(reading, 0, 1_000)
    const before = new NodeReading(reading)
    read(reading, 5_000, 1_000)
    expect(read(before, 900, 200)).toBe(100)
    expect(read(reading, 5_000, 1_000)).toBe(0)
  })

  it('takes each flow once, wherever the reading starts over', () => {
    const starts = fc.array(fc.nat(2_000), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(starts, fc.integer({ min: 1, max: 2_000 }), (froms, length) => {
        const reading = new NodeReading()
        const taken = new Set<number>()
        let end = 0
        for (const start of froms) {
          // A new reading starts at or before where the last one ended, and goes further.
          const from = Math.min(start, end)
          for (let i = from; i < end + length; i++) {
            const isNew = reading.take(T + i, 1, i, T)
            if (isNew === taken.has(i)) return false
            taken.add(i)
          }
          end += length
        }
        return taken.size === end
      }),
    )
  })
})
