import { describe, expect, it } from 'vitest'
import { encodeDiscovery } from '../../../src/events/encode-discovery.ts'
import { discoverySchema } from '../../../src/events/schema.ts'
import type { Discovery } from '../../../src/model/discovery.ts'
import { API, discoveryOf } from './samples.ts'

const TARGET = { topic: 'weir.discovery', cluster: 'prod' }
const dataOf = (discovery: Discovery): unknown =>
  JSON.parse(encodeDiscovery(TARGET, discovery).value.toString())

describe('encodeDiscovery()', () => {
  it('writes the discovery as it stands, keyed by its id', () => {
    const discovery = discoveryOf()
    const event = encodeDiscovery(TARGET, discovery)
    expect(dataOf(discovery)).toEqual(discovery)
    expect(event).toMatchObject({ topic: 'weir.discovery', key: 'd-1' })
    expect(event.headers).toMatchObject({
      ce_type: 'dev.weir.discovery.v1',
      ce_subject: 'd-1',
      ce_time: '2026-03-01T12:01:00.5Z',
      ce_source: '/weir/east',
      ce_partitionkey: 'd-1',
      ce_dataschema: 'https://weir.dev/schemas/discovery.v1.schema.json',
    })
  })

  it('says where it is of all clusters that Weir does', () => {
    const { headers } = encodeDiscovery(TARGET, discoveryOf({ cluster: '' }))
    expect(headers['ce_source']).toBe('/weir/prod')
  })

  it.each<Partial<Discovery>>([
    { kind: 'shadow', api: null },
    { kind: 'zombie', operation: null, port: null },
    { kind: 'orphan', cluster: '', workload: null, state: 'closed' },
  ])('is what its schema says: %o', (fields) => {
    const discovery = discoveryOf(fields)
    expect(discoverySchema.parse(dataOf(discovery))).toEqual(discovery)
  })

  it('lets nothing out that the schema does not know', () => {
    const more = { ...discoveryOf(), secret: 'x', api: { ...API, secret: 'x' } }
    expect(dataOf(more)).toEqual(discoveryOf())
  })

  it('has the same id for the same telling, and another for another', () => {
    const idOf = (fields?: Partial<Discovery>): string | undefined =>
      encodeDiscovery(TARGET, discoveryOf(fields)).headers['ce_id']
    expect(idOf()).toMatch(/^[0-9a-f]{32}$/)
    expect(idOf()).toBe(idOf())
    expect(idOf({ state: 'closed' })).not.toBe(idOf())
  })
})
