import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GrpcFrames } from '../../../../src/hubble/transport/grpc-frames.ts'
import { MESSAGE_BYTES_MAX } from '../../../../src/hubble/transport/transport.ts'

function framed(message: Uint8Array, flag = 0, length = message.length): Buffer {
  const prefix = Buffer.alloc(5)
  prefix[0] = flag
  prefix.writeUInt32BE(length, 1)
  return Buffer.concat([prefix, message])
}

/** `bytes`, cut before each of `cuts`. */
function chunksOf(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [...new Set([0, ...cuts, bytes.length])].toSorted((a, b) => a - b)
  return at.slice(1).map((end, i) => bytes.subarray(at[i], end))
}

/** Copies each message, as whoever keeps one must. */
function collector() {
  const messages: Buffer[] = []
  const buffers: Buffer[] = []
  const frames = new GrpcFrames((bytes, start, end) => {
    messages.push(Buffer.from(bytes.subarray(start, end)))
    buffers.push(bytes)
    return undefined
  })
  return { frames, messages, buffers }
}

const messagesOf = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 })
const cutsOf = fc.array(fc.nat(1_000), { maxLength: 60 })

describe('GrpcFrames', () => {
  it('hands on the same messages, however the bytes are cut', () => {
    const property = fc.property(messagesOf, cutsOf, (sent, cuts) => {
      const bytes = Buffer.concat(sent.map((message) => framed(message)))
      const { frames, messages } = collector()
      const inside = cuts.filter((cut) => cut < bytes.length)
      for (const chunk of chunksOf(bytes, inside)) void frames.read(Buffer.from(chunk))
      expect(messages).toEqual(sent.map((message) => Buffer.from(message)))
      expect(frames.isMidMessage).toBe(false)
      expect(frames.failure).toBeUndefined()
    })
    fc.assert(property)
  })

  it('hands on the same messages, in order, however often it has to wait', async () => {
    const waits = fc.array(fc.boolean(), { maxLength: 20 })
    const property = fc.asyncProperty(messagesOf, cutsOf, waits, async (sent, cuts, waiting) => {
      const bytes = Buffer.concat(sent.map((message) => framed(message)))
      const messages: Buffer[] = []
      let running = 0
      const frames = new GrpcFrames((chunk, start, end) => {
        expect(running).toBe(0)
        messages.push(Buffer.from(chunk.subarray(start, end)))
        if (waiting[messages.length] !== true) return undefined
        running++
        return Promise.resolve().then(() => void running--)
      })
      const inside = cuts.filter((cut) => cut < bytes.length)
      for (const chunk of chunksOf(bytes, inside)) {
        let busy = frames.read(Buffer.from(chunk))
        while (busy !== undefined) {
          await busy
          busy = frames.resume()
        }
      }
      expect(messages).toEqual(sent.map((message) => Buffer.from(message)))
    })
    await fc.assert(property)
  })

  it('copies no message that lies whole in a chunk', () => {
    const { frames, messages, buffers } = collector()
    const chunk = Buffer.concat([framed(Buffer.from('one')), framed(Buffer.from('two'))])
    void frames.read(chunk)
    expect(messages.map(String)).toEqual(['one', 'two'])
    expect(buffers.every((bytes) => bytes === chunk)).toBe(true)
  })

  it('uses the buffer of straddling messages again', () => {
    const { frames, messages, buffers } = collector()
    for (const text of ['first', 'second']) {
      for (const chunk of chunksOf(framed(Buffer.from(text)), [6])) void frames.read(chunk)
    }
    expect(messages.map(String)).toEqual(['first', 'second'])
    expect(buffers[0]).toBe(buffers[1])
  })

  it('tells that the bytes end in the middle of a message', () => {
    for (const cut of [1, 4, 5, 7]) {
      const { frames, messages } = collector()
      void frames.read(framed(Buffer.from('abc')).subarray(0, cut))
      expect(frames.isMidMessage).toBe(true)
      expect(messages).toEqual([])
    }
  })

  it.each([
    { why: 'compressed', flag: 1, length: 3, code: 13, text: 'compressed' },
    { why: 'of an unknown flag', flag: 60, length: 3, code: 13, text: 'unknown flag 60' },
    {
      why: 'too large',
      flag: 0,
      length: MESSAGE_BYTES_MAX + 1,
      code: 8,
      text: '4194305 vs 4194304',
    },
  ])('stops at a message that is $why, however it is cut', ({ flag, length, code, text }) => {
    for (const cuts of [[], [5 + 2], [5 + 2 + 1], [5 + 2 + 5]]) {
      const { frames, messages } = collector()
      const bad = framed(Buffer.from('abc'), flag, length)
      const bytes = Buffer.concat([framed(Buffer.from('ok')), bad, framed(Buffer.from('after'))])
      for (const chunk of chunksOf(bytes, cuts)) void frames.read(chunk)
      expect(messages.map(String)).toEqual(['ok'])
      expect(frames.failure?.code).toBe(code)
      expect(frames.failure?.details).toContain(text)
    }
  })

  it('takes a message of exactly the limit', () => {
    const { frames, messages } = collector()
    const bytes = framed(Buffer.alloc(MESSAGE_BYTES_MAX, 7))
    for (const chunk of chunksOf(bytes, [3, 1_000, 3_000_000])) void frames.read(chunk)
    expect(messages[0]?.length).toBe(MESSAGE_BYTES_MAX)
    expect(messages[0]?.equals(Buffer.alloc(MESSAGE_BYTES_MAX, 7))).toBe(true)
  })

  it('hands on nothing after a stop, not even of the chunk that it is in', () => {
    const messages: string[] = []
    const frames = new GrpcFrames((bytes, start, end) => {
      messages.push(bytes.toString('utf8', start, end))
      frames.stop()
      return undefined
    })
    const chunk = Buffer.concat([framed(Buffer.from('one')), framed(Buffer.from('two'))])
    void frames.read(chunk)
    void frames.read(chunk)
    expect(messages).toEqual(['one'])
  })
})
