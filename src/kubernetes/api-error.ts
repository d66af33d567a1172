import { SourceError } from '../errors.ts'

/**
 * Why the API server did not do it. `away`: not reached, or it asks for patience; `unauthorized`: it
 * does not know us; `forbidden`: RBAC, or an admission rule; `missing`: no such object or kind;
 * `expired`: the resourceVersion is too old, or from a history that is gone; `conflict`: the object
 * is another by now, or is there already; `refused`: what we sent is wrong.
 */
export type ApiErrorKind =
  | 'away'
  | 'unauthorized'
  | 'forbidden'
  | 'missing'
  | 'expired'
  | 'conflict'
  | 'refused'

/** A request to the API server that failed. No message holds a token: headers are never part of one. */
export class ApiError extends SourceError {
  readonly kind: ApiErrorKind
  /** HTTP status; 0 where no answer came. */
  readonly status: number
  /** How long the server asks us to wait, in ms; 0 where it does not. */
  readonly retryAfterMs: number

  constructor(
    message: string,
    details: { kind: ApiErrorKind; status?: number; retryAfterMs?: number; cause?: unknown },
  ) {
    super(message, { cause: details.cause })
    this.kind = details.kind
    this.status = details.status ?? 0
    this.retryAfterMs = details.retryAfterMs ?? 0
  }
}

const KIND_BY_STATUS: Readonly<Record<number, ApiErrorKind>> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'missing',
  409: 'conflict',
  410: 'expired',
  429: 'away',
}
const MESSAGE_CHARACTERS_MAX = 500

/**
 * What a failed answer means; `body` is a `Status` of meta/v1, or whatever stood there instead.
 * Source: kubernetes v1.36 apimachinery/pkg/api/errors and storage/errors: a resourceVersion beyond
 * the server's own (its data was restored) is a Timeout with the cause ResourceVersionTooLarge.
 */
export function errorOfAnswer(
  action: string,
  status: number,
  body: unknown,
  retryAfterMs = 0,
): ApiError {
  const { message, reason, isAhead } = readStatus(body)
  const kind =
    isAhead || reason === 'Expired' || reason === 'Gone'
      ? 'expired'
      : (KIND_BY_STATUS[status] ?? (status >= 500 ? 'away' : 'refused'))
  const word = message === '' ? '' : `: ${message.slice(0, MESSAGE_CHARACTERS_MAX)}`
  return new ApiError(`Cannot ${action}: HTTP ${status}${word}`, { kind, status, retryAfterMs })
}

function readStatus(body: unknown): { message: string; reason: string; isAhead: boolean } {
  const silent = { message: '', reason: '', isAhead: false }
  if (typeof body !== 'object' || body === null) return silent
  const { message, reason, details } = body as Readonly<Record<string, unknown>>
  return {
    message: typeof message === 'string' ? message : '',
    reason: typeof reason === 'string' ? reason : '',
    isAhead: JSON.stringify(details ?? null).includes('ResourceVersionTooLarge'),
  }
}
