import { describe, expect, it } from 'vitest'
import { encodeFinding } from '../../../src/events/encode-finding.ts'
import { findingSchema } from '../../../src/events/schema.ts'
import type { Encoded } from '../../../src/pipeline/contract.ts'
import { API, findingOf } from './samples.ts'

const TARGET = { topic: 'weir.findings', cluster: 'prod' }

describe('encodeFinding()', () => {
  it('writes the finding as it stands', () => {
    const finding = findingOf()
    const event = encodeFinding(TARGET, finding)
    const data: unknown = JSON.parse(event.value.toString())
    expect(data).toEqual(finding)
    expect(findingSchema.parse(data)).toEqual(finding)
    expect(event.key).toBe('ip:10.0.0.7')
    expect(event.headers).toMatchObject({
      ce_type: 'dev.weir.finding.v1',
      ce_subject: 'f-1',
      ce_time: '2026-03-01T12:01:00.5Z',
      ce_partitionkey: 'ip:10.0.0.7',
    })
  })

  it('lets nothing out that the schema does not know', () => {
    const more = { ...findingOf(), case: 'x', api: { ...API, secret: 'x' } }
    const data: unknown = JSON.parse(encodeFinding(TARGET, more).value.toString())
    expect(data).toEqual(findingOf())
  })

  it('has the same id for the same telling, and another for another', () => {
    const idOf = (event: Encoded): string | undefined => event.headers['ce_id']
    const first = idOf(encodeFinding(TARGET, findingOf()))
    expect(first).toMatch(/^[0-9a-f]{32}$/)
    expect(idOf(encodeFinding(TARGET, findingOf()))).toBe(first)
    expect(idOf(encodeFinding(TARGET, findingOf({ severity: 'critical' })))).not.toBe(first)
  })

  it.each([
    {
      why: 'the target',
      fields: { target: { user: 'eve', path: '/login' } },
      key: 'target:path=/login,user=eve',
    },
    { why: 'else the API', fields: { target: null }, key: 'api:shop/orders' },
    { why: 'else itself', fields: { target: null, api: null }, key: 'finding:f-1' },
  ])('is keyed without a client by $why', ({ fields, key }) => {
    expect(encodeFinding(TARGET, findingOf({ client: null, ...fields })).key).toBe(key)
  })
})
