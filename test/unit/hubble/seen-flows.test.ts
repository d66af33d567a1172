import { describe, expect, it } from 'vitest'
import { SeenFlows } from '../../../src/hubble/seen-flows.ts'
import { httpRequest, viewer } from '../../fixtures/hubble-flows.ts'

const T = 1_760_000_000_000

/** How many of a node's flows, one each ms from `from`, count as new. */
function reading(seen: SeenFlows) {
  const show = viewer()
  return (node: string, from: number, count: number) => {
    let added = 0
    for (let i = from; i < from + count; i++) {
      if (seen.add(show(httpRequest({ atMs: T + i, node, uuid: `${node}-${i}` })))) added++
    }
    return added
  }
}

describe('SeenFlows', () => {
  it('a node that read its ring again counted twice, once enough others had come', () => {
    const read = reading(new SeenFlows(true, 100))
    expect(read('a', 0, 50)).toBe(50)
    expect(read('b', 0, 300)).toBe(300)
    expect(read('a', 0, 50)).toBe(0)
    expect(read('a', 50, 10)).toBe(10)
  })

  it('takes the late flow of a node whose uuids it still knows', () => {
    const read = reading(new SeenFlows(true, 100))
    read('a', 10, 80)
    expect(read('a', 0, 10)).toBe(10)
  })

  it('a node whose clock was set back stayed unseen for no more than one ring', () => {
    const read = reading(new SeenFlows(true, 100))
    read('a', 200_000, 300)
    expect(read('a', 0, 70_000)).toBe(70_000 - 65_535)
    expect(read('a', 70_000, 10)).toBe(10)
  })

  it('never tells by the time in a file, which may be put together from several', () => {
    const read = reading(new SeenFlows(false, 100))
    read('a', 1_000, 300)
    expect(read('a', 0, 300)).toBe(300)
  })
})
