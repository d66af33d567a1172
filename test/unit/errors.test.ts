import { describe, expect, it } from 'vitest'
import { ConfigError, describeError } from '../../src/errors.ts'

describe('describeError()', () => {
  const refused = new Error('connect ECONNREFUSED ::1:9')
  it.each([
    {
      why: 'the causes, outermost first',
      error: new ConfigError('a', { cause: new Error('b') }),
      text: 'a: b',
    },
    { why: 'the name where there is no message', error: new TypeError(), text: 'TypeError' },
    {
      why: 'the first of several: a name with two addresses has no message of its own',
      error: new Error('away', { cause: new AggregateError([refused, new Error('other')]) }),
      text: 'away: AggregateError: connect ECONNREFUSED ::1:9',
    },
    { why: 'what is no error', error: { code: 5 }, text: '{ code: 5 }' },
  ])('tells $why', ({ error, text }) => expect(describeError(error)).toBe(text))

  it('ends where causes go in a circle', () => {
    const error = new Error('round')
    error.cause = error
    expect(describeError(error).length).toBeLessThan(100)
  })
})
