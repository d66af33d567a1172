import kafkajs from 'kafkajs'
import { describe, expect, it } from 'vitest'
import { refusalOf, unwrapped } from '../../../src/events/kafka-errors.ts'

/** As kafkajs throws it: what its own retries gave up on is wrapped as not retriable. */
function wrapped(error: Error): Error {
  return new kafkajs.KafkaJSNumberOfRetriesExceeded(error, { retryCount: 3, retryTime: 1 })
}

function protocol(type: string, code: number): Error {
  return Object.assign(new kafkajs.KafkaJSError(type, { retriable: false }), { type, code })
}

describe('refusalOf()', () => {
  it.each([
    { why: 'an event too large', error: protocol('MESSAGE_TOO_LARGE', 10), reason: 'too_large' },
    { why: 'a batch too large', error: protocol('RECORD_LIST_TOO_LARGE', 18), reason: 'too_large' },
    {
      why: 'the same, wrapped',
      error: wrapped(protocol('MESSAGE_TOO_LARGE', 10)),
      reason: 'too_large',
    },
    { why: 'an invalid event', error: protocol('INVALID_TIMESTAMP', 32), reason: 'invalid' },
    {
      why: 'an error that kafkajs does not know',
      error: protocol('KAFKAJS_UNKNOWN_ERROR_CODE', 87),
      reason: 'invalid',
    },
    {
      why: 'a broker that is gone',
      error: wrapped(new kafkajs.KafkaJSConnectionError('x')),
      reason: undefined,
    },
    {
      why: 'a right that is missing',
      error: protocol('TOPIC_AUTHORIZATION_FAILED', 29),
      reason: undefined,
    },
    { why: 'a fenced producer', error: protocol('INVALID_PRODUCER_EPOCH', 47), reason: undefined },
    { why: 'what is no error', error: 'text', reason: undefined },
  ])('$why: $reason', ({ error, reason }) => {
    expect(refusalOf(error)).toBe(reason)
  })
})

describe('unwrapped()', () => {
  it('keeps one of the errors that say the same, and every other', () => {
    const inner = new kafkajs.KafkaJSConnectionError('away')
    expect(unwrapped(wrapped(inner))).toBe(inner)
    const outer = new Error('cannot send', { cause: inner })
    expect(unwrapped(outer)).toBe(outer)
    expect(unwrapped(undefined)).toBeUndefined()
  })
})
