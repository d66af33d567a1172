import { describe, expect, it } from 'vitest'
import { encodeLimit } from '../../../src/events/encode-limit.ts'
import { limitSchema } from '../../../src/events/schema.ts'
import { limitOf, START_MS } from './samples.ts'

const TARGET = { topic: 'weir.limits', cluster: 'prod' }

describe('encodeLimit()', () => {
  it('writes the limit as it stands, keyed by its id', () => {
    const limit = limitOf()
    const event = encodeLimit(TARGET, limit)
    const data: unknown = JSON.parse(event.value.toString())
    expect(data).toEqual(limit)
    expect(limitSchema.parse(data)).toEqual(limit)
    expect(event.key).toBe('l-1')
    expect(event.headers).toMatchObject({
      ce_type: 'dev.weir.limit.v1',
      ce_subject: 'l-1',
      ce_time: '2026-03-01T12:02:00Z',
      ce_partitionkey: 'l-1',
    })
  })

  it('tells when the limit came into its state', () => {
    const ended = limitOf({ state: 'reverted', until: null, revision: null })
    const event = encodeLimit(TARGET, ended, START_MS)
    expect(event.headers['ce_time']).toBe('2026-03-01T12:00:00.250Z')
    expect(limitSchema.parse(JSON.parse(event.value.toString()))).toEqual(ended)
    expect(event.headers['ce_id']).not.toBe(encodeLimit(TARGET, limitOf()).headers['ce_id'])
  })
})
