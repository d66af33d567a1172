import { describe, expect, it } from 'vitest'
import { SeenFlows } from '../../../../src/hubble/capture/seen-flows.ts'
import { cursorOf, httpRequest } from '../../../fixtures/hubble-flows.ts'

const T = 1_760_000_000_000

/** How many flows, one each ms from `from`, count as new. */
function read(seen: SeenFlows, from: number, count: number): number {
  let added = 0
  for (let i = from; i < from + count; i++) {
    if (seen.add(cursorOf(httpRequest({ atMs: T + i, uuid: String(i) })))) added++
  }
  return added
}

describe('SeenFlows', () => {
  it('knows the flows of its two generations, in whatever order they come', () => {
    const seen = new SeenFlows(100)
    expect(read(seen, 50, 50)).toBe(50)
    expect(read(seen, 0, 150)).toBe(100)
    expect(read(seen, 0, 150)).toBe(0)
  })

  it('forgets the oldest, and never tells by the time: captures are put together from several', () => {
    const seen = new SeenFlows(100)
    read(seen, 1_000, 300)
    expect(read(seen, 1_000, 50)).toBe(50)
    expect(read(seen, 0, 50)).toBe(50)
  })
})
