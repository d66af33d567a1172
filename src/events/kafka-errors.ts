import type { KafkaJSProtocolError } from 'kafkajs'
import type { RefusalReason } from './publisher.ts'

/** What brokers say of the events themselves; everything else is the weather, also what an operator must mend. */
const REFUSALS: { readonly [type: string]: RefusalReason } = {
  MESSAGE_TOO_LARGE: 'too_large',
  RECORD_LIST_TOO_LARGE: 'too_large',
  INVALID_RECORD: 'invalid',
  INVALID_TIMESTAMP: 'invalid',
  UNSUPPORTED_FOR_MESSAGE_FORMAT: 'invalid',
}
const INVALID_RECORD_CODE = 87
const CAUSES_MAX = 8

/**
 * Why the broker refuses a batch for ever; undefined: worth another try. kafkajs wraps what its own
 * retries gave up on as "not retriable", so the innermost error is what counts.
 */
export function refusalOf(error: unknown): RefusalReason | undefined {
  for (let e = error, depth = 0; e instanceof Error && depth < CAUSES_MAX; depth++) {
    const { type, code } = e as Partial<KafkaJSProtocolError>
    const reason = type === undefined ? undefined : REFUSALS[type]
    if (reason !== undefined) return reason
    if (code === INVALID_RECORD_CODE) return 'invalid'
    e = e.cause
  }
  return undefined
}

/** kafkajs wraps errors in others that say the same: one of them is enough for a reader. */
export function unwrapped(error: unknown): unknown {
  let e = error
  while (e instanceof Error && e.cause instanceof Error && e.cause.message === e.message) {
    e = e.cause
  }
  return e
}
