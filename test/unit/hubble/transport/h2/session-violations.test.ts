import { describe, expect, it } from 'vitest'
import { frame } from '../../../../../src/hubble/transport/h2/frames.ts'
import {
  data,
  goaways,
  HEADERS,
  headers,
  NOTHING,
  OK,
  readyPeer,
  resets,
  SessionPeer,
  settings,
  TRAILERS,
  texts,
  trailers,
  uint32,
  wire,
} from './session-peer.ts'

describe('what breaks the protocol', () => {
  const [protocol, flowControl, frameSize, compression, calm] = [1, 3, 6, 9, 11]

  it.each([
    { why: 'a frame of HTTP/1', said: Buffer.from('HTTP/1.1 400 Bad Request\r\n') },
    { why: 'an acknowledgement', said: frame(4, 1, 0, NOTHING) },
    { why: 'a PING', said: frame(6, 0, 0, Buffer.alloc(8)) },
  ])('begins with $why instead of SETTINGS', ({ said }) => {
    const peer = new SessionPeer()
    const reading = peer.open()
    peer.say(said)
    expect(goaways(peer)).toEqual([protocol])
    expect(reading.end?.code).toBe(14)
  })

  it.each([
    { why: 'DATA on stream 0', said: data(0, Buffer.from('x')), code: protocol },
    { why: 'DATA on an idle stream', said: data(5, Buffer.from('x')), code: protocol },
    { why: 'DATA on a stream of the server', said: data(2, Buffer.from('x')), code: protocol },
    {
      why: 'DATA of nothing but padding',
      said: data(1, Buffer.from([3, 0, 0]), 8),
      code: protocol,
    },
    { why: 'padded DATA without a length', said: data(1, NOTHING, 8), code: protocol },
    { why: 'a frame above 16 KiB', said: data(1, Buffer.alloc(16_385)), code: frameSize },
    {
      why: 'an unknown frame above 16 KiB',
      said: frame(99, 0, 0, Buffer.alloc(20_000)),
      code: frameSize,
    },
    { why: 'HEADERS on stream 0', said: headers(0), code: protocol },
    { why: 'HEADERS on an idle stream', said: headers(3), code: protocol },
    { why: 'HEADERS on a stream of the server', said: headers(2), code: protocol },
    {
      why: 'HEADERS of nothing but padding',
      said: frame(1, 0xc, 1, Buffer.from([9])),
      code: protocol,
    },
    { why: 'padded HEADERS without a length', said: frame(1, 0xc, 1, NOTHING), code: protocol },
    {
      why: 'HEADERS without their priority',
      said: frame(1, 0x24, 1, Buffer.alloc(4)),
      code: protocol,
    },
    {
      why: 'HEADERS that are no HPACK',
      said: frame(1, 4, 1, Buffer.from([0x80])),
      code: compression,
    },
    { why: 'CONTINUATION of nothing', said: frame(9, 4, 1, NOTHING), code: protocol },
    {
      why: 'CONTINUATION of another stream',
      said: Buffer.concat([frame(1, 0, 1, NOTHING), frame(9, 4, 3, NOTHING)]),
      code: protocol,
    },
    {
      why: 'a PING inside of headers',
      said: Buffer.concat([frame(1, 0, 1, NOTHING), frame(6, 0, 0, Buffer.alloc(8))]),
      code: protocol,
    },
    {
      why: 'headers of more than 16 KiB',
      said: Buffer.concat([frame(1, 0, 1, Buffer.alloc(16_384)), frame(9, 0, 1, Buffer.alloc(1))]),
      code: calm,
    },
    { why: 'PRIORITY on stream 0', said: frame(2, 0, 0, Buffer.alloc(5)), code: protocol },
    { why: 'a short PRIORITY', said: frame(2, 0, 1, Buffer.alloc(4)), code: frameSize },
    { why: 'RST_STREAM on stream 0', said: frame(3, 0, 0, uint32(8)), code: protocol },
    { why: 'RST_STREAM on an idle stream', said: frame(3, 0, 3, uint32(8)), code: protocol },
    { why: 'a short RST_STREAM', said: frame(3, 0, 1, Buffer.alloc(3)), code: frameSize },
    { why: 'SETTINGS on a stream', said: frame(4, 0, 1, NOTHING), code: protocol },
    { why: 'SETTINGS of 5 bytes', said: frame(4, 0, 0, Buffer.alloc(5)), code: frameSize },
    {
      why: 'an acknowledgement with a payload',
      said: frame(4, 1, 0, Buffer.alloc(6)),
      code: frameSize,
    },
    { why: 'ENABLE_PUSH', said: settings([2, 1]), code: protocol },
    { why: 'INITIAL_WINDOW_SIZE above its limit', said: settings([4, 2 ** 31]), code: flowControl },
    {
      why: 'INITIAL_WINDOW_SIZE that makes a window too wide',
      said: Buffer.concat([frame(8, 0, 1, uint32(10)), settings([4, 2 ** 31 - 1])]),
      code: flowControl,
    },
    { why: 'MAX_FRAME_SIZE below its limit', said: settings([5, 16_383]), code: protocol },
    { why: 'MAX_FRAME_SIZE above its limit', said: settings([5, 2 ** 24]), code: protocol },
    { why: 'PUSH_PROMISE', said: frame(5, 4, 1, uint32(2)), code: protocol },
    { why: 'PING on a stream', said: frame(6, 0, 1, Buffer.alloc(8)), code: protocol },
    { why: 'a short PING', said: frame(6, 0, 0, Buffer.alloc(7)), code: frameSize },
    { why: 'GOAWAY on a stream', said: frame(7, 0, 1, Buffer.alloc(8)), code: protocol },
    { why: 'a short GOAWAY', said: frame(7, 0, 0, Buffer.alloc(7)), code: frameSize },
    { why: 'a short WINDOW_UPDATE', said: frame(8, 0, 0, Buffer.alloc(3)), code: frameSize },
    { why: 'WINDOW_UPDATE by 0', said: frame(8, 0, 0, uint32(0)), code: protocol },
    {
      why: 'WINDOW_UPDATE above its limit',
      said: frame(8, 0, 0, uint32(2 ** 31 - 1)),
      code: flowControl,
    },
    { why: 'WINDOW_UPDATE on an idle stream', said: frame(8, 0, 7, uint32(1)), code: protocol },
  ])('$why ends the connection with code $code', ({ said, code }) => {
    const peer = readyPeer()
    const readings = [peer.open()]
    peer.said()
    peer.say(headers(1), data(1, wire('a')), said, data(1, wire('b')))
    expect(goaways(peer)).toEqual([code])
    expect(peer.violations.length).toBe(1)
    expect(readings[0]).toMatchObject({ messages: texts('a'), end: { code: 14 } })
    expect(peer.session.isDraining).toBe(true)
    readings.push(peer.open())
    expect(readings[1]?.end?.code).toBe(14)
  })

  it.each([
    { why: 'data before headers', said: data(1, wire('a')), code: protocol, details: /before any/ },
    {
      why: 'more headers than 16 KiB',
      said: frame(1, 4, 1, Buffer.alloc(1_000, 0x82)),
      code: calm,
      details: /more than 16384 bytes of headers/,
    },
    { why: 'no status', said: headers(1, [['a', 'b']]), code: protocol, details: /no ":status"/ },
    {
      why: 'two statuses',
      said: headers(1, [...HEADERS, [':status', '200']]),
      code: protocol,
      details: /wrong place/,
    },
    {
      why: 'a status after other headers',
      said: headers(1, [
        ['a', 'b'],
        [':status', '200'],
      ]),
      code: protocol,
      details: /wrong place/,
    },
    {
      why: 'a pseudo-header that there is not',
      said: headers(1, [
        [':status', '200'],
        [':path', '/'],
      ]),
      code: protocol,
      details: /":path"/,
    },
    {
      why: 'a status of four digits',
      said: headers(1, [[':status', '2000']]),
      code: protocol,
      details: /2000/,
    },
    {
      why: 'a name in upper case',
      said: headers(1, [...HEADERS, ['Grpc-Status', '0']]),
      code: protocol,
      details: /"Grpc-Status"/,
    },
    {
      why: 'a value of two lines',
      said: headers(1, [...HEADERS, ['a', 'b\r\nc: d']]),
      code: protocol,
      details: /control characters/,
    },
    {
      why: 'a header of HTTP/1',
      said: headers(1, [...HEADERS, ['transfer-encoding', 'chunked']]),
      code: protocol,
      details: /HTTP\/1/,
    },
    {
      why: 'trailers that are not the end',
      said: Buffer.concat([headers(1), headers(1, TRAILERS)]),
      code: protocol,
      details: /out of order/,
    },
    {
      why: 'trailers with a status of HTTP',
      said: Buffer.concat([headers(1), trailers(1, HEADERS)]),
      code: protocol,
      details: /in trailers/,
    },
    {
      why: 'an end with 103',
      said: trailers(1, [[':status', '103']]),
      code: protocol,
      details: /out of order/,
    },
    { why: 'WINDOW_UPDATE by 0', said: frame(8, 0, 1, uint32(0)), code: protocol, details: /by 0/ },
    {
      why: 'WINDOW_UPDATE above its limit',
      said: frame(8, 0, 1, uint32(2 ** 31 - 1)),
      code: flowControl,
      details: /WINDOW_UPDATE/,
    },
  ])('$why ends the stream alone, with code $code', ({ said, code, details }) => {
    const peer = readyPeer()
    const [broken, other] = [peer.open(), peer.open()]
    peer.said()
    // What is still on its way for the broken stream is no fault.
    peer.say(said, headers(3), data(3, wire('a')), data(1, wire('late')), trailers(1), trailers(3))
    expect(resets(peer)).toEqual([[1, code]])
    expect(broken).toMatchObject({ messages: [], end: { code: 13 } })
    expect(broken.end?.details).toMatch(details)
    expect(other).toMatchObject({ messages: texts('a'), end: OK })
    expect(peer.violations).toEqual([])
  })
})
