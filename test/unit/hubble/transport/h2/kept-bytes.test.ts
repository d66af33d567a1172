import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KeptBytes } from '../../../../../src/hubble/transport/h2/kept-bytes.ts'

describe('KeptBytes', () => {
  it('gives back what was appended, in order, whatever was used meanwhile', () => {
    const step = fc.record({ size: fc.integer({ min: 0, max: 30_000 }), use: fc.nat(40_000) })
    const property = fc.property(fc.array(step, { minLength: 3, maxLength: 12 }), (steps) => {
      const kept = new KeptBytes()
      let model: Buffer = Buffer.alloc(0)
      for (const [i, { size, use }] of steps.entries()) {
        const append = Buffer.from(Array.from({ length: size }, (_, at) => (at + i) % 251))
        const around = Buffer.concat([Buffer.from([1, 2]), append, Buffer.from([3])])
        kept.append(around, 2, 2 + append.length)
        model = Buffer.concat([model, append])
        const used = Math.min(use, model.length)
        kept.dropTo(kept.start + used)
        model = model.subarray(used)
        expect(kept.bytes.subarray(kept.start, kept.end).equals(model)).toBe(true)
      }
    })
    fc.assert(property)
  })

  it('uses the same memory again, however much goes through', () => {
    const kept = new KeptBytes()
    const piece = Buffer.alloc(1_000)
    for (let i = 0; i < 40; i++) kept.append(piece, 0, piece.length)
    for (let i = 0; i < 10_000; i++) {
      kept.dropTo(kept.start + piece.length)
      kept.append(piece, 0, piece.length)
    }
    expect(kept.bytes.length).toBeLessThanOrEqual(4 * 40_000)
  })
})
