import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import {
  type CaptureLine,
  openCapture,
  readCapture,
} from '../../../../src/hubble/capture/capture-lines.ts'

async function linesOf(chunks: readonly Buffer[]): Promise<CaptureLine[]> {
  const lines: CaptureLine[] = []
  for await (const batch of readCapture(Readable.from(chunks), '-')) lines.push(...batch)
  return lines
}

const TEXT = Buffer.from('{"a":1}\n\n{"b":"é"}\r\n{"c":3}')
const LINES = [{ text: '{"a":1}' }, { text: '{"b":"é"}' }, { text: '{"c":3}' }]

describe('readCapture()', () => {
  it.each([
    { why: 'in one piece', chunks: [TEXT] },
    { why: 'a byte at a time', chunks: [...TEXT].map((byte) => Buffer.from([byte])) },
    { why: 'gzipped', chunks: [gzipSync(TEXT)] },
    { why: 'gzipped, a byte at a time', chunks: [...gzipSync(TEXT)].map((b) => Buffer.from([b])) },
  ])('splits lines: $why', async ({ chunks }) => {
    expect(await linesOf(chunks)).toEqual(LINES)
  })

  it('gives nothing for nothing', async () => {
    expect(await linesOf([])).toEqual([])
  })

  it('gives what an archive had before it breaks off, then says so, once', async () => {
    const text = Buffer.from(Array.from({ length: 5_000 }, (_, i) => `{"n":${i}}`).join('\n'))
    const lines = await linesOf([gzipSync(text).subarray(0, 4_000)])
    expect(lines.at(-1)).toEqual({ rejected: 'malformed' })
    expect(lines.at(-2)).toEqual({ text: `{"n":${lines.length - 2}}` })
    expect(lines.length).toBeGreaterThan(100)
    expect(lines[100]).toEqual({ text: '{"n":100}' })
  })

  it('passes over a line above its bound, and goes on behind it', async () => {
    const long = Buffer.alloc(4 * 1_024 * 1_024 + 1, 120)
    expect(await linesOf([Buffer.from('{}\n'), long, Buffer.from('y\n{"z":1}\n')])).toEqual([
      { text: '{}' },
      { rejected: 'too_large' },
      { text: '{"z":1}' },
    ])
  })

  it('says which file it cannot open', async () => {
    const signal = new AbortController().signal
    const opening = openCapture('/nowhere/at-all.json', undefined, signal)
    await expect(opening).rejects.toThrow('Cannot read the capture /nowhere/at-all.json')
  })
})
