import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { frame } from '../../../../../src/hubble/transport/h2/frames.ts'
import { encodedHeaders } from '../../../../../src/hubble/transport/h2/hpack.ts'
import {
  data,
  framed,
  goaways,
  HEADERS,
  headers,
  NOTHING,
  OK,
  readyPeer,
  resets,
  SETTINGS,
  SessionPeer,
  settings,
  texts,
  trailers,
  uint32,
  wire,
} from './session-peer.ts'

describe('the beginning of a session', () => {
  it('says what it takes, and asks when the peer has said what it takes', () => {
    const peer = new SessionPeer(1_048_576)
    peer.open()
    expect(peer.said()).toEqual([
      {
        type: 4,
        flags: 0,
        id: 0,
        payload: settings([1, 0], [2, 0], [4, 1_048_576], [6, 16_384]).subarray(9),
      },
      { type: 8, flags: 0, id: 0, payload: uint32(1_048_576 - 65_535) },
    ])
    peer.say(SETTINGS)
    expect(peer.said()).toMatchObject([
      { type: 4, flags: 1, id: 0, payload: NOTHING },
      { type: 1, flags: 4, id: 1 },
      { type: 0, flags: 1, id: 1, payload: Buffer.from('body') },
    ])
    peer.open()
    expect(peer.said()).toMatchObject([
      { type: 1, id: 3 },
      { type: 0, id: 3 },
    ])
  })

  it('opens no more streams at once than the peer takes, the others later', () => {
    const peer = new SessionPeer()
    const readings = [peer.open(), peer.open(), peer.open()]
    peer.say(settings([3, 1]))
    const opened = () => peer.said().flatMap(({ type, id }) => (type === 1 ? [id] : []))
    expect(opened()).toEqual([1])
    // The second one does not wait any more.
    readings[1]?.call.end({ code: 1, details: '' })
    const { writes } = peer
    peer.say(headers(1), trailers(1), frame(6, 0, 0, Buffer.alloc(8)))
    expect(readings[0]?.end).toEqual(OK)
    expect(opened()).toEqual([3])
    expect(peer.writes).toBe(writes + 1)
    peer.say(settings([3, 0]), headers(3), trailers(3))
    expect(readings[2]?.end).toEqual(OK)
    const last = peer.open()
    expect(opened()).toEqual([])
    peer.say(settings([3, 100]))
    expect(opened()).toEqual([5])
    peer.say(trailers(5, [...HEADERS, ['grpc-status', '12']]))
    expect(last.end).toEqual({ code: 12, details: '' })
  })

  it('sends a request only as far as the windows and the frames of the peer go', () => {
    const peer = readyPeer(65_535, [4, 20_000])
    const body = Buffer.from(Array.from({ length: 100_000 }, (_, i) => i % 251))
    const reading = peer.open(undefined, body)
    const sizes: number[] = []
    const parts: Buffer[] = []
    let isLast = false
    const read = () => {
      for (const { type, flags, payload } of peer.said()) {
        if (type !== 0) continue
        sizes.push(payload.length)
        parts.push(payload)
        isLast = (flags & 1) !== 0
      }
    }
    read()
    expect(sizes).toEqual([16_384, 3_616])
    peer.say(settings([4, 10_000], [5, 30_000])) // Less than what is under way: -10,000.
    peer.say(frame(8, 0, 1, uint32(10_000)))
    read()
    expect(sizes.length).toBe(2)
    peer.say(frame(8, 0, 1, uint32(70_000)))
    read()
    expect(sizes).toEqual([16_384, 3_616, 30_000, 15_535]) // The window of the connection.
    peer.say(frame(8, 0, 0, uint32(50_000)))
    read()
    expect(isLast).toBe(false)
    peer.say(frame(8, 0, 1, uint32(1_000_000)))
    read()
    expect(isLast).toBe(true)
    expect(Buffer.concat(parts).equals(body)).toBe(true)
    peer.say(headers(1), trailers(1))
    expect(reading.end).toEqual(OK)
    expect(resets(peer)).toEqual([])
  })

  it('resets a stream that is answered before its request was sent', () => {
    const peer = readyPeer(65_535, [4, 10])
    const reading = peer.open(undefined, Buffer.alloc(1_000))
    peer.say(trailers(1, [...HEADERS, ['grpc-status', '8']]))
    expect(reading.end?.code).toBe(8)
    expect(resets(peer)).toEqual([[1, 8]])
  })
})

describe('flow control', () => {
  const KILO = Buffer.alloc(1_000, 7)
  const credits = (peer: SessionPeer) =>
    peer
      .said()
      .flatMap(({ type, id, payload }) => (type === 8 ? [[id, payload.readUInt32BE(0)]] : []))

  it('gives credit for half of a window, once a read', () => {
    const peer = readyPeer(100_000)
    peer.open()
    peer.say(headers(1), ...Array.from({ length: 49 }, () => data(1, framed(KILO))))
    expect(credits(peer)).toEqual([])
    const { writes } = peer
    peer.say(...Array.from({ length: 40 }, () => data(1, framed(KILO))))
    expect(peer.writes).toBe(writes + 1)
    // Of the stream when it had used half, of the connection at the end of the read.
    expect(credits(peer)).toEqual([
      [1, 50 * 1_005],
      [0, 89 * 1_005],
    ])
  })

  it('gives a stream that waits no credit, and others all of theirs', async () => {
    const gate = Promise.withResolvers<void>()
    const peer = readyPeer(65_535)
    const held = peer.open((count) => (count === 1 ? gate.promise : undefined))
    const other = peer.open()
    peer.said()
    peer.say(headers(1), headers(3))
    for (let i = 0; i < 65; i++) peer.say(data(1, framed(KILO)))
    expect(credits(peer)).toEqual([[0, 33 * 1_005]])
    for (let i = 0; i < 65; i++) peer.say(data(3, framed(KILO)))
    expect(other.messages.length).toBe(65)
    expect(credits(peer)).toContainEqual([3, 33 * 1_005])
    expect(held.messages.length).toBe(1)
    gate.resolve()
    await gate.promise
    await Promise.resolve()
    expect(held.messages.length).toBe(65)
    expect(credits(peer)).toEqual([[1, 65 * 1_005]])
    peer.say(data(1, framed(KILO)), trailers(1))
    expect(held).toMatchObject({ messages: { length: 66 }, end: OK })
  })

  it('waits for each message of what was kept, and ends after the last', async () => {
    const peer = readyPeer()
    const gates = Array.from({ length: 6 }, () => Promise.withResolvers<void>())
    const reading = peer.open((count) => gates[count - 1]?.promise)
    const other = peer.open()
    const bytes = wire('a', 'b', 'c', 'd', 'e')
    peer.say(headers(1), data(1, bytes.subarray(0, 9)))
    for (const byte of bytes.subarray(9)) peer.say(data(1, Buffer.from([byte])))
    peer.say(data(1, wire('f')), trailers(1), headers(3), trailers(3))
    expect(other.end).toEqual(OK)
    for (const [i, gate] of gates.entries()) {
      expect(reading.messages).toEqual(texts(...'abcdef'.slice(0, i + 1).split('')))
      expect(reading.end).toBeUndefined()
      gate.resolve()
      await turn()
    }
    expect(reading.end).toEqual(OK)
  })

  it('refuses more than the window of a stream allows', () => {
    const peer = readyPeer(65_535)
    const reading = peer.open(() => new Promise(() => {}))
    peer.say(headers(1), data(1, wire('a')))
    for (let i = 0; i < 65; i++) peer.say(data(1, Buffer.alloc(1_000)))
    expect(reading.end).toBeUndefined()
    peer.say(data(1, Buffer.alloc(1_000)))
    expect(resets(peer)).toEqual([[1, 3]])
    const details = 'Received more data than its window allows'
    expect(reading.end).toEqual({ code: 13, details })
  })

  it('refuses more than the window of the connection allows', () => {
    const peer = readyPeer(65_535)
    const readings = [peer.open(), peer.open()]
    peer.say(headers(1), headers(3))
    // In one read, so that nothing is given back in between.
    const frames = [1, 3].flatMap((id) =>
      Array.from({ length: 33 }, () => data(id, framed(Buffer.alloc(1_000)))),
    )
    peer.say(...frames)
    expect(goaways(peer)).toEqual([3])
    expect(readings.map(({ end }) => end?.code)).toEqual([14, 14])
  })

  it('takes DATA of a stream that was reset for the connection alone', () => {
    const peer = readyPeer(65_535)
    const aborted = peer.open()
    peer.say(headers(1))
    aborted.call.end({ code: 1, details: '' })
    expect(resets(peer)).toEqual([[1, 8]])
    for (let i = 0; i < 100; i++) peer.say(data(1, Buffer.alloc(1_000)))
    expect(credits(peer)).toEqual([33, 33, 33].map((count) => [0, count * 1_000]))
    expect(aborted.messages).toEqual([])
  })

  it('keeps the bytes of tiny frames as bytes', () => {
    const peer = readyPeer(4 * 1_048_576)
    peer.open(() => new Promise(() => {}))
    peer.say(headers(1), data(1, wire('a')))
    const tiny = Buffer.concat(Array.from({ length: 10_000 }, () => data(1, Buffer.from('x'))))
    const before = process.memoryUsage()
    for (let i = 0; i < 50; i++) peer.say(tiny)
    const after = process.memoryUsage()
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(8 * 1_048_576)
    expect(peer.violations).toEqual([])
  })
})

describe('a peer that floods', () => {
  it.each([
    { why: 'PING', said: frame(6, 0, 0, Buffer.alloc(8, 1)), answer: { type: 6, flags: 1 } },
    { why: 'SETTINGS', said: SETTINGS, answer: { type: 4, flags: 1 } },
  ])('is answered each $why, as long as it takes the answers', ({ said, answer }) => {
    const peer = readyPeer()
    const reading = peer.open()
    peer.said()
    const flood = Buffer.concat(Array.from({ length: 1_000 }, () => said))
    peer.say(flood)
    expect(peer.said().filter(({ type }) => type === answer.type)).toMatchObject(
      Array.from({ length: 1_000 }, () => answer),
    )
    for (let i = 0; i < 200; i++) peer.say(flood)
    expect(reading.end).toBeUndefined()
    peer.backlogBytes = 2_000_000
    for (let i = 0; i < 200; i++) peer.say(flood)
    expect(reading.end?.code).toBe(14)
    expect(goaways(peer)).toEqual([11])
  })

  it('costs no memory with empty frames', () => {
    const peer = readyPeer()
    const reading = peer.open()
    const empty = [
      frame(1, 0, 1, NOTHING),
      ...Array.from({ length: 9_999 }, () => frame(9, 0, 1, NOTHING)),
    ]
    peer.say(Buffer.concat(empty))
    peer.say(frame(9, 4, 1, encodedHeaders(HEADERS)))
    for (let i = 0; i < 10_000; i++) peer.say(data(1, NOTHING))
    peer.say(trailers(1))
    expect(reading.end).toEqual(OK)
    expect(peer.restBytesMost).toBe(0)
  })
})

it('gives nobody up who takes answers slowly, or was asked for much', () => {
  const peer = readyPeer()
  const reading = peer.open()
  const pings = Buffer.concat(Array.from({ length: 1_000 }, () => frame(6, 0, 0, Buffer.alloc(8))))
  peer.backlogBytes = 100
  for (let i = 0; i < 100; i++) peer.say(pings)
  expect(reading.end).toBeUndefined()
  peer.backlogBytes = 0
  peer.say(pings)
  // Of a large request, say.
  peer.backlogBytes = 5_000_000
  peer.say(pings)
  expect(reading.end).toBeUndefined()
})

describe('headers', () => {
  it('are read after those of 1xx, and joined where they come several times', () => {
    const peer = readyPeer()
    const reading = peer.open()
    peer.say(headers(1, [[':status', '103']]), headers(1, [[':status', '100']]))
    expect(reading.metadata).toEqual([])
    peer.say(headers(1, [...HEADERS, ['a', 'b'], ['a', 'c']]), trailers(1))
    expect(reading.end).toEqual(OK)
    expect(reading.metadata.map((each) => each.get('a'))).toEqual(['b, c'])
  })

  it('are limited for one stream, not for the connection', () => {
    const peer = readyPeer()
    for (let id = 1; id < 1_000; id += 2) {
      const reading = peer.open()
      peer.say(headers(id), trailers(id))
      expect(reading.end).toEqual(OK)
    }
  })

  it('and other frames are of the stream that they name without the reserved bit', () => {
    const peer = readyPeer()
    const reading = peer.open()
    const reserved = (bytes: Buffer) => {
      bytes.writeUInt8(0x80, 5)
      return bytes
    }
    const away = frame(7, 0, 0, uint32(0x80_00_00_01, 0))
    peer.say(...[headers(1), data(1, wire('a')), away, trailers(1)].map(reserved))
    expect(reading).toMatchObject({ messages: texts('a'), end: OK })
  })
})

describe('GOAWAY', () => {
  const goaway = (lastId: number, code: number, text = '') =>
    frame(7, 0, 0, Buffer.concat([uint32(lastId, code), Buffer.from(text)]))

  it('lets streams up to the last finish, and ends the others', () => {
    const peer = readyPeer(65_535, [3, 2])
    const readings = [peer.open(), peer.open(), peer.open()]
    peer.say(headers(1), headers(3), goaway(1, 0))
    expect(peer.session.isDraining).toBe(true)
    expect(readings.map(({ end }) => end?.code)).toEqual([undefined, 14, 14])
    expect(peer.drained).toBe(0)
    peer.say(data(1, wire('a')), trailers(1))
    expect(readings[0]).toMatchObject({ messages: texts('a'), end: OK })
    expect(peer.drained).toBe(1)
    expect(peer.open().end?.details).toBe('The stream was refused: the peer is going away')
  })

  it('ends every stream when it tells an error', () => {
    const peer = readyPeer()
    const reading = peer.open()
    peer.say(headers(1), goaway(1, 11, `too_many_pings${'!'.repeat(500)}`))
    expect(peer.givenUp[0]?.startsWith('11 too_many_pings')).toBe(true)
    expect(peer.givenUp[0]?.length).toBe(203)
    expect(reading.end?.code).toBe(14)
  })
})
