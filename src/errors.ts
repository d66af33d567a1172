import { inspect } from 'node:util'

/** Base of every error that Weir throws on purpose. Bad input is never one of them: it is a counted value. */
export abstract class AppError extends Error {
  abstract readonly code: 'CONFIG' | 'USAGE' | 'SOURCE' | 'SINK' | 'ENFORCE'
  /** Whether the same call may succeed later. Each class decides; callers never guess from text. */
  abstract readonly retryable: boolean
}

/** A wrong option stays wrong: the process exits 78 instead of retrying. */
export class ConfigError extends AppError {
  override readonly name = 'ConfigError'
  readonly code = 'CONFIG'
  readonly retryable = false
}

/** The command line itself is wrong: the process exits 2. */
export class UsageError extends AppError {
  override readonly name = 'UsageError'
  readonly code = 'USAGE'
  readonly retryable = false
}

/** Losing the relay is weather, not a fault: always worth another try. */
export class SourceError extends AppError {
  override readonly name = 'SourceError'
  readonly code = 'SOURCE'
  readonly retryable = true
}

/** A publisher or exporter could not deliver. `sink` names it as it stands in the metrics. */
export class SinkError extends AppError {
  override readonly name = 'SinkError'
  readonly code = 'SINK'
  readonly sink: string
  readonly retryable: boolean

  constructor(message: string, details: { sink: string; retryable: boolean; cause?: unknown }) {
    super(message, { cause: details.cause })
    this.sink = details.sink
    this.retryable = details.retryable
  }
}

/** A limit was refused, or could not be written or taken back. The message is the reason that users read. */
export class EnforceError extends AppError {
  override readonly name = 'EnforceError'
  readonly code = 'ENFORCE'
  readonly retryable: boolean

  constructor(message: string, details: { retryable: boolean; cause?: unknown }) {
    super(message, { cause: details.cause })
    this.retryable = details.retryable
  }
}

const CAUSES_MAX = 8

/** One line for a log or a status page: the message, then every cause behind it. */
export function describeError(error: unknown): string {
  const messages: string[] = []
  for (let e = error, depth = 0; e !== undefined && depth < CAUSES_MAX; depth++) {
    messages.push(e instanceof Error ? e.message || e.name : inspect(e, { depth: 1 }))
    // Of several (the addresses of one name, say) the first speaks for the others.
    e =
      e instanceof AggregateError
        ? (e.cause ?? e.errors[0])
        : e instanceof Error
          ? e.cause
          : undefined
  }
  return messages.join(': ')
}
