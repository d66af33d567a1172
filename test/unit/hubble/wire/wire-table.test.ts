import fc from 'fast-check'
import { expect, it } from 'vitest'
import { WireReader, WireSpan } from '../../../../src/hubble/wire/wire-reader.ts'
import { WireTable } from '../../../../src/hubble/wire/wire-table.ts'

const OPTIONS = { entriesMax: 8, keysMax: 256, keyMax: 60 }

/** A table by text: each key is asked for at another place of other memory. */
function tableOf(options = OPTIONS) {
  const table = new WireTable<string>(options)
  const reader = new WireReader()
  const span = new WireSpan()
  let margin = 0
  const at = (key: string): WireSpan => {
    margin = (margin + 3) % 11
    const bytes = Buffer.from(`${'-'.repeat(margin)}${key}--`)
    reader.begin(bytes, 0)
    span.start = margin
    span.end = bytes.length - 2
    return span
  }
  return {
    table,
    find: (key: string) => table.find(reader, at(key)),
    add: (key: string, value: string) => table.add(reader, at(key), value),
  }
}

it('finds what was added, by all of its bytes', () => {
  const { find, add } = tableOf()
  for (const key of ['a', 'ab', 'b'.repeat(30), `${'b'.repeat(29)}c`, `c${'b'.repeat(29)}`]) {
    expect(find(key)).toBeUndefined()
    expect(add(key, key)).toBe(key)
    expect(find(key)).toBe(key)
  }
  add('a', 'another')
  expect(find('a')).toBe('another')
})

it('never takes one key for another, however full it is', () => {
  const key = fc.string({ minLength: 1, maxLength: 70 })
  const property = fc.property(fc.array(key, { maxLength: 120 }), (keys) => {
    const { find, add } = tableOf()
    for (const text of [...keys, ...keys]) {
      expect([undefined, text]).toContain(find(text))
      add(text, text)
      expect(find(text)).toBe(Buffer.byteLength(text) > OPTIONS.keyMax ? undefined : text)
    }
  })
  fc.assert(property)
})

it('tells keys apart whose hashes are the same, as some of so many are', () => {
  const KEPT = 60_000
  const ASKED = 400_000
  const table = new WireTable<number>({ entriesMax: 262_144, keysMax: 1_048_576, keyMax: 8 })
  const reader = new WireReader()
  const span = new WireSpan()
  const memory = Buffer.alloc(8)
  const numbers = new DataView(memory.buffer, memory.byteOffset)
  reader.begin(memory, 0)
  span.end = 8
  let found = 0
  for (let n = 0; n < KEPT + ASKED; n++) {
    numbers.setInt32(0, Math.imul(n, 0x9e3779b1))
    numbers.setInt32(4, n)
    if (n < KEPT) table.add(reader, span, n)
    else if (table.find(reader, span) !== undefined) found++
  }
  expect(found).toBe(0)
})

it('keeps within its bounds, and counts what they cost', () => {
  const { table, find, add } = tableOf()
  const keys = Array.from({ length: 100 }, (_, n) => `key-${n}`)
  for (const key of keys) add(key, key)
  const kept = keys.filter((key) => find(key) !== undefined)
  expect(kept.length).toBeGreaterThan(0)
  expect(kept.length).toBeLessThanOrEqual(8)
  expect(kept.length + table.evicted).toBe(keys.length)
})

it('starts anew when its keys are full', () => {
  const { table, find, add } = tableOf({ entriesMax: 64, keysMax: 100, keyMax: 60 })
  add('x'.repeat(50), 'x')
  add('y'.repeat(50), 'y')
  expect(table.evicted).toBe(0)
  add('z', 'z')
  expect([find('x'.repeat(50)), find('y'.repeat(50)), find('z')]).toEqual([
    undefined,
    undefined,
    'z',
  ])
  expect(table.evicted).toBe(2)
})
