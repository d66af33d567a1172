import fc from 'fast-check'
import { expect, it } from 'vitest'
import { PairCells } from '../../../src/metrics/pair-cells.ts'

it('finds what was put by its whole key, and nothing else', () => {
  const workload = fc.record({ namespace: fc.nat(4), name: fc.nat(40) })
  const key = fc.record({ from: workload, to: workload, code: fc.nat(3) })
  const property = fc.property(
    fc.array(key, { minLength: 1, maxLength: 400 }),
    key,
    (keys, other) => {
      const cells = new PairCells()
      const model = new Map<string, number>()
      for (const [i, { from, to, code }] of keys.entries()) {
        cells.put(from, to, code, i + 1)
        model.set(JSON.stringify([from, to, code]), i + 1)
      }
      for (const { from, to, code } of [...keys, other]) {
        expect(cells.get(from, to, code)).toBe(model.get(JSON.stringify([from, to, code])) ?? 0)
      }
    },
  )
  fc.assert(property)
})
