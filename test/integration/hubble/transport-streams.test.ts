import { execFile } from 'node:child_process'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { freePort } from '../../services/free-port.ts'
import { GRPC_HEADERS, type RawStream, startRawServer } from './raw-http2-server.ts'
import {
  finishOk,
  framed,
  MANY,
  open,
  read,
  SMALL,
  says,
  TRANSPORTS,
  texts,
  wire,
} from './read-stream.ts'

const run = promisify(execFile)

describe.each(TRANSPORTS)('$name', (transport) => {
  it('waits for the promise of a message, keeps what came meanwhile, and then goes on in order', async () => {
    const server = await startRawServer(says(wire(MANY), finishOk))
    let running = 0
    let most = 0
    const got = await read(open(transport, server.address), undefined, (count) => {
      most = Math.max(most, running)
      if (count % 7 !== 0) return undefined
      running++
      return turn().then(() => void running--)
    })
    expect(most).toBe(0)
    expect(got.end).toEqual({ code: 0, details: '' })
    expect(got.messages.length).toBe(MANY.length)
    expect(got.messages.findIndex((each, i) => !MANY[i]?.equals(each))).toBe(-1)
  })

  it('stops the peer while it waits: no more than a window is under way', async () => {
    let sent = 0
    const server = await startRawServer(async (stream) => {
      stream.headers(GRPC_HEADERS)
      for (const message of MANY) {
        await stream.data(framed(message))
        sent += message.length
      }
      finishOk(stream)
    })
    const gate = Promise.withResolvers<void>()
    const client = open(transport, server.address, undefined, { windowBytes: 1_048_576 })
    const reading = read(client, undefined, (count) => (count === 1 ? gate.promise : undefined))
    await sleep(200)
    const sentWhileWaiting = sent
    gate.resolve()
    const got = await reading
    expect(sentWhileWaiting).toBeLessThan(2 * 1_048_576)
    expect(got).toMatchObject({ end: { code: 0 } })
    expect(got.messages.length).toBe(MANY.length)
  })

  it.each([
    { why: 'the stream', finish: finishOk },
    {
      why: 'the connection',
      finish: (stream: RawStream) => {
        finishOk(stream)
        stream.socket.end()
      },
    },
    {
      why: 'the connection, reset,',
      finish: (stream: RawStream) => {
        finishOk(stream)
        setTimeout(() => stream.socket.resetAndDestroy(), 20)
      },
    },
  ])(
    'hands on all that came before the trailers, though $why ends meanwhile',
    async ({ finish }) => {
      for (const messages of [texts('a', 'b', 'c'), SMALL]) {
        const server = await startRawServer(says(wire(messages), finish))
        const got = await read(open(transport, server.address), undefined, (count) =>
          count < 20 ? sleep(5) : undefined,
        )
        // grpc-js waits too, and Node throws away what it did not take: it must not say OK then.
        const isCut = transport.name === 'grpc-js' && got.end.code === 14
        expect(got.messages).toEqual(isCut ? messages.slice(0, got.messages.length) : messages)
        if (!isCut) expect(got.end).toEqual({ code: 0, details: '' })
      }
    },
  )

  it.each([
    {
      why: 'throws',
      fail: () => {
        throw new Error('too hot')
      },
    },
    { why: 'rejects', fail: () => Promise.reject(new Error('too hot')) },
  ])('ends the stream when what takes the messages $why', async ({ fail }) => {
    const resets: Promise<number>[] = []
    const server = await startRawServer(async (stream) => {
      resets.push(stream.wasReset)
      stream.headers(GRPC_HEADERS)
      await stream.data(wire(texts('a', 'b', 'c')))
    })
    const client = open(transport, server.address)
    const got = await read(client, undefined, (count) => (count === 2 ? fail() : undefined))
    expect(got.messages).toEqual(texts('a', 'b'))
    expect(got.end).toEqual({ code: 13, details: 'Cannot take a message: too hot' })
    expect(await resets[0]).toBe(8)
  })

  it('resets a stream that we abort, and hands on nothing after it', async () => {
    const resets: Promise<number>[] = []
    const server = await startRawServer(async (stream) => {
      resets.push(stream.wasReset)
      await says(wire(MANY), () => {})(stream)
    })
    const stop = new AbortController()
    const got = await read(open(transport, server.address), stop.signal, (count) => {
      if (count === 3) stop.abort()
      return undefined
    })
    expect(got.end.code).toBe(1)
    expect(await resets[0]).toBe(8)
    await sleep(30)
    expect(got.messages).toEqual(MANY.slice(0, 3))
  })

  it('settles at once when it is aborted while it waits, or before anything came', async () => {
    const server = await startRawServer(says(wire(texts('a', 'b')), () => {}))
    const client = open(transport, server.address)
    const waiting = new AbortController()
    const got = await read(client, waiting.signal, () => {
      setTimeout(() => waiting.abort(), 10)
      return new Promise(() => {})
    })
    expect(got).toMatchObject({ messages: texts('a'), end: { code: 1 } })
    const silent = await startRawServer(() => {}, { silent: true })
    expect(await read(open(transport, silent.address), AbortSignal.timeout(20))).toMatchObject({
      messages: [],
      end: { code: 1 },
    })
    expect(await read(client, AbortSignal.abort())).toMatchObject({
      messages: [],
      end: { code: 1 },
    })
  })

  it('carries several streams on one connection, one that waits among them', async () => {
    const server = await startRawServer(says(wire(MANY), finishOk))
    const client = open(transport, server.address)
    const gate = Promise.withResolvers<void>()
    const held = read(client, undefined, (count) => (count === 1 ? gate.promise : undefined))
    const others = await Promise.all([read(client), read(client), read(client)])
    gate.resolve()
    for (const got of [...others, await held]) {
      expect(got.end.code).toBe(0)
      expect(got.messages.findIndex((each, i) => !MANY[i]?.equals(each))).toBe(-1)
      expect(got.messages.length).toBe(MANY.length)
    }
    expect(server.connections).toBe(1)
  })

  it('goes on with one connection after hundreds of streams were aborted on it', async () => {
    const server = await startRawServer(says(wire(SMALL), finishOk))
    const client = open(transport, server.address)
    for (let i = 0; i < 300; i++) {
      const stop = new AbortController()
      const got = await read(client, stop.signal, () => {
        stop.abort()
        return undefined
      })
      expect(got.end.code).toBe(1)
    }
    const got = await read(client)
    expect(got.end.code).toBe(0)
    expect(got.messages.length).toBe(SMALL.length)
    expect(server.connections).toBe(1)
  })

  it('dials anew after a GOAWAY, while the former stream still runs', async () => {
    const finish: (() => void)[] = []
    const server = await startRawServer((stream, attempt) => {
      stream.headers(GRPC_HEADERS)
      void stream.data(framed(Buffer.from(`${attempt}`)))
      finish.push(() => finishOk(stream))
      if (attempt === 1) stream.goaway(0)
      else finishOk(stream)
    })
    const client = open(transport, server.address)
    const first = Promise.withResolvers<void>()
    const reading = read(client, undefined, () => {
      first.resolve()
      return undefined
    })
    await first.promise
    await sleep(20)
    expect(await read(client)).toEqual({ messages: texts('2'), end: { code: 0, details: '' } })
    expect(server.connections).toBe(2)
    finish[0]?.()
    expect(await reading).toEqual({ messages: texts('1'), end: { code: 0, details: '' } })
  })

  it('dials anew after the connection was lost', async () => {
    const server = await startRawServer((stream, attempt) => {
      if (attempt === 1) stream.socket.resetAndDestroy()
      else void says(framed(Buffer.from('a')), finishOk)(stream)
    })
    const client = open(transport, server.address)
    expect((await read(client)).end.code).toBe(14)
    expect(await read(client)).toEqual({ messages: texts('a'), end: { code: 0, details: '' } })
    expect(server.connections).toBe(2)
  })

  it('tells that nobody listens, and finds whoever listens later', async () => {
    const port = await freePort()
    const got = await read(open(transport, `127.0.0.1:${port}`))
    expect(got.end).toEqual({ code: 14, details: expect.stringMatching(/ECONNREFUSED/) })
    const unknown = await read(open(transport, 'nowhere.invalid:4245'))
    expect(unknown.end).toEqual({
      code: 14,
      details: expect.stringMatching(/ENOTFOUND|EAI_AGAIN|resolution failed/),
    })
  })

  it.each(['nowhere', '', ':', 'a b:1', '127.0.0.1:99999', 'unix:///var/run/hubble.sock'])(
    'takes the address "%s", which is none, for a peer that is away',
    async (address) => {
      const got = await read(open(transport, address, undefined, { connectTimeoutMs: 1_000 }))
      expect(got).toMatchObject({ messages: [], end: { code: 14 } })
    },
  )

  it('gives up a peer that accepts the connection and says nothing', async () => {
    const server = await startRawServer(() => {}, { silent: true })
    const client = open(transport, server.address, undefined, { connectTimeoutMs: 50 })
    const started = performance.now()
    const got = await read(client)
    expect(got.end).toEqual({
      code: 14,
      details: `Cannot connect to ${server.address}: no answer within 50 ms`,
    })
    expect(performance.now() - started).toBeLessThan(2_000)
  })

  it('does not take a stream that is silent for a peer that is', async () => {
    const server = await startRawServer(async (stream) => {
      await sleep(150)
      await says(framed(Buffer.from('a')), finishOk)(stream)
    })
    const client = open(transport, server.address, undefined, { connectTimeoutMs: 50 })
    expect(await read(client)).toEqual({ messages: texts('a'), end: { code: 0, details: '' } })
  })

  it('ends every stream with code 1 when it is closed, and opens none afterwards', async () => {
    const server = await startRawServer(says(framed(Buffer.from('a')), () => {}))
    const client = open(transport, server.address)
    const readings = [read(client), read(client)]
    await sleep(50)
    client.close()
    for (const got of await Promise.all([...readings, read(client)])) expect(got.end.code).toBe(1)
    client.close()
    const silent = await startRawServer(() => {}, { silent: true })
    const dialling = open(transport, silent.address)
    const reading = read(dialling)
    dialling.close()
    expect((await reading).end.code).toBe(1)
  })

  it.each([{ windowBytes: 1_048_576 }, { windowBytes: undefined }])(
    'announces a window of $windowBytes bytes for the stream and for the connection',
    async ({ windowBytes }) => {
      const windows: ReturnType<RawStream['windows']>[] = []
      const server = await startRawServer((stream) => {
        windows.push(stream.windows())
        finishOk(stream)
      })
      const client = open(transport, server.address, undefined, { windowBytes })
      await read(client)
      const bytes = windowBytes ?? 4 * 1_048_576
      expect(windows).toEqual([{ connection: bytes, stream: bytes }])
    },
  )

  it.each([
    { why: 'the stream ended', stop: 'await reading; client.close()' },
    { why: 'a close in the middle of a stream', stop: 'await first; client.close()' },
    { why: 'a close in the middle of dialling', stop: 'client.close()', silent: true },
    { why: 'a connect timeout', stop: 'await reading; client.close()', silent: true },
  ])('keeps the process alive no longer than $why', async ({ why, stop, silent = false }) => {
    const finish = why === 'the stream ended' ? finishOk : () => {}
    const server = await startRawServer(says(framed(Buffer.from('a')), finish), { silent })
    const file = `../../../src/hubble/transport/${transport.file}`
    const script = `
      const [create] = Object.values(await import(${JSON.stringify(new URL(file, import.meta.url))}))
      const client = create('${server.address}', undefined, { connectTimeoutMs: 300 })
      let reading
      const first = new Promise((resolve) => {
        const onMessage = () => void resolve()
        reading = client.open('/a.B/C', Buffer.alloc(0), onMessage, new AbortController().signal)
      })
      ${stop}
      console.log('stopped', (await reading).code)`
    const options = { timeout: 10_000, encoding: 'utf8' } as const
    const started = performance.now()
    const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], options)
    expect(stdout).toMatch(/^stopped (0|1|14)\n$/)
    expect(performance.now() - started).toBeLessThan(4_000)
  })
})
