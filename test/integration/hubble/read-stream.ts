import { onTestFinished } from 'vitest'
import { createGrpcJsTransport } from '../../../src/hubble/transport/grpc-js-transport.ts'
import { createHttp2Transport } from '../../../src/hubble/transport/h2/http2-transport.ts'
import type {
  CallEnd,
  OnMessage,
  StreamTransport,
  TlsMaterial,
  TransportOptions,
} from '../../../src/hubble/transport/transport.ts'
import { GRPC_HEADERS, type RawStream } from './raw-http2-server.ts'

export const PATH = '/observer.Observer/GetFlows'
export const REQUEST = Buffer.from('the request')
export const OK = { 'grpc-status': '0' }

export const TRANSPORTS = [
  { name: 'http2', file: 'h2/http2-transport.ts', create: createHttp2Transport },
  { name: 'grpc-js', file: 'grpc-js-transport.ts', create: createGrpcJsTransport },
] as const
export type Transport = (typeof TRANSPORTS)[number]

export function open(
  { create }: Transport,
  address: string,
  tls?: TlsMaterial,
  options?: TransportOptions,
): StreamTransport {
  const transport = create(address, tls, options)
  onTestFinished(() => transport.close())
  return transport
}

interface Read {
  readonly messages: Buffer[]
  readonly end: CallEnd
}

/** Reads one stream to its end; `onMessage` as well, after the message was kept. */
export async function read(
  transport: StreamTransport,
  signal = new AbortController().signal,
  onMessage?: (count: number) => Promise<void> | undefined,
): Promise<Read> {
  const messages: Buffer[] = []
  const keep: OnMessage = (bytes, start, end) => {
    messages.push(Buffer.from(bytes.subarray(start, end)))
    return onMessage?.(messages.length)
  }
  const end = await transport.open(PATH, REQUEST, keep, signal)
  return { messages, end }
}

export function framed(message: Uint8Array, flag = 0): Buffer {
  const prefix = Buffer.alloc(5)
  prefix[0] = flag
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

/** `count` messages of 0 … `bytesMax` bytes, the same each time. */
function messagesOf(count: number, bytesMax: number): Buffer[] {
  let seed = 42
  return Array.from({ length: count }, () => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31
    return Buffer.alloc(seed % (bytesMax + 1), seed % 251)
  })
}
export const texts = (...each: string[]) => each.map((text) => Buffer.from(text))
export const wire = (messages: readonly Buffer[]) =>
  Buffer.concat(messages.map((each) => framed(each)))

export interface Expected {
  readonly code: number
  readonly details: RegExp
}

/** 1,000 messages, 35 MB. */
export const MANY = messagesOf(1_000, 70_000)
/** 300 messages, 30 KB. */
export const SMALL = messagesOf(300, 200)
export const ENDED_OK: Expected = { code: 0, details: /^$/ }

/** A stream that opens as gRPC does, says `bytes`, and ends as `finish` has it. */
export function says(
  bytes: Uint8Array,
  finish: ((stream: RawStream) => void) | ((stream: RawStream) => Promise<void>),
) {
  return async (stream: RawStream) => {
    stream.headers(GRPC_HEADERS)
    await stream.data(bytes)
    await finish(stream)
  }
}
export const finishOk = (stream: RawStream) => stream.headers(OK, true)
