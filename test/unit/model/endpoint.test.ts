import { expect, it } from 'vitest'
import { EndpointTable, NO_FIELDS } from '../../../src/model/endpoint.ts'

it('interns equal endpoints once, and tells the uses of an id apart', () => {
  const table = new EndpointTable(3)
  const evicted: string[] = []
  table.onEvict((endpoint) => evicted.push(endpoint.pod))
  const pod = (name: string) =>
    table.intern({ ...NO_FIELDS, namespace: 'a', pod: name, identity: 7 })
  const first = pod('p1')
  expect(pod('p1')).toBe(first)
  expect(table.intern(NO_FIELDS)).toBe(table.none)
  const second = pod('p2')
  const third = pod('p3')
  expect(evicted).toEqual(['p1'])
  expect(third.id).toBe(first.id)
  expect(third.generation).toBe(first.generation + 1)
  expect([table.size, table.evicted, second.id]).toEqual([3, 1, 2])
  expect(first.pod).toBe('p1')
})
