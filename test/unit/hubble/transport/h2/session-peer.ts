import {
  FRAME_HEADER_BYTES,
  frame,
  PREFACE,
} from '../../../../../src/hubble/transport/h2/frames.ts'
import { GrpcCall } from '../../../../../src/hubble/transport/h2/grpc-call.ts'
import { encodedHeaders, type HeaderField } from '../../../../../src/hubble/transport/h2/hpack.ts'
import { Session } from '../../../../../src/hubble/transport/h2/session.ts'
import type { CallEnd } from '../../../../../src/hubble/transport/transport.ts'

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly id: number
  readonly payload: Buffer
}

export const HEADERS: readonly HeaderField[] = [
  [':status', '200'],
  ['content-type', 'application/grpc'],
]
export const TRAILERS: readonly HeaderField[] = [['grpc-status', '0']]
export const SETTINGS = frame(4, 0, 0, Buffer.alloc(0))
export const uint32 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 4)
  for (const [i, value] of values.entries()) bytes.writeUInt32BE(value, i * 4)
  return bytes
}
export const settings = (...pairs: (readonly [number, number])[]): Buffer =>
  frame(
    4,
    0,
    0,
    Buffer.concat(pairs.map(([id, value]) => Buffer.concat([Buffer.from([0, id]), uint32(value)]))),
  )
export const headers = (id: number, fields = HEADERS, flags = 0x4): Buffer =>
  frame(1, flags, id, encodedHeaders(fields))
export const trailers = (id: number, fields = TRAILERS): Buffer => headers(id, fields, 0x5)
export const data = (id: number, bytes: Uint8Array, flags = 0): Buffer => frame(0, flags, id, bytes)
export const framed = (message: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([0]), uint32(message.length), message])

export const NOTHING: Buffer = Buffer.alloc(0)
export const OK: CallEnd = { code: 0, details: '' }
export const texts = (...each: string[]) => each.map((text) => Buffer.from(text))
export const wire = (...each: string[]) => Buffer.concat(texts(...each).map((text) => framed(text)))

/** The codes that the peer was told by GOAWAY since it was asked last. */
export function goaways(peer: SessionPeer): number[] {
  return peer.said().flatMap(({ type, payload }) => (type === 7 ? [payload.readUInt32BE(4)] : []))
}

/** By RST_STREAM: the stream, and its code. */
export function resets(peer: SessionPeer): number[][] {
  const told = peer.said().filter(({ type }) => type === 3)
  return told.map(({ id, payload }) => [id, payload.readUInt32BE(0)])
}

/** A call on a session, and what became of it. */
export interface Reading {
  readonly messages: Buffer[]
  readonly metadata: ReadonlyMap<string, string>[]
  readonly call: GrpcCall
  end: CallEnd | undefined
}

/** A session without a socket: what it is told by `say`, and what it `said`. */
export class SessionPeer {
  readonly session: Session
  readonly violations: string[] = []
  readonly givenUp: string[] = []
  drained = 0
  writes = 0
  backlogBytes = 0
  /** The largest that was left of what was said so far. */
  restBytesMost = 0
  #rest: Buffer = Buffer.alloc(0)
  #sent: Buffer[] = []
  #hasPreface = false

  constructor(windowBytes = 65_535) {
    this.session = new Session({
      windowBytes,
      write: (bytes) => {
        this.writes++
        this.#sent.push(bytes)
        return this.backlogBytes
      },
      onReady: () => {},
      onViolation: (text) => {
        this.violations.push(text)
        this.session.lose({ code: 14, details: text })
      },
      onGivenUp: (code, debugData) => {
        this.givenUp.push(`${code} ${debugData}`)
        this.session.lose({ code: 14, details: debugData })
      },
      onDrained: () => void this.drained++,
    })
    this.session.start()
  }

  open(
    onMessage: (count: number) => Promise<void> | undefined = () => undefined,
    body = Buffer.from('body'),
  ): Reading {
    const messages: Buffer[] = []
    const metadata: ReadonlyMap<string, string>[] = []
    const call = new GrpcCall({
      onMessage: (bytes, start, end) => {
        messages.push(Buffer.from(bytes.subarray(start, end)))
        return onMessage(messages.length)
      },
      onMetadata: (each) => metadata.push(each),
      onEnd: (end) => {
        reading.end = end
      },
    })
    const reading: Reading = { messages, metadata, call, end: undefined }
    call.start(this.session, encodedHeaders([[':method', 'POST']]), body)
    return reading
  }

  /** As a socket would: what is left stands before what comes next, in a buffer that is used again. */
  say(...parts: Buffer[]): void {
    const bytes = Buffer.concat([this.#rest, ...parts])
    const at = this.session.receive(bytes, 0, bytes.length)
    this.#rest = Buffer.from(bytes.subarray(at))
    this.restBytesMost = Math.max(this.restBytesMost, this.#rest.length)
    bytes.fill(0xee)
  }

  /** The frames since this was asked last, and without the preface. */
  said(): Frame[] {
    let bytes: Buffer = Buffer.concat(this.#sent)
    this.#sent = []
    if (!this.#hasPreface) bytes = bytes.subarray(PREFACE.length)
    this.#hasPreface = true
    const frames: Frame[] = []
    while (bytes.length > 0) {
      const end = FRAME_HEADER_BYTES + bytes.readUIntBE(0, 3)
      const [type = 0, flags = 0] = bytes.subarray(3, 5)
      const payload = Buffer.from(bytes.subarray(FRAME_HEADER_BYTES, end))
      frames.push({ type, flags, id: bytes.readUInt32BE(5), payload })
      bytes = bytes.subarray(end)
    }
    return frames
  }
}

/** A session that the peer has greeted, with what was said before taken away. */
export function readyPeer(
  windowBytes?: number,
  ...pairs: (readonly [number, number])[]
): SessionPeer {
  const peer = new SessionPeer(windowBytes)
  peer.say(settings(...pairs))
  peer.said()
  return peer
}
