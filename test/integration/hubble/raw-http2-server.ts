import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer, type TlsOptions } from 'node:tls'
import { onTestFinished } from 'vitest'

const PREFACE_BYTES = 24
const FRAME_HEADER_BYTES = 9
const FRAME_BYTES_MAX = 16_384
const [DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE] = [0, 1, 3, 4, 6, 7, 8]
const END_STREAM = 1
const ACK = 1
const END_HEADERS = 4
const PADDED = 8
const INITIAL_WINDOW_SIZE = 4
const WINDOW_BYTES = 65_535

type Fields = Readonly<Record<string, string>>

/** One stream, as the server sees it: it says exactly what the script tells it to. */
export interface RawStream {
  readonly id: number
  readonly socket: Socket
  /** The request's bytes, prefix included. */
  readonly request: Buffer
  /** The code with which the client reset the stream. */
  readonly wasReset: Promise<number>
  /** How much the client takes now, in bytes. */
  windows(): { readonly connection: number; readonly stream: number }
  headers(fields: Fields, endStream?: boolean): void
  /** As many DATA frames as it takes; waits for the client's windows. */
  data(bytes: Uint8Array, options?: { padding?: number; frameBytes?: number }): Promise<void>
  endWithoutTrailers(): void
  reset(code: number): void
  goaway(code: number, debugData?: string, lastStreamId?: number): void
}

export interface RawServer {
  readonly address: string
  /** Connections that were accepted so far. */
  readonly connections: number
  /** Those of them that are not closed. */
  readonly live: number
}

interface RawServerOptions {
  readonly tls?: TlsOptions
  /** Accepts connections, and says nothing on them. */
  readonly silent?: boolean
}

export const GRPC_HEADERS: Fields = { ':status': '200', 'content-type': 'application/grpc' }

function frame(type: number, flags: number, id: number, payload: Uint8Array): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES)
  header.writeUIntBE(payload.length, 0, 3)
  header[3] = type
  header[4] = flags
  header.writeUInt32BE(id, 5)
  return Buffer.concat([header, payload])
}

export function dataFrame(id: number, bytes: Uint8Array, padding?: number): Buffer {
  if (padding === undefined) return frame(DATA, 0, id, bytes)
  const padded = Buffer.concat([Buffer.from([padding]), bytes, Buffer.alloc(padding)])
  return frame(DATA, PADDED, id, padded)
}

/** HPACK in its plainest form: literals without index and without Huffman. */
export function headersFrame(id: number, fields: Fields, endStream: boolean): Buffer {
  const block: Buffer[] = []
  for (const field of Object.entries(fields)) {
    block.push(Buffer.from([0]))
    for (const text of field) {
      const bytes = Buffer.from(text, 'utf8')
      if (bytes.length > 126) throw new Error('Cannot encode a field: longer than 126 bytes')
      block.push(Buffer.from([bytes.length]), bytes)
    }
  }
  const flags = END_HEADERS | (endStream ? END_STREAM : 0)
  return frame(HEADERS, flags, id, Buffer.concat(block))
}

/**
 * An HTTP/2 server of hand-written frames on a free port of loopback. `script` gets each stream when
 * its request has come, with its number, from 1. Ends with the test.
 */
export async function startRawServer(
  script: (stream: RawStream, attempt: number) => void | Promise<void>,
  options: RawServerOptions = {},
): Promise<RawServer> {
  let connections = 0
  let attempts = 0
  const sockets = new Set<Socket>()
  const onSocket = (socket: Socket): void => {
    connections++
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    if (options.silent === true) return void socket.resume()
    speak(socket, (stream) => void script(stream, ++attempts))
  }
  const server: Server =
    options.tls === undefined ? createServer(onSocket) : createTlsServer(options.tls, onSocket)
  server.on('tlsClientError', () => {})
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return connections
    },
    get live() {
      return sockets.size
    },
  }
}

interface Live {
  readonly request: Buffer[]
  readonly onReset: (code: number) => void
  readonly stream: RawStream
}

function speak(socket: Socket, onStream: (stream: RawStream) => void): void {
  socket.setNoDelay(true)
  const streams = new Map<number, Live>()
  /** By stream; 0 is the connection's. */
  const windows = new Map([[0, WINDOW_BYTES]])
  let streamWindow = WINDOW_BYTES
  let wake = Promise.withResolvers<void>()

  const write = (bytes: Buffer): void => {
    if (socket.writable) socket.write(bytes)
  }
  const windowOf = (id: number): number => windows.get(id) ?? streamWindow

  function opened(id: number): Live {
    const { promise: wasReset, resolve: onReset } = Promise.withResolvers<number>()
    const request: Buffer[] = []
    const stream: RawStream = {
      id,
      socket,
      wasReset,
      get request() {
        return Buffer.concat(request)
      },
      windows: () => ({ connection: windowOf(0), stream: windowOf(id) }),
      headers: (fields, endStream = false) => write(headersFrame(id, fields, endStream)),
      async data(bytes, { padding, frameBytes = FRAME_BYTES_MAX - 256 } = {}) {
        const extra = padding === undefined ? 0 : padding + 1
        let at = 0
        while (at < bytes.length && !socket.destroyed && streams.has(id)) {
          const window = Math.min(windowOf(0), windowOf(id)) - extra
          const end = Math.min(bytes.length, at + frameBytes, at + window)
          if (window <= 0) {
            await wake.promise
            continue
          }
          for (const each of [0, id]) windows.set(each, windowOf(each) - (end - at) - extra)
          write(dataFrame(id, bytes.subarray(at, end), padding))
          at = end
        }
      },
      endWithoutTrailers: () => write(frame(DATA, END_STREAM, id, Buffer.alloc(0))),
      reset: (code) => write(frame(RST_STREAM, 0, id, uint32(code))),
      goaway: (code, debugData = '', lastStreamId = id) =>
        write(
          frame(
            GOAWAY,
            0,
            0,
            Buffer.concat([uint32(lastStreamId), uint32(code), Buffer.from(debugData)]),
          ),
        ),
    }
    const live = { request, onReset, stream }
    streams.set(id, live)
    return live
  }

  function onFrame(type: number, flags: number, id: number, payload: Buffer): void {
    if (type === SETTINGS && (flags & ACK) === 0) {
      for (let at = 0; at < payload.length; at += 6) {
        if (payload.readUInt16BE(at) === INITIAL_WINDOW_SIZE) {
          streamWindow = payload.readUInt32BE(at + 2)
        }
      }
      write(frame(SETTINGS, ACK, 0, Buffer.alloc(0)))
    } else if (type === PING && (flags & ACK) === 0) {
      write(frame(PING, ACK, 0, payload))
    } else if (type === WINDOW_UPDATE) {
      windows.set(id, windowOf(id) + payload.readUInt32BE(0))
      wake.resolve()
      wake = Promise.withResolvers()
    } else if (type === RST_STREAM) {
      streams.get(id)?.onReset(payload.readUInt32BE(0))
      streams.delete(id)
      wake.resolve()
      wake = Promise.withResolvers()
    } else if (type === HEADERS || type === DATA) {
      const live = streams.get(id) ?? opened(id)
      if (type === DATA) live.request.push(payload)
      if ((flags & END_STREAM) !== 0) onStream(live.stream)
    }
  }

  write(frame(SETTINGS, 0, 0, Buffer.alloc(0)))
  let rest = Buffer.alloc(0)
  let hasPreface = false
  socket.on('close', () => wake.resolve())
  socket.on('data', (chunk: Buffer) => {
    rest = Buffer.concat([rest, chunk])
    if (!hasPreface) {
      if (rest.length < PREFACE_BYTES) return
      hasPreface = true
      rest = rest.subarray(PREFACE_BYTES)
    }
    while (rest.length >= FRAME_HEADER_BYTES) {
      const end = FRAME_HEADER_BYTES + rest.readUIntBE(0, 3)
      if (rest.length < end) return
      const [type = 0, flags = 0] = rest.subarray(3, 5)
      onFrame(
        type,
        flags,
        rest.readUInt32BE(5),
        Buffer.from(rest.subarray(FRAME_HEADER_BYTES, end)),
      )
      rest = rest.subarray(end)
    }
  })
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
