import { ErrorCode, FRAME_BYTES_MAX, INT31_MAX, Setting, WINDOW_BYTES_DEFAULT } from './frames.ts'

/** What is wrong with a frame, and the code to tell the peer; the connection ends by it. */
export interface Violation {
  readonly code: ErrorCode
  readonly text: string
}

const SETTING_BYTES = 6
const FRAME_BYTES_LIMIT = 2 ** 24 - 1

/** What the peer takes from us. Source: RFC 9113 6.5. */
export class PeerSettings {
  initialWindowBytes = WINDOW_BYTES_DEFAULT
  frameBytesMax = FRAME_BYTES_MAX
  streamsMax = Number.POSITIVE_INFINITY

  /** Takes over the payload of one SETTINGS frame, `bytes[start, end)`, up to the first violation. */
  apply(bytes: Buffer, start: number, end: number): Violation | undefined {
    const { frameSizeError, protocolError, flowControlError } = ErrorCode
    if ((end - start) % SETTING_BYTES !== 0) {
      return { code: frameSizeError, text: `SETTINGS of ${end - start} bytes` }
    }
    for (let at = start; at < end; at += SETTING_BYTES) {
      const id = bytes.readUInt16BE(at)
      const value = bytes.readUInt32BE(at + 2)
      if (id === Setting.enablePush && value !== 0) {
        return { code: protocolError, text: `the setting ENABLE_PUSH of ${value}` }
      } else if (id === Setting.maxConcurrentStreams) {
        this.streamsMax = value
      } else if (id === Setting.initialWindowSize) {
        if (value > INT31_MAX) {
          return { code: flowControlError, text: `the setting INITIAL_WINDOW_SIZE of ${value}` }
        }
        this.initialWindowBytes = value
      } else if (id === Setting.maxFrameSize) {
        if (value < FRAME_BYTES_MAX || value > FRAME_BYTES_LIMIT) {
          return { code: protocolError, text: `the setting MAX_FRAME_SIZE of ${value}` }
        }
        this.frameBytesMax = value
      }
    }
    return undefined
  }
}
