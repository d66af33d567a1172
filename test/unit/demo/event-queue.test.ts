import fc from 'fast-check'
import { expect, it } from 'vitest'
import { EventQueue } from '../../../src/demo/event-queue.ts'

it('runs what is due in the order of time, then of arrival', () => {
  const property = fc.property(fc.array(fc.integer({ min: 0, max: 20 })), (times) => {
    const queue = new EventQueue()
    const ran: { atMs: number; index: number }[] = []
    times.forEach((atMs, index) => queue.at(atMs, (at) => ran.push({ atMs: at, index })))
    queue.runUntil(10)
    const due = times
      .map((atMs, index) => ({ atMs, index }))
      .filter(({ atMs }) => atMs <= 10)
      .toSorted((a, b) => a.atMs - b.atMs || a.index - b.index)
    expect(ran).toEqual(due)
    expect(queue.size).toBe(times.length - due.length)
  })
  fc.assert(property)
})

it('runs what events add, in the same go where it is due', () => {
  const queue = new EventQueue()
  const ran: number[] = []
  const again = (atMs: number): void => {
    ran.push(atMs)
    queue.at(atMs + 3, again)
  }
  queue.at(0, again)
  queue.runUntil(10)
  expect(ran).toEqual([0, 3, 6, 9])
})

it('puts everything off after a pause', () => {
  const queue = new EventQueue()
  const ran: number[] = []
  for (const atMs of [5, 1, 3]) queue.at(atMs, (at) => ran.push(at))
  queue.shift(100)
  queue.runUntil(103)
  expect(ran).toEqual([101, 103])
})

it('refuses events beyond its bound, and counts them', () => {
  const queue = new EventQueue(2)
  for (let i = 0; i < 5; i++) queue.at(i, () => {})
  expect([queue.size, queue.refused]).toEqual([2, 3])
})
