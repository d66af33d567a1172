import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Losses } from '../../../src/app/losses.ts'

function losses() {
  const told: string[] = []
  const tally = new Losses((topic, outcome, count, reason) => {
    told.push(`${count} ${topic} ${outcome} ${reason}`)
  })
  return { told, tally }
}

describe('Losses', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  it('an outage writes one line every ten seconds, not one an event', () => {
    const { told, tally } = losses()
    for (let n = 0; n < 100; n++) tally.add('weir.calls', 'shed', 1, 'queue_full')
    expect(told).toEqual(['1 weir.calls shed queue_full'])
    vi.advanceTimersByTime(10_000)
    expect(told.slice(1)).toEqual(['99 weir.calls shed queue_full'])
    vi.advanceTimersByTime(60_000)
    expect(told).toHaveLength(2)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('tells each kind by itself, and what is left when it ends', () => {
    const { told, tally } = losses()
    tally.add('weir.calls', 'shed', 2, 'deadline')
    tally.add('weir.calls', 'shed', 3, 'deadline')
    tally.add('weir.limits', 'dead', 1, 'invalid')
    tally.flush()
    expect(told).toEqual([
      '2 weir.calls shed deadline',
      '1 weir.limits dead invalid',
      '3 weir.calls shed deadline',
    ])
  })

  it('a second outage is told at once, too', () => {
    const { told, tally } = losses()
    tally.add('weir.calls', 'shed', 1, 'queue_full')
    vi.advanceTimersByTime(20_000)
    tally.add('weir.calls', 'shed', 4, 'queue_full')
    expect(told.at(-1)).toBe('4 weir.calls shed queue_full')
  })
})
