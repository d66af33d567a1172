import { describe, expect, it } from 'vitest'
import { errorOfAnswer } from '../../../src/kubernetes/api-error.ts'

describe('errorOfAnswer()', () => {
  it.each([
    { status: 401, body: { reason: 'Unauthorized' }, kind: 'unauthorized' },
    { status: 403, body: { reason: 'Forbidden' }, kind: 'forbidden' },
    { status: 404, body: { reason: 'NotFound' }, kind: 'missing' },
    { status: 404, body: undefined, kind: 'missing' },
    { status: 409, body: { reason: 'AlreadyExists' }, kind: 'conflict' },
    { status: 410, body: { reason: 'Expired' }, kind: 'expired' },
    { status: 500, body: { reason: 'Expired' }, kind: 'expired' },
    {
      status: 504,
      body: { reason: 'Timeout', details: { causes: [{ reason: 'ResourceVersionTooLarge' }] } },
      kind: 'expired',
    },
    { status: 504, body: { reason: 'Timeout' }, kind: 'away' },
    { status: 429, body: { reason: 'TooManyRequests' }, kind: 'away' },
    { status: 503, body: '<html>', kind: 'away' },
    { status: 422, body: { reason: 'Invalid' }, kind: 'refused' },
    { status: 302, body: null, kind: 'refused' },
  ])('takes $status $body for $kind', ({ status, body, kind }) => {
    expect(errorOfAnswer('watch apis', status, body)).toMatchObject({ kind, status })
  })

  it('says what the server said, and not all of a long story', () => {
    const error = errorOfAnswer('list apis', 400, { message: 'x'.repeat(9_000) })
    expect(error.message).toMatch(/^Cannot list apis: HTTP 400: x+$/)
    expect(error.message.length).toBeLessThan(600)
  })
})
