import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { frame } from '../../../../../src/hubble/transport/h2/frames.ts'
import { encodedHeaders } from '../../../../../src/hubble/transport/h2/hpack.ts'
import {
  data,
  framed,
  HEADERS,
  NOTHING,
  OK,
  readyPeer,
  SessionPeer,
  trailers,
  uint32,
} from './session-peer.ts'

/** Frames that may stand anywhere but inside of a header block. */
const noise = fc.constantFrom(
  NOTHING,
  frame(6, 0, 0, Buffer.alloc(8)),
  frame(2, 0, 1, Buffer.alloc(5)),
  frame(2, 0, 9, Buffer.alloc(5)),
  frame(0xee, 0xff, 77, Buffer.from('unknown')),
  frame(8, 0, 0, uint32(10)),
  frame(8, 0, 3, uint32(10)),
  frame(4, 0, 0, Buffer.from([0, 99, 1, 2, 3, 4])),
  frame(4, 1, 0, NOTHING),
  data(1, NOTHING),
)
const part = fc.record({
  bytes: fc.integer({ min: 1, max: 60 }),
  padding: fc.option(fc.integer({ min: 0, max: 255 }), { nil: undefined }),
  before: noise,
})
const script = fc.record({
  messages: fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 12 }),
  parts: fc.array(part, { minLength: 1, maxLength: 12 }),
  headerCut: fc.nat(40),
  priority: fc.boolean(),
})

type Script = typeof script extends fc.Arbitrary<infer Value> ? Value : never

describe('the bytes of a session', () => {
  /** All of one stream, as frames: `messages` cut into DATA as `parts` say, over and over. */
  function framesOf(id: number, { messages, parts, headerCut, priority }: Script): Buffer[] {
    const block = encodedHeaders(HEADERS)
    const first = block.subarray(0, headerCut)
    const frames = [
      frame(1, priority ? 0x20 : 0, id, priority ? Buffer.concat([Buffer.alloc(5), first]) : first),
      frame(9, 4, id, block.subarray(headerCut)),
    ]
    const told: Buffer[] = [Buffer.concat(frames)]
    const bytes = Buffer.concat(messages.map((message) => framed(message)))
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const {
        bytes: size,
        padding,
        before,
      } = parts[i % parts.length] ?? { bytes: 1, padding: 0, before: NOTHING }
      const piece = bytes.subarray(at, at + size)
      const padded = Buffer.concat([Buffer.from([padding ?? 0]), piece, Buffer.alloc(padding ?? 0)])
      told.push(before, padding === undefined ? data(id, piece) : data(id, padded, 8))
      at += size
    }
    return [...told, trailers(id)]
  }
  const cuts = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 30 })

  function sayInPieces(peer: SessionPeer, bytes: Buffer, sizes: readonly number[]): void {
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const size = sizes[i % sizes.length] ?? 1
      peer.say(bytes.subarray(at, at + size))
      at += size
    }
  }

  it('are the same messages, however they are cut and whatever stands between', () => {
    const property = fc.property(script, script, cuts, (one, other, sizes) => {
      const peer = readyPeer(1_048_576)
      const readings = [peer.open(), peer.open()]
      const [ones, others] = [framesOf(1, one), framesOf(3, other)]
      const mixed = Array.from({ length: Math.max(ones.length, others.length) }, (_, i) => [
        ones[i] ?? NOTHING,
        others[i] ?? NOTHING,
      ])
      sayInPieces(peer, Buffer.concat(mixed.flat()), sizes)
      expect(peer.violations).toEqual([])
      for (const [i, { messages }] of [one, other].entries()) {
        expect(readings[i]?.end).toEqual(OK)
        expect(readings[i]?.messages).toEqual(messages.map((message) => Buffer.from(message)))
      }
    })
    fc.assert(property, { numRuns: 300 })
  })

  it('are taken whatever they are: nothing throws, and no call is forgotten', async () => {
    const any = fc.record({
      type: fc.nat(10),
      flags: fc.nat(255),
      id: fc.nat(6),
      payload: fc.uint8Array({ maxLength: 40 }),
    })
    const change = fc.record({ at: fc.nat(2_000), byte: fc.nat(255), drop: fc.nat(3) })
    const property = fc.asyncProperty(
      script,
      fc.array(change, { maxLength: 4 }),
      fc.array(any, { maxLength: 12 }),
      cuts,
      async (one, changes, frames, sizes) => {
        const peer = readyPeer(1_048_576)
        const readings = [peer.open(), peer.open(), peer.open(() => Promise.resolve())]
        let bytes: Buffer = Buffer.concat([...framesOf(1, one), ...framesOf(5, one)])
        for (const { at, byte, drop } of changes) {
          const where = at % bytes.length
          bytes = Buffer.concat([
            bytes.subarray(0, where),
            Buffer.from([byte]),
            bytes.subarray(where + drop),
          ])
        }
        const raw = frames.map(({ type, flags, id, payload }) => frame(type, flags, id, payload))
        sayInPieces(peer, Buffer.concat([...raw, bytes]), sizes)
        expect(peer.restBytesMost).toBeLessThanOrEqual(16_384 + 8)
        peer.session.lose({ code: 14, details: 'the end' })
        await turn() // What came before the trailers is still handed on.
        for (const { end } of readings) expect(end).toBeDefined()
      },
    )
    await fc.assert(property, { numRuns: 1_000 })
  })
})
