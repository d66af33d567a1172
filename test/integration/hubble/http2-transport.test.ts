import { createServer, type ServerHttp2Stream, type Settings } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { expect, it, onTestFinished } from 'vitest'
import { createHttp2Transport } from '../../../src/hubble/transport/h2/http2-transport.ts'
import type { StreamTransport, TransportOptions } from '../../../src/hubble/transport/transport.ts'
import {
  dataFrame,
  GRPC_HEADERS,
  headersFrame,
  type RawStream,
  startRawServer,
} from './raw-http2-server.ts'
import { finishOk, framed, MANY, PATH, read, SMALL, says, texts, wire } from './read-stream.ts'

function connect(address: string, options?: TransportOptions): StreamTransport {
  const transport = createHttp2Transport(address, undefined, options)
  onTestFinished(() => transport.close())
  return transport
}

/** A server of node:http2, which knows nothing of gRPC. */
async function startServer(
  onStream: (stream: ServerHttp2Stream, body: Buffer) => void,
  settings: Settings = {},
): Promise<string> {
  const server = createServer({ settings })
  server.on('stream', (stream) => {
    const body: Buffer[] = []
    stream.on('error', () => {})
    stream.on('data', (chunk: Buffer) => body.push(chunk))
    stream.on('end', () => onStream(stream, Buffer.concat(body)))
  })
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

const ignore = () => undefined
const never = new AbortController().signal

it('reads whatever headers and trailers node:http2 encodes', async () => {
  let sent: Readonly<Record<string, string>> = {}
  const address = await startServer((stream) => {
    stream.respond({ ':status': 200, ...sent }, { waitForTrailers: true })
    stream.on('wantTrailers', () =>
      stream.sendTrailers({ 'grpc-status': '5', 'grpc-message': sent['x-message'] ?? '' }),
    )
    stream.end()
  })
  let received: ReadonlyMap<string, string> = new Map()
  const transport = connect(address, { onMetadata: (headers) => (received = headers) })
  const visible = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code))
  const value = fc.string({ unit: visible, maxLength: 60 })
  // Huffman is taken where it is shorter: rare octets, among many that are frequent.
  const rare = fc.integer({ min: 0xa1, max: 0xff }).map((code) => String.fromCharCode(code))
  const rareValue = fc
    .array(rare, { maxLength: 8 })
    .map((each) => `${'e'.repeat(90)}${each.join('')}e`)
  const name = fc
    .string({
      unit: fc.constantFrom(...Array.from('abcxyz0189-_.!#$%&*+^`|~')),
      minLength: 1,
      maxLength: 20,
    })
    .map((text) => `x${text}`)
  const known = fc.constantFrom('server', 'etag', 'cache-control', 'location', 'via')
  const fields = fc.dictionary(fc.oneof(name, known), fc.oneof(value, rareValue), { maxKeys: 12 })
  const property = fc.asyncProperty(fields, value, async (each, message) => {
    sent = { ...each, 'x-message': message.replaceAll('%', '') }
    const end = await transport.open(PATH, Buffer.alloc(0), ignore, never)
    expect(end).toEqual({ code: 5, details: sent['x-message'] })
    for (const [key, text] of Object.entries(sent)) {
      expect(received.get(key)).toBe(text)
    }
  })
  await fc.assert(property, { numRuns: 200 })
})

it('sends requests of megabytes as the windows of node:http2 open, several at once', async () => {
  const bodies: Buffer[] = []
  const settings = { initialWindowSize: 70_000, maxFrameSize: 20_000, maxConcurrentStreams: 2 }
  const address = await startServer((stream, body) => {
    bodies.push(body)
    stream.respond({ ':status': 200, 'grpc-status': '0' }, { endStream: true })
  }, settings)
  const transport = connect(address)
  const requests = [1, 2, 3, 4, 5].map((seed) => Buffer.alloc(seed * 700_000, seed))
  const ends = await Promise.all(
    requests.map((request) => transport.open(PATH, request, ignore, never)),
  )
  expect(ends).toEqual(requests.map(() => ({ code: 0, details: '' })))
  const sorted = bodies.toSorted((a, b) => a.length - b.length)
  expect(sorted.map((body, i) => body.equals(framed(requests[i] ?? Buffer.alloc(0))))).toEqual(
    requests.map(() => true),
  )
})

it('hands on the messages of a read where they lie', async () => {
  const server = await startRawServer(async (stream) => {
    stream.headers(GRPC_HEADERS)
    for (let i = 0; i < 20; i++) {
      stream.socket.write(Buffer.concat(SMALL.map((each) => dataFrame(stream.id, framed(each)))))
    }
    await sleep(1)
    finishOk(stream)
  })
  const buffers = new Set<Buffer>()
  let count = 0
  const end = await connect(server.address).open(
    PATH,
    Buffer.alloc(0),
    (bytes) => {
      buffers.add(bytes)
      count++
      return undefined
    },
    never,
  )
  expect(end.code).toBe(0)
  expect(count).toBe(20 * SMALL.length)
  expect(buffers.size).toBe(1)
})

it('keeps each stream in order, while all of them wait now and then on small windows', async () => {
  const sizes = [1_000, 10, 16_384, 300]
  const server = await startRawServer(async (stream) => {
    stream.headers(GRPC_HEADERS)
    const frameBytes = sizes[((stream.id - 1) / 2) % sizes.length] ?? 1
    const count = frameBytes < 100 ? 30 : 150
    await stream.data(wire(MANY.slice(0, count)), { frameBytes })
    finishOk(stream)
  })
  const transport = connect(server.address, { windowBytes: 65_535 })
  const readings = Array.from({ length: 8 }, (_, i) =>
    read(transport, undefined, (count) => {
      if (count % (i + 2) !== 0) return undefined
      return count % 50 === 0 ? sleep(1) : Promise.resolve()
    }),
  )
  for (const { messages, end } of await Promise.all(readings)) {
    expect(end).toEqual({ code: 0, details: '' })
    expect([30, 150]).toContain(messages.length)
    expect(messages.findIndex((each, i) => !MANY[i]?.equals(each))).toBe(-1)
  }
  expect(server.connections).toBe(1)
})

it('closes a connection that was told to go away, when its last stream has ended', async () => {
  const server = await startRawServer(async (stream) => {
    stream.goaway(0)
    await says(wire(SMALL), finishOk)(stream)
  })
  const transport = connect(server.address)
  expect((await read(transport)).messages).toEqual(SMALL)
  await expect.poll(() => server.live).toBe(0)
  expect((await read(transport)).end.code).toBe(0)
  expect(server.connections).toBe(2)
})

it('leaves nothing behind when it is closed, whatever was under way', async () => {
  const server = await startRawServer(says(wire(MANY), () => {}))
  const transport = connect(server.address)
  const readings = [read(transport), read(transport, undefined, () => new Promise(() => {}))]
  await sleep(50)
  transport.close()
  for (const { end } of await Promise.all(readings)) expect(end.code).toBe(1)
  await expect.poll(() => server.live).toBe(0)
})

it('may be aborted, opened again and closed inside of a message', async () => {
  const server = await startRawServer(says(wire(SMALL), finishOk))
  const transport = connect(server.address)
  const stop = new AbortController()
  let inner: Promise<unknown> | undefined
  const got = await read(transport, stop.signal, (count) => {
    if (count === 5) inner = read(transport)
    if (count === 10) stop.abort()
    return undefined
  })
  expect(got).toMatchObject({ messages: SMALL.slice(0, 10), end: { code: 1 } })
  expect(await inner).toMatchObject({ messages: SMALL, end: { code: 0 } })
  const closing = await read(transport, undefined, (count) => {
    if (count === 3) transport.close()
    return undefined
  })
  expect(closing).toMatchObject({ messages: SMALL.slice(0, 3), end: { code: 1 } })
})

it('ends the stream when what takes the headers throws', async () => {
  const server = await startRawServer(says(wire(SMALL), finishOk))
  const onMetadata = () => {
    throw new Error('not these')
  }
  const got = await read(connect(server.address, { onMetadata }))
  expect(got).toEqual({
    messages: [],
    end: { code: 13, details: 'Cannot take a message: not these' },
  })
})

it.each([
  { why: 'PINGs', bytes: Buffer.from([0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]) },
  { why: 'SETTINGS', bytes: Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]) },
])('gives up a peer that floods it with $why and reads no answer', async ({ why, bytes }) => {
  const flood = Buffer.concat(Array.from({ length: 4_000 }, () => bytes))
  const server = await startRawServer(async (stream: RawStream) => {
    stream.headers(GRPC_HEADERS)
    stream.socket.pause()
    while (!stream.socket.destroyed && stream.socket.writable) {
      if (!stream.socket.write(flood)) await sleep(1)
    }
  })
  const before = process.memoryUsage().rss
  const got = await read(connect(server.address), AbortSignal.timeout(20_000))
  expect(got.end, why).toEqual({
    code: 14,
    details: expect.stringMatching(/more to answer than the peer takes|ECONNRESET|EPIPE/),
  })
  expect(process.memoryUsage().rss - before).toBeLessThan(300_000_000)
})

it('goes on while one stream is malformed', async () => {
  const server = await startRawServer((stream, attempt) => {
    if (attempt === 1) stream.socket.write(headersFrame(stream.id, { 'no-status': '' }, false))
    else void says(wire(texts('a')), finishOk)(stream)
  })
  const transport = connect(server.address)
  const [broken, fine] = await Promise.all([read(transport), read(transport)])
  expect(broken.end).toEqual({ code: 13, details: 'Received malformed headers: no ":status"' })
  expect(fine).toEqual({ messages: texts('a'), end: { code: 0, details: '' } })
  expect(server.connections).toBe(1)
})
