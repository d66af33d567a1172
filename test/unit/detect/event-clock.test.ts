import { describe, expect, it } from 'vitest'
import { EventClock } from '../../../src/detect/event-clock.ts'

const T0 = 1_767_225_600_000

describe('EventClock', () => {
  it.each([
    { why: 'moves on', atMs: T0 + 5, timing: 'on_time' },
    { why: 'takes what is a little older', atMs: T0 - 10_000, timing: 'on_time' },
    { why: 'takes late calls into open windows', atMs: T0 - 10_001, timing: 'late' },
    { why: 'has no window for older ones', atMs: T0 - 60_000, timing: 'expired' },
    { why: 'doubts who is minutes ahead', atMs: T0 + 300_001, timing: 'ahead' },
    { why: 'knows no time of nothing', atMs: Number.NaN, timing: 'untimed' },
    { why: 'knows no time at the epoch', atMs: 0, timing: 'untimed' },
    { why: 'knows no time beyond all calendars', atMs: Infinity, timing: 'untimed' },
  ])('$why', ({ atMs, timing }) => {
    const clock = new EventClock(10_000, 60_000)
    clock.judge(T0)
    expect(clock.judge(atMs)).toBe(timing)
  })

  it('is not moved by a call that is ahead, but by a leap', () => {
    const clock = new EventClock(10_000, 60_000)
    clock.judge(T0)
    clock.judge(T0 + 1e9)
    expect(clock.watermarkMs).toBe(T0 - 10_000)
    clock.leap(T0 + 1e9)
    expect(clock.watermarkMs).toBe(T0 + 1e9 - 10_000)
  })
})
