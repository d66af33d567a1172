import fc from 'fast-check'
import { expect, it } from 'vitest'
import { PastTotals } from '../../../src/detect/past-totals.ts'

it('takes a minute for the past five to ten minutes later, and not before', () => {
  const totals = new PastTotals(2)
  totals.add(1, 100, 7)
  totals.add(1, 104, 3)
  const pastAt = (minute: number): number => {
    totals.moveTo(1, minute)
    return totals.pastOf(1)
  }
  expect([pastAt(104), pastAt(105), pastAt(109), pastAt(110), pastAt(500)]).toEqual([
    0, 0, 0, 10, 10,
  ])
  expect([totals.allOf(1), totals.allOf(0)]).toEqual([10, 0])
})

it('drops what an abuse had of the last minutes, from the client and from all', () => {
  const [own, all] = [new PastTotals(1), new PastTotals(1)]
  own.add(0, 100, 50)
  for (const minute of [100, 101, 106, 107]) all.add(0, minute, 100)
  own.add(0, 106, 90)
  all.takeRecent(0, own.dropRecent(0))
  expect([own.allOf(0), all.allOf(0)]).toEqual([0, 260])
  all.clear(0)
  expect(all.allOf(0)).toBe(0)
})

it('loses nothing and counts nothing twice, in any order of minutes that rises', () => {
  const steps = fc.array(fc.record({ gap: fc.nat(12), count: fc.nat(1_000) }), { maxLength: 50 })
  const property = fc.property(steps, (list) => {
    const totals = new PastTotals(1)
    const added: { minute: number; count: number }[] = []
    let minute = 1_000
    for (const { gap, count } of list) {
      minute += gap
      added.push({ minute, count })
      totals.add(0, minute, count)
      const block = Math.floor(minute / 5)
      const isPast = (of: number): boolean => Math.floor(of / 5) <= block - 2
      const past = added.reduce((sum, a) => sum + (isPast(a.minute) ? a.count : 0), 0)
      const all = added.reduce((sum, a) => sum + a.count, 0)
      if (totals.pastOf(0) !== past || totals.allOf(0) !== all) return false
    }
    return true
  })
  fc.assert(property)
})
