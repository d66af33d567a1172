import { describe, expect, it } from 'vitest'
import {
  endOfGoaway,
  endOfHttpStatus,
  endOfReset,
  endOfTrailers,
} from '../../../../src/hubble/transport/grpc-status.ts'

describe('the end of a call', () => {
  it.each([
    { status: undefined, message: 'alone', end: undefined },
    { status: '0', message: undefined, end: { code: 0, details: '' } },
    { status: '5', message: 'g%C3%B6ne%20%25', end: { code: 5, details: 'göne %' } },
    { status: '5', message: '100%', end: { code: 5, details: '100%' } },
    { status: '5', message: '%F0%9F%94%A5%zz%', end: { code: 5, details: '🔥%zz%' } },
    { status: '5', message: '%ff', end: { code: 5, details: '\uFFFD' } },
    { status: '-1', message: 'x', end: { code: 2, details: 'Received the status "-1": x' } },
  ])('by trailers: $status $message', ({ status, message, end }) => {
    expect(endOfTrailers(status, message)).toEqual(end)
  })

  it.each([
    [200, 2],
    [400, 13],
    [401, 16],
    [403, 7],
    [404, 12],
    [429, 14],
    [500, 2],
    [502, 14],
    [503, 14],
    [504, 14],
  ])('by HTTP status %i: %i', (httpStatus, code) => {
    expect(endOfHttpStatus(httpStatus)).toMatchObject({ code })
  })

  it.each([
    [0, 13],
    [1, 13],
    [7, 14],
    [8, 1],
    [9, 13],
    [11, 8],
    [12, 7],
    [99, 13],
  ])('by a reset with %i: %i', (reset, code) => {
    expect(endOfReset(reset, '')).toMatchObject({ code })
  })

  it('tells the reasons', () => {
    expect(endOfReset(99, 'why').details).toBe('Received RST_STREAM with code 99 (error 99): why')
    expect(endOfGoaway(11, 'too_many_pings')).toEqual({
      code: 8,
      details: 'Received GOAWAY with code 11 (ENHANCE_YOUR_CALM): too_many_pings',
    })
    expect(endOfGoaway(2, '')).toEqual({
      code: 14,
      details: 'Received GOAWAY with code 2 (INTERNAL_ERROR)',
    })
  })
})
