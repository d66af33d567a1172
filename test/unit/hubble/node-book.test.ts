import { describe, expect, it } from 'vitest'
import { NodeBook } from '../../../src/hubble/node-book.ts'

const T = 1_760_000_000_000

/** Reads a flow of `name` at `atMs`, which comes at `heardMs`. */
function hear(book: NodeBook, name: string, atMs: number, heardMs = atMs + 10): void {
  const node = book.node(name, heardMs)
  node.heardMs = heardMs
  node.reading.take(atMs, 1, atMs % 1_000, heardMs)
  node.readToMs = Math.max(node.readToMs, atMs)
}

describe('where a new stream begins', () => {
  it('a little before the newest flow of any node', () => {
    const book = new NodeBook(T)
    hear(book, 'a', T + 5_000)
    hear(book, 'b', T + 9_000.25)
    expect(book.resumeFromMs(3_000)).toBe(T + 6_000)
  })

  it('nowhere before the first flow, and never before what was asked for', () => {
    const book = new NodeBook(T)
    expect(book.resumeFromMs(3_000)).toBeUndefined()
    hear(book, 'a', T + 1_000)
    expect(book.resumeFromMs(3_000)).toBe(T)
  })

  it('a node whose clock is ahead moved the resume of all others into the future', () => {
    const book = new NodeBook(T)
    hear(book, 'ahead', T + 3_600_000, T + 5_000)
    hear(book, 'right', T + 4_000, T + 5_000)
    expect(book.resumeFromMs(1_000)).toBe(T + 3_000)
  })

  it('goes by the nodes where our own clock is the one behind', () => {
    const book = new NodeBook(T)
    hear(book, 'a', T + 60_000, T + 1_000)
    hear(book, 'b', T + 61_000, T + 1_000)
    expect(book.resumeFromMs(1_000)).toBe(T + 59_000)
  })
})

describe('where a new stream begins after a clock was set back', () => {
  it('where the node stamps its flows now', () => {
    const book = new NodeBook(T)
    hear(book, 'a', T + 60_000)
    book.node('a', T).lastMs = T + 20_000
    expect(book.resumeFromMs(1_000)).toBe(T + 19_000)
  })

  it('not an hour ahead of us, though the clocks of all nodes are', () => {
    const book = new NodeBook(T)
    hear(book, 'a', T + 3_600_000, T)
    expect(book.resumeFromMs(1_000)).toBe(T + 299_000)
  })
})

describe('NodeBook', () => {
  it('keeps no more than the beginning of a name that is none', () => {
    const book = new NodeBook(T)
    const long = book.node('n'.repeat(4_000_000), T)
    expect([long.name.length, book.size]).toEqual([1_024, 1])
    expect(book.node('n'.repeat(4_000_000), T)).toBe(long)
  })

  it('forgets the node that was silent longest, to stay within its bound', () => {
    const book = new NodeBook(T)
    for (let i = 0; i < 10_000; i++) hear(book, `node-${i}`, T + i)
    hear(book, 'node-0', T + 20_000)
    hear(book, 'new', T + 20_001)
    expect([book.size, book.evicted]).toEqual([10_000, 1])
    expect([book.known('node-0') === undefined, book.known('node-1')]).toEqual([false, undefined])
  })

  it('tells the coverage of nodes of which there was anything to see', () => {
    const book = new NodeBook(T)
    book.node('quiet', T)
    book.node('seen', T).coverage.received()
    book.node('lost', T).coverage.lost(3, true)
    expect(book.coverage()).toEqual([
      { node: 'seen', received: 1, missed: 0, heardMs: 0 },
      { node: 'lost', received: 0, missed: 3, heardMs: 0 },
    ])
  })
})
