import { constants } from 'node:http2'
import type { CallEnd } from './transport.ts'

/** The codes of gRPC that a transport gives itself; a peer may send others. */
export const StatusCode = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const

const CODE_OF_HTTP_STATUS = new Map<number, number>([
  [400, StatusCode.internal],
  [401, StatusCode.unauthenticated],
  [403, StatusCode.permissionDenied],
  [404, StatusCode.unimplemented],
  [429, StatusCode.unavailable],
  [502, StatusCode.unavailable],
  [503, StatusCode.unavailable],
  [504, StatusCode.unavailable],
])

const CODE_OF_RESET = new Map<number, number>([
  [constants.NGHTTP2_REFUSED_STREAM, StatusCode.unavailable],
  [constants.NGHTTP2_CANCEL, StatusCode.cancelled],
  [constants.NGHTTP2_ENHANCE_YOUR_CALM, StatusCode.resourceExhausted],
  [constants.NGHTTP2_INADEQUATE_SECURITY, StatusCode.permissionDenied],
])

const NAME_OF_ERROR = [
  'NO_ERROR',
  'PROTOCOL_ERROR',
  'INTERNAL_ERROR',
  'FLOW_CONTROL_ERROR',
  'SETTINGS_TIMEOUT',
  'STREAM_CLOSED',
  'FRAME_SIZE_ERROR',
  'REFUSED_STREAM',
  'CANCEL',
  'COMPRESSION_ERROR',
  'CONNECT_ERROR',
  'ENHANCE_YOUR_CALM',
  'INADEQUATE_SECURITY',
  'HTTP_1_1_REQUIRED',
]

/** An error code of HTTP/2 by its name in RFC 9113 7. */
function nameOfHttp2Error(code: number): string {
  return NAME_OF_ERROR[code] ?? `error ${code}`
}

/**
 * `grpc-status` and `grpc-message`, of trailers or of a response that is only trailers; undefined
 * where there is no status.
 */
export function endOfTrailers(status: unknown, message: unknown): CallEnd | undefined {
  if (typeof status !== 'string') return undefined
  const details = typeof message === 'string' ? percentDecoded(message) : ''
  if (/^\d{1,4}$/.test(status)) return { code: Number(status), details }
  return { code: StatusCode.unknown, details: `Received the status "${status}": ${details}` }
}

/** A response without `grpc-status`. Source: grpc/doc/http-grpc-status-mapping.md. */
export function endOfHttpStatus(httpStatus: number): CallEnd {
  const code = CODE_OF_HTTP_STATUS.get(httpStatus) ?? StatusCode.unknown
  return { code, details: `Received HTTP status code ${httpStatus} without a gRPC status` }
}

/** A stream that was reset; `reason` where more is known. Source: grpc/doc/PROTOCOL-HTTP2.md, Errors. */
export function endOfReset(code: number, reason: string): CallEnd {
  return {
    code: CODE_OF_RESET.get(code) ?? StatusCode.internal,
    details: `Received RST_STREAM with code ${code} (${nameOfHttp2Error(code)})${after(reason)}`,
  }
}

/** A connection that the peer gave up with GOAWAY; ENHANCE_YOUR_CALM alone says that it was our doing. */
export function endOfGoaway(code: number, debugData: string): CallEnd {
  const { resourceExhausted, unavailable } = StatusCode
  return {
    code: code === constants.NGHTTP2_ENHANCE_YOUR_CALM ? resourceExhausted : unavailable,
    details: `Received GOAWAY with code ${code} (${nameOfHttp2Error(code)})${after(debugData)}`,
  }
}

function after(text: string): string {
  return text === '' ? '' : `: ${text}`
}

/** `%XX` is a byte of UTF-8; what is no such escape stays as it is. Never throws. */
function percentDecoded(text: string): string {
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (escapes) =>
    Buffer.from(escapes.replaceAll('%', ''), 'hex').toString('utf8'),
  )
}
