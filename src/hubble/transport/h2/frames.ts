/** RFC 9113 6. */
export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const Flag = {
  none: 0,
  ack: 0x1,
  endStream: 0x1,
  endHeaders: 0x4,
  padded: 0x8,
  priority: 0x20,
} as const

/** RFC 9113 7; those that a client has use for. */
export const ErrorCode = {
  none: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  frameSizeError: 6,
  cancel: 8,
  compressionError: 9,
  enhanceYourCalm: 11,
} as const
export type ErrorCode = (typeof ErrorCode)[keyof typeof ErrorCode]

/** RFC 9113 6.5.2. */
export const Setting = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const

export const FRAME_HEADER_BYTES = 9
/** The largest payload that we take: what holds where MAX_FRAME_SIZE is not announced. */
export const FRAME_BYTES_MAX = 16_384
/** The window of a stream or connection that nothing was said about: RFC 9113 6.9.2. */
export const WINDOW_BYTES_DEFAULT = 65_535
/** Of windows and stream ids. */
export const INT31_MAX = 2 ** 31 - 1
/** RFC 9113 3.4. */
export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')
export const SETTINGS_ACK = frame(FrameType.settings, Flag.ack, 0, Buffer.alloc(0))

export function frame(type: number, flags: number, id: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(FRAME_HEADER_BYTES + payload.length)
  bytes.writeUIntBE(payload.length, 0, 3)
  bytes[3] = type
  bytes[4] = flags
  bytes.writeUInt32BE(id, 5)
  bytes.set(payload, FRAME_HEADER_BYTES)
  return bytes
}

export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(settings.length * 6)
  for (const [i, [id, value]] of settings.entries()) {
    payload.writeUInt16BE(id, i * 6)
    payload.writeUInt32BE(value, i * 6 + 2)
  }
  return frame(FrameType.settings, Flag.none, 0, payload)
}

export function windowUpdateFrame(id: number, bytes: number): Buffer {
  return frame(FrameType.windowUpdate, Flag.none, id, uint32(bytes))
}

export function resetFrame(id: number, code: ErrorCode): Buffer {
  return frame(FrameType.rstStream, Flag.none, id, uint32(code))
}

/** As a server opens no streams, the last one that was taken is 0. */
export function goawayFrame(code: ErrorCode): Buffer {
  return frame(FrameType.goaway, Flag.none, 0, Buffer.concat([uint32(0), uint32(code)]))
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
