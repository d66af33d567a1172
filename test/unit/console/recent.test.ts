import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createRecent, type Recent } from '../../../src/console/recent.ts'
import { sampleCall, sampleExchange, sampleReport } from '../traces/sample-call.ts'
import { sampleFinding } from './sample-finding.ts'

const ALL = Number.POSITIVE_INFINITY

function uuidsOf(recent: Recent, before = ALL): string[] {
  return [...recent.calls(before)].map(({ item }) => item.exchange.report.uuid)
}

describe('createRecent()', () => {
  it('is a ring: newest first, bounded, and says what the bound cost, for any load', () => {
    const property = fc.property(fc.integer({ min: 0, max: 20 }), fc.nat(60), (callsMax, count) => {
      const recent = createRecent({ callsMax, findingsMax: 1 })
      const told = Array.from({ length: count }, (_, i) => `uuid-${i}`)
      for (const uuid of told) {
        recent.accept(sampleCall({ exchange: sampleExchange({ report: sampleReport({ uuid }) }) }))
      }
      const kept = callsMax === 0 ? [] : told.slice(-callsMax)
      expect(uuidsOf(recent)).toEqual(kept.reverse())
      expect(recent.overwritten.calls).toBe(count - kept.length)
    })
    fc.assert(property)
  })

  it('goes on below a number, although newer calls came meanwhile', () => {
    const recent = createRecent({ callsMax: 4, findingsMax: 1 })
    const tell = (uuid: string): void =>
      void recent.accept(
        sampleCall({ exchange: sampleExchange({ report: sampleReport({ uuid }) }) }),
      )
    for (const uuid of ['a', 'b', 'c', 'd']) tell(uuid)
    const [, second] = recent.calls(ALL)
    tell('e')
    expect(uuidsOf(recent, second?.number)).toEqual(['b'])
  })

  it('replaces a finding that is told again, and lets the oldest go', () => {
    const recent = createRecent({ callsMax: 1, findingsMax: 2 })
    recent.finding(sampleFinding({ id: 'f1' }))
    recent.finding(sampleFinding({ id: 'f2' }))
    recent.finding(sampleFinding({ id: 'f1', severity: 'critical' }))
    const told = (): string[] =>
      [...recent.findings(ALL)].map(({ item }) => `${item.id} ${item.severity}`)
    expect(told()).toEqual(['f1 critical', 'f2 medium'])
    expect(recent.overwritten.findings).toBe(0)
    recent.finding(sampleFinding({ id: 'f3' }))
    expect(told()).toEqual(['f3 medium', 'f1 critical'])
    expect(recent.overwritten.findings).toBe(1)
  })
})
