import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { linesOf } from '../../../src/kubernetes/json-lines.ts'
import { cutAt } from './cut-at.ts'

async function* chunksOf(...chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks
}

async function linesIn(chunks: readonly Buffer[], lineBytesMax = 1_000): Promise<string[]> {
  const lines: string[] = []
  for await (const line of linesOf(chunksOf(...chunks), lineBytesMax)) lines.push(line)
  return lines
}

describe('linesOf()', () => {
  it.each([
    { why: 'one line', text: '{"a":1}\n', lines: ['{"a":1}'] },
    { why: 'several in one chunk', text: 'a\nb\nc\n', lines: ['a', 'b', 'c'] },
    { why: 'empty lines, which are passed over', text: '\na\n\n', lines: ['a'] },
    { why: 'an end that was cut off, which is left', text: 'a\nb', lines: ['a'] },
    { why: 'nothing', text: '', lines: [] },
  ])('reads $why', async ({ text, lines }) => {
    expect(await linesIn([Buffer.from(text)])).toEqual(lines)
  })

  it('gives the same lines however the bytes are cut', async () => {
    const line = fc.string({ unit: 'grapheme', minLength: 1 }).map((text) => JSON.stringify(text))
    const property = fc.asyncProperty(
      fc.array(line),
      fc.array(fc.nat(500), { maxLength: 8 }),
      async (lines, cuts) => {
        const bytes = Buffer.from(lines.map((text) => `${text}\n`).join(''))
        expect(await linesIn(cutAt(bytes, cuts), 10_000)).toEqual(lines)
      },
    )
    await fc.assert(property)
  })

  it('holds no line that is longer than it may be', async () => {
    const endless = Array.from({ length: 5 }, () => Buffer.alloc(30, 'x'))
    await expect(linesIn(endless, 100)).rejects.toThrow('a line is longer than 100 bytes')
  })
})
