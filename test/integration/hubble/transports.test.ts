import { createServer as createHttp2Server, type IncomingHttpHeaders } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { describe, expect, it, onTestFinished } from 'vitest'
import { observerService } from '../../../src/hubble/proto.ts'
import {
  MESSAGE_BYTES_MAX,
  type OnMessage,
  type TransportOptions,
} from '../../../src/hubble/transport/transport.ts'
import { startHubbleNode, startRelay } from '../../services/hubble.ts'
import { need } from '../../services/need.ts'
import {
  dataFrame,
  GRPC_HEADERS,
  headersFrame,
  type RawStream,
  startRawServer,
} from './raw-http2-server.ts'
import {
  ENDED_OK,
  type Expected,
  finishOk,
  framed,
  MANY,
  OK,
  open,
  PATH,
  REQUEST,
  read,
  SMALL,
  says,
  TRANSPORTS,
  type Transport,
  texts,
  wire,
} from './read-stream.ts'

const LARGEST = Buffer.alloc(MESSAGE_BYTES_MAX, 7)

interface Case {
  readonly why: string
  readonly script: (stream: RawStream) => void | Promise<void>
  readonly messages?: readonly Buffer[]
  readonly end: Expected
  /** Where grpc-js differs, and may. */
  readonly grpcJs?: Partial<Expected> & { readonly messages?: readonly Buffer[] }
  readonly options?: TransportOptions
}

/** What was sent shall have arrived before what follows. */
const later = (then: (stream: RawStream) => void) => async (stream: RawStream) => {
  await sleep(30)
  then(stream)
}

const CASES: readonly Case[] = [
  { why: 'an empty stream', script: says(Buffer.alloc(0), finishOk), end: ENDED_OK },
  {
    why: '1,000 messages of 0 to 70,000 bytes',
    script: says(wire(MANY), finishOk),
    messages: MANY,
    end: ENDED_OK,
  },
  {
    why: '1,000 messages, with a window of 64 KB',
    script: says(wire(MANY), finishOk),
    messages: MANY,
    end: ENDED_OK,
    options: { windowBytes: 65_535 },
  },
  {
    why: 'a DATA frame for each message, as grpc-go sends them',
    script: async (stream) => {
      stream.headers(GRPC_HEADERS)
      for (const message of SMALL) await stream.data(framed(message))
      finishOk(stream)
    },
    messages: SMALL,
    end: ENDED_OK,
  },
  {
    why: 'messages that are cut into DATA frames of 3 bytes',
    script: async (stream) => {
      stream.headers(GRPC_HEADERS)
      await stream.data(wire(SMALL.slice(0, 50)), { frameBytes: 3 })
      finishOk(stream)
    },
    messages: SMALL.slice(0, 50),
    end: ENDED_OK,
  },
  {
    why: 'padding',
    script: async (stream) => {
      stream.headers(GRPC_HEADERS)
      await stream.data(wire(MANY.slice(0, 50)), { padding: 200, frameBytes: 700 })
      finishOk(stream)
    },
    messages: MANY.slice(0, 50),
    end: ENDED_OK,
  },
  {
    why: 'a message of exactly 4 MiB',
    script: says(framed(LARGEST), finishOk),
    messages: [LARGEST],
    end: ENDED_OK,
  },
  {
    why: 'a message of 4 MiB and a byte',
    script: says(
      Buffer.concat([framed(Buffer.from('a')), framed(Buffer.alloc(MESSAGE_BYTES_MAX + 1))]),
      finishOk,
    ),
    messages: texts('a'),
    end: { code: 8, details: /4194305 vs 4194304/ },
    // It looks at all messages of a chunk before it hands on the first.
    grpcJs: { messages: [] },
  },
  {
    why: 'a compressed message, without an encoding',
    script: says(Buffer.concat([framed(Buffer.from('a')), framed(gzipSync('b'), 1)]), finishOk),
    messages: texts('a'),
    end: { code: 13, details: /compressed message/ },
  },
  {
    why: 'a compressed message, with its encoding',
    script: async (stream) => {
      stream.headers({ ...GRPC_HEADERS, 'grpc-encoding': 'gzip' })
      await stream.data(framed(gzipSync('b'), 1))
      finishOk(stream)
    },
    end: { code: 13, details: /compressed message/ },
    grpcJs: { messages: texts('b'), ...ENDED_OK },
  },
  {
    why: 'an error, its text percent-encoded',
    script: says(wire(texts('a')), (stream) =>
      stream.headers(
        { 'grpc-status': '5', 'grpc-message': 'no such%20flow: 100%25 g%C3%B6ne' },
        true,
      ),
    ),
    messages: texts('a'),
    end: { code: 5, details: /^no such flow: 100% göne$/ },
  },
  {
    why: 'an error whose text is no proper percent-encoding',
    script: says(Buffer.alloc(0), (stream) =>
      stream.headers({ 'grpc-status': '3', 'grpc-message': '50% of %FF%zz' }, true),
    ),
    end: { code: 3, details: /^50% of \uFFFD%zz$/ },
    grpcJs: { details: /^50% of %FF%zz$/ },
  },
  {
    why: 'a status that is no number',
    script: says(Buffer.alloc(0), (stream) => stream.headers({ 'grpc-status': 'bad' }, true)),
    end: { code: 2, details: /status/ },
  },
  {
    why: 'nothing but trailers',
    script: (stream) =>
      stream.headers(
        { ...GRPC_HEADERS, 'grpc-status': '12', 'grpc-message': 'unknown method' },
        true,
      ),
    end: { code: 12, details: /^unknown method$/ },
  },
  {
    why: 'a GOAWAY that lets the stream finish',
    script: async (stream) => {
      stream.headers(GRPC_HEADERS)
      await stream.data(framed(Buffer.from('a')))
      stream.goaway(0)
      await sleep(30)
      await stream.data(framed(Buffer.from('b')))
      finishOk(stream)
    },
    messages: texts('a', 'b'),
    end: ENDED_OK,
  },
  {
    why: 'a GOAWAY, and the connection closed before the stream finished',
    script: says(
      wire(texts('a')),
      later((stream) => {
        stream.goaway(0)
        stream.socket.end()
      }),
    ),
    messages: texts('a'),
    end: { code: 14, details: /Lost the connection to 127.0.0.1:\d+: the peer closed it/ },
    grpcJs: { details: /Connection dropped/ },
  },
  {
    why: 'a GOAWAY that does not know the stream',
    script: (stream) => stream.goaway(0, '', 0),
    end: { code: 14, details: /refused/i },
    grpcJs: { details: /refused/ },
  },
  {
    why: 'a GOAWAY for too many pings',
    script: says(
      wire(texts('a')),
      later((stream) => stream.goaway(11, 'too_many_pings')),
    ),
    messages: texts('a'),
    end: { code: 8, details: /GOAWAY with code 11 \(ENHANCE_YOUR_CALM\): too_many_pings/ },
    grpcJs: { details: /Bandwidth exhausted/ },
  },
  {
    why: 'a GOAWAY for an error',
    script: says(
      wire(texts('a')),
      later((stream) => stream.goaway(2, 'broken')),
    ),
    messages: texts('a'),
    end: { code: 14, details: /GOAWAY with code 2 \(INTERNAL_ERROR\): broken/ },
    // It takes the connection's error for the stream's.
    grpcJs: { code: 13, details: /code 2/ },
  },
  ...[
    { code: 0, status: 13, details: /without a gRPC status/, grpcJs: /without gRPC status/ },
    { code: 1, status: 13, details: /code 1 \(PROTOCOL_ERROR\)/, grpcJs: /code 1/ },
    { code: 2, status: 13, details: /code 2 \(INTERNAL_ERROR\)/, grpcJs: /code 2/ },
    { code: 7, status: 14, details: /code 7 \(REFUSED_STREAM\)/, grpcJs: /refused/ },
    { code: 8, status: 1, details: /code 8 \(CANCEL\)/, grpcJs: /cancelled/ },
    { code: 11, status: 8, details: /code 11 \(ENHANCE_YOUR_CALM\)/, grpcJs: /exhausted/ },
    { code: 12, status: 7, details: /code 12 \(INADEQUATE_SECURITY\)/, grpcJs: /not secure/ },
    { code: 13, status: 13, details: /code 13 \(HTTP_1_1_REQUIRED\)/, grpcJs: /code 13/ },
  ].map(
    ({ code, status, details, grpcJs }): Case => ({
      why: `a reset with code ${code}`,
      script: says(
        wire(texts('a')),
        later((stream) => stream.reset(code)),
      ),
      messages: texts('a'),
      end: { code: status, details },
      grpcJs: { details: grpcJs },
    }),
  ),
  {
    why: 'the connection closed',
    script: says(
      wire(texts('a')),
      later((stream) => stream.socket.end()),
    ),
    messages: texts('a'),
    end: { code: 14, details: /Lost the connection to 127.0.0.1:\d+: the peer closed it/ },
    grpcJs: { details: /Connection dropped/ },
  },
  {
    why: 'the connection reset',
    script: says(
      wire(texts('a')),
      later((stream) => stream.socket.resetAndDestroy()),
    ),
    messages: texts('a'),
    end: { code: 14, details: /Lost the connection to 127.0.0.1:\d+: read ECONNRESET/ },
    grpcJs: { details: /ECONNRESET|Connection dropped/ },
  },
  {
    why: 'an end in the middle of a message, with trailers that say OK',
    script: says(framed(Buffer.from('abc')).subarray(0, 7), finishOk),
    end: { code: 13, details: /middle of a message/ },
    // It does not look.
    grpcJs: ENDED_OK,
  },
  {
    why: 'an end in the middle of a message, with trailers that tell an error',
    script: says(framed(Buffer.from('abc')).subarray(0, 7), (stream) =>
      stream.headers({ 'grpc-status': '14', 'grpc-message': 'stopping' }, true),
    ),
    end: { code: 14, details: /^stopping$/ },
  },
  {
    why: 'an end without trailers',
    script: says(wire(texts('a')), (stream) => stream.endWithoutTrailers()),
    messages: texts('a'),
    end: { code: 13, details: /without a gRPC status/ },
    grpcJs: { details: /without gRPC status/ },
  },
  {
    why: 'an end without trailers, in the middle of a message',
    script: says(Buffer.from([0, 0]), (stream) => stream.endWithoutTrailers()),
    end: { code: 13, details: /middle of a message/ },
    grpcJs: { details: /without gRPC status/ },
  },
  {
    why: 'HTTP 503 with a page of HTML',
    script: async (stream) => {
      stream.headers({ ':status': '503', 'content-type': 'text/html' })
      await stream.data(Buffer.from('<html>no healthy upstream</html>'))
      stream.endWithoutTrailers()
    },
    end: { code: 14, details: /HTTP status code 503/ },
  },
  {
    why: 'HTTP 404 without a body',
    script: (stream) => stream.headers({ ':status': '404' }, true),
    end: { code: 12, details: /HTTP status code 404/ },
  },
  {
    why: 'HTTP 200 with a page of HTML',
    script: async (stream) => {
      stream.headers({ ':status': '200', 'content-type': 'text/html' })
      await stream.data(Buffer.from('<html>hello</html>'))
      stream.endWithoutTrailers()
    },
    end: { code: 2, details: /content-type "text\/html"/ },
    // It reads the page as a message.
    grpcJs: { code: 8, details: /larger than max/ },
  },
  {
    why: 'a frame that is none',
    script: says(
      wire(texts('a')),
      // DATA on stream 0.
      later((stream) => void stream.socket.write(dataFrame(0, Buffer.from('x')))),
    ),
    messages: texts('a'),
    end: { code: 14, details: /Lost the connection to 127.0.0.1:\d+: Protocol error/ },
    grpcJs: { code: 13, details: /Protocol error/ },
  },
]

describe.each(TRANSPORTS)('$name', (transport) => {
  it.each(CASES)('reads $why', async ({ script, messages = [], end, grpcJs = {}, options }) => {
    const server = await startRawServer(script)
    const got = await read(open(transport, server.address, undefined, options))
    const expected =
      transport.name === 'grpc-js' ? { messages, ...end, ...grpcJs } : { messages, ...end }
    expect(got.end).toEqual({
      code: expected.code,
      details: expect.stringMatching(expected.details),
    })
    expect(got.messages.length).toBe(expected.messages.length)
    expect(got.messages.findIndex((each, i) => !expected.messages[i]?.equals(each))).toBe(-1)
  })

  it('reads the same wherever TCP cuts the frames', async () => {
    const messages = texts('', 'one', '', 'a longer one', 'x')
    let length = Number.POSITIVE_INFINITY
    const server = await startRawServer(async (stream, attempt) => {
      const said = Buffer.concat([
        headersFrame(stream.id, GRPC_HEADERS, false),
        dataFrame(stream.id, wire(messages).subarray(0, 12)),
        dataFrame(stream.id, wire(messages).subarray(12), 3),
        headersFrame(stream.id, OK, true),
      ])
      length = said.length
      stream.socket.write(said.subarray(0, attempt))
      // The client reads between the two.
      await sleep(1)
      stream.socket.write(said.subarray(attempt))
    })
    const client = open(transport, server.address)
    for (let offset = 1; offset < length; offset++) {
      expect(await read(client)).toEqual({ messages, end: { code: 0, details: '' } })
    }
    expect(length).toBeGreaterThan(100)
    expect(length).toBeLessThan(1_000)
  })

  it('asks as gRPC asks, and passes on what the headers of the answer say', async () => {
    const requests: { headers: IncomingHttpHeaders; body: Buffer }[] = []
    const server = createHttp2Server()
    onTestFinished(() => void server.close())
    server.on('stream', (stream, headers) => {
      const body: Buffer[] = []
      stream.on('data', (chunk: Buffer) => body.push(chunk))
      stream.on('end', () => {
        requests.push({ headers, body: Buffer.concat(body) })
        stream.respond(
          { 'content-type': 'application/grpc', 'hubble-relay-version': '1.20.2+g1' },
          { waitForTrailers: true },
        )
        stream.on('wantTrailers', () => stream.sendTrailers(OK))
        stream.end(framed(Buffer.from('a')))
      })
    })
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const told: (string | undefined)[] = []
    const client = open(transport, address, undefined, {
      onMetadata: (headers) => told.push(headers.get('hubble-relay-version')),
    })
    expect(await read(client)).toEqual({ messages: texts('a'), end: { code: 0, details: '' } })
    client.close()
    expect(told).toEqual(['1.20.2+g1'])
    expect(requests).toMatchObject([
      {
        headers: {
          ':method': 'POST',
          ':path': PATH,
          ':scheme': 'http',
          ':authority': address,
          'content-type': 'application/grpc',
          te: 'trailers',
        },
        body: framed(REQUEST),
      },
    ])
    const encodings = requests[0]?.headers['grpc-accept-encoding']
    expect(encodings).toBe(transport.name === 'grpc-js' ? 'identity,deflate,gzip' : undefined)
  })
})

describe.skipIf(need('hubble').skip)('with the real Relay', () => {
  it('all read the same flows', async () => {
    const node = await startHubbleNode({ name: 'node-a' })
    onTestFinished(() => node.stop())
    await node.command({ do: 'generate', n: 2_000, kind: 'http' })
    await node.command({ do: 'generate', n: 1_000, kind: 'l4' })
    const relay = await startRelay({ peerAddress: node.address })
    onTestFinished(() => relay.stop())
    const method = observerService()['GetFlows']
    const request = method?.requestSerialize({ number: 2_500 }) ?? Buffer.alloc(0)
    const flowsBy = async (transport: Transport) => {
      const versions: (string | undefined)[] = []
      const client = open(transport, relay.address, undefined, {
        onMetadata: (headers) => versions.push(headers.get('hubble-relay-version')),
      })
      const flows: string[] = []
      const keep: OnMessage = (bytes, start, end) => {
        const message = bytes.subarray(start, end)
        // Relay tells of its nodes as well, with the time of the request.
        const decoded = method?.responseDeserialize(message) as { readonly flow?: object }
        if (decoded.flow !== undefined) flows.push(message.toString('base64'))
        return undefined
      }
      const signal = AbortSignal.timeout(20_000)
      expect(await client.open(PATH, request, keep, signal)).toEqual({ code: 0, details: '' })
      expect(versions).toEqual([expect.any(String)])
      return flows.toSorted()
    }
    const flows = await flowsBy(TRANSPORTS[0])
    expect(flows.length).toBeGreaterThan(2_000)
    for (const transport of TRANSPORTS.slice(1)) expect(await flowsBy(transport)).toEqual(flows)
  })
})
