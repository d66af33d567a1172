import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ListSplitter } from '../../../src/kubernetes/list-splitter.ts'
import { cutAt } from './cut-at.ts'

function split(chunks: readonly Buffer[], itemBytesMax = 100_000) {
  const items: unknown[] = []
  const splitter = new ListSplitter(itemBytesMax, (text) => items.push(JSON.parse(text)))
  for (const chunk of chunks) splitter.push(chunk)
  return { frame: splitter.end(), items }
}

describe('ListSplitter', () => {
  it.each([
    { why: 'no elements', text: '{"items":[]}', items: [] },
    { why: 'null in their place', text: '{"items":null}', items: [] },
    {
      why: 'blanks between',
      text: '{ "items" : [ {"a":1} ,\n {"b":[2]} ] }',
      items: [{ a: 1 }, { b: [2] }],
    },
    {
      why: 'brackets, quotes and backslashes in strings',
      text: JSON.stringify({ items: [{ a: '],{"}\\' }, { 'b"[': '\\"' }] }),
      items: [{ a: '],{"}\\' }, { 'b"[': '\\"' }],
    },
    {
      why: 'an object called items further down',
      text: '{"metadata":{"items":[1]},"items":[{}]}',
      items: [{}],
    },
  ])('takes a list with $why apart', ({ text, items }) => {
    expect(split([Buffer.from(text)]).items).toEqual(items)
  })

  it('says of any list what JSON.parse says, however its bytes are cut', () => {
    const object = fc.dictionary(fc.string(), fc.jsonValue())
    const property = fc.property(
      fc.array(object),
      fc.dictionary(fc.string(), fc.string({ unit: 'grapheme-ascii' })),
      fc.boolean(),
      fc.constantFrom(undefined, 2),
      fc.array(fc.nat(2_000), { maxLength: 10 }),
      (items, metadata, isFirst, indent, cuts) => {
        const list = isFirst ? { kind: 'L', metadata, items } : { items, kind: 'L', metadata }
        const bytes = Buffer.from(JSON.stringify(list, null, indent))
        const expected: unknown = JSON.parse(bytes.toString())
        const { frame, items: found } = split(cutAt(bytes, cuts))
        expect({ ...(frame as object), items: found }).toEqual(expected)
      },
    )
    fc.assert(property)
  })

  it.each([
    { why: 'a cut list', text: '{"items":[{"a":1},{"b"' },
    { why: 'a page of text', text: '<html>Bad gateway</html>' },
    { why: 'nothing', text: '' },
  ])('refuses $why', ({ text }) => {
    expect(() => split([Buffer.from(text)])).toThrow(SyntaxError)
  })

  it('holds no element that is longer than it may be', () => {
    const long = Buffer.from(JSON.stringify({ items: [{ a: 'x'.repeat(500) }] }))
    expect(() => split(cutAt(long, [100, 200, 300]), 200)).toThrow(RangeError)
  })
})
