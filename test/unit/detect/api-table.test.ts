import { describe, expect, it } from 'vitest'
import { ApiState, ApiTable } from '../../../src/detect/api-table.ts'
import { callOf, ORDERS, START_MS } from './calls.ts'

const DAY_MS = 86_400_000

describe('ApiTable', () => {
  it.each([
    { why: 'the same API of a later snapshot', other: { ...ORDERS }, same: true },
    { why: 'another version', other: { ...ORDERS, version: '2.0' }, same: false },
    { why: 'another environment', other: { ...ORDERS, environment: 'sandbox' }, same: false },
  ])('gives $why the same state: $same', ({ other, same }) => {
    const table = new ApiTable(10, () => {})
    const state = table.stateOf(callOf({ at: 0 }), START_MS)
    expect(table.stateOf(callOf({ at: 0, api: other }), START_MS) === state).toBe(same)
  })

  it('goes by the workload that was called, where no API is known', () => {
    const table = new ApiTable(10, () => {})
    const stateOf = (to: string) => table.stateOf(callOf({ at: 0, api: null, to }), START_MS)
    expect(stateOf('shop/cart')).toMatchObject({ key: 'shop/cart', api: null })
    expect(stateOf('shop/cart')).toBe(stateOf('shop/cart'))
    expect(stateOf('shop/cart')).not.toBe(stateOf('shop/auth'))
  })

  it('lets further APIs share one state, until one that nobody calls makes room', () => {
    const forgotten: string[] = []
    const table = new ApiTable(2, (state) => forgotten.push(state.key))
    const stateOf = (id: string, timeMs: number) =>
      table.stateOf(callOf({ at: 0, api: { ...ORDERS, id, name: id } }), timeMs)
    const first = stateOf('a', START_MS)
    stateOf('b', START_MS + DAY_MS).note(START_MS + DAY_MS, 200)
    const shared = stateOf('c', START_MS + DAY_MS - 1)
    expect(shared).toMatchObject({ key: '…', api: null })
    expect(stateOf('d', START_MS + DAY_MS - 1)).toBe(shared)
    expect(table.overflowed).toBe(2)
    const next = stateOf('d', START_MS + DAY_MS + 60_000)
    expect(forgotten).toEqual([first.key])
    expect(next).toMatchObject({ api: { name: 'd' }, index: first.index })
  })
})

describe('ApiState', () => {
  it.each([
    { why: 'a storm of 503', calls: 60, unavailable: 20, status: 503, frozen: true },
    { why: 'few of them', calls: 30, unavailable: 19, status: 504, frozen: false },
    { why: 'a small share', calls: 100, unavailable: 29, status: 504, frozen: false },
    { why: 'other errors', calls: 60, unavailable: 60, status: 500, frozen: false },
  ])('teaches nothing in $why: $frozen', ({ calls, unavailable, status, frozen }) => {
    const state = new ApiState(0, 'a', null, START_MS)
    for (let i = 0; i < calls; i++) state.note(START_MS, i < calls - unavailable ? 200 : status)
    const minute = START_MS / 60_000
    expect([state.isFrozen(minute), state.isFrozen(minute + 1)]).toEqual([frozen, frozen])
    expect(state.isFrozen(minute + 2)).toBe(false)
  })
})
