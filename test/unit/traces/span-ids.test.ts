import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Direction } from '../../../src/model/flow-view.ts'
import { isSampled, spanIdOf, tracePlaceOf } from '../../../src/traces/span-ids.ts'
import { sampleExchange } from './sample-call.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const SPAN = 'b7ad6b7169203331'
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

describe('tracePlaceOf()', () => {
  it.each([
    { why: 'version 00', traceParent: `00-${TRACE}-${SPAN}-01` },
    { why: 'not sampled by its sender', traceParent: `00-${TRACE}-${SPAN}-00` },
    { why: 'a later version', traceParent: `cc-${TRACE}-${SPAN}-01` },
    { why: 'a later version with more fields', traceParent: `cc-${TRACE}-${SPAN}-01-what` },
  ])('takes trace and parent of $why', ({ traceParent }) => {
    const place = tracePlaceOf(sampleExchange({ traceParent }))
    expect(place).toEqual({ traceId: TRACE, parentId: SPAN })
  })

  it.each([
    { why: 'absent', traceParent: '' },
    { why: 'redacted', traceParent: 'HUBBLE_REDACTED' },
    { why: 'forbidden version', traceParent: `ff-${TRACE}-${SPAN}-01` },
    { why: 'trace of zeros', traceParent: `00-${'0'.repeat(32)}-${SPAN}-01` },
    { why: 'span of zeros', traceParent: `00-${TRACE}-${'0'.repeat(16)}-01` },
    { why: 'upper case', traceParent: `00-${TRACE.toUpperCase()}-${SPAN}-01` },
    { why: 'version 00 with more fields', traceParent: `00-${TRACE}-${SPAN}-01-what` },
    { why: 'too long', traceParent: `cc-${TRACE}-${SPAN}-01-${'x'.repeat(600)}` },
  ])('makes a root of the call id: $why', ({ traceParent }) => {
    const exchange = sampleExchange({ traceParent })
    const place = tracePlaceOf(exchange)
    expect(place).toEqual({ traceId: sha256(exchange.id).slice(0, 32), parentId: '' })
  })

  it('gives valid ids whatever the header says', () => {
    const property = fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (traceParent) => {
      const { traceId, parentId } = tracePlaceOf(sampleExchange({ traceParent }))
      return /^[0-9a-f]{32}$/.test(traceId) && /^([0-9a-f]{16})?$/.test(parentId)
    })
    fc.assert(property)
  })
})

describe('spanIdOf()', () => {
  it('is 8 bytes of SHA-256 over call and direction', () => {
    expect(spanIdOf('c1', Direction.egress)).toBe(sha256('c1\negress').slice(0, 16))
    expect(spanIdOf('c1', Direction.ingress)).toBe(sha256('c1\ningress').slice(0, 16))
  })
})

describe('isSampled()', () => {
  it.each([
    { traceId: `${'f'.repeat(18)}${'0'.repeat(14)}`, ratio: 0.999, kept: false },
    { traceId: `${'0'.repeat(18)}${'f'.repeat(14)}`, ratio: 0.001, kept: true },
    { traceId: `${'0'.repeat(18)}8${'0'.repeat(13)}`, ratio: 0.5, kept: true },
    { traceId: `${'0'.repeat(18)}7${'f'.repeat(13)}`, ratio: 0.5, kept: false },
    { traceId: 'f'.repeat(32), ratio: 0, kept: false },
    { traceId: '0'.repeat(32), ratio: 1, kept: true },
  ])('$traceId at $ratio: $kept', ({ traceId, ratio, kept }) => {
    expect(isSampled(traceId, ratio)).toBe(kept)
  })

  it('keeps about the share that it is told', () => {
    const ids = Array.from({ length: 10_000 }, (_, i) => sha256(`call ${i}`).slice(0, 32))
    const kept = ids.filter((id) => isSampled(id, 0.1)).length
    expect(kept).toBeGreaterThan(900)
    expect(kept).toBeLessThan(1_100)
  })
})
