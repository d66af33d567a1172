import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { endpointFieldsOf } from '../../../../src/hubble/endpoint-fields.ts'
import type { EndpointMessage } from '../../../../src/hubble/flow-message.ts'
import { observerService } from '../../../../src/hubble/proto.ts'
import { WireKind, WireView } from '../../../../src/hubble/wire/wire-view.ts'
import { type Endpoint, EndpointTable } from '../../../../src/model/endpoint.ts'

const definition = observerService()['GetFlows']

function viewer(endpoints: EndpointTable) {
  const view = new WireView(endpoints, 'east')
  return (source: EndpointMessage & { ID?: number }): Endpoint => {
    const bytes = definition?.responseSerialize({ flow: { source } }) ?? Buffer.alloc(0)
    expect(view.move(bytes, 0, bytes.length)).toBe(WireKind.flow)
    return view.source
  }
}

function pod(n: number): EndpointMessage {
  return { identity: 7, namespace: 'shop', pod_name: `orders-${n}`, labels: ['k8s:app=orders'] }
}

describe('the endpoints of WireView', () => {
  it('are the same object for the same bytes, and for other bytes of the same endpoint', () => {
    const see = viewer(new EndpointTable())
    const first = see(pod(1))
    expect(see(pod(1))).toBe(first)
    expect(see({ ...pod(1), ID: 12 })).toBe(first)
    expect(see(pod(2))).not.toBe(first)
  })

  it.each([
    { what: 'one byte of a label', other: { identity: 7, labels: ['cidr:10.0.0.0/33'] } },
    { what: 'the identity', other: { identity: 16_777_217, labels: ['cidr:10.0.0.0/32'] } },
    { what: 'one label more', other: { identity: 7, labels: ['cidr:10.0.0.0/32', 'x'] } },
  ])('are others where $what differs', ({ other }) => {
    const see = viewer(new EndpointTable())
    const first = see({ identity: 7, labels: ['cidr:10.0.0.0/32'] })
    expect(see(other)).not.toBe(first)
    expect(see(other)).toMatchObject(other)
  })

  it('derive the workload of a pod without one, and the name of a reserved identity', () => {
    const see = viewer(new EndpointTable())
    expect(see({ ...pod(0), pod_name: 'web-6d4b75cb6d-x7x2k' })).toMatchObject({ workload: 'web' })
    expect(see({ identity: 2, labels: ['reserved:world'] })).toMatchObject({ reserved: 'world' })
  })

  it('are those of the table after it has evicted, as if there were nothing between', () => {
    const pods = fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 60 })
    const property = fc.property(pods, fc.integer({ min: 2, max: 6 }), (list, endpointsMax) => {
      const endpoints = new EndpointTable(endpointsMax)
      const evicted = new Set<Endpoint>()
      endpoints.onEvict((endpoint) => evicted.add(endpoint))
      const see = viewer(endpoints)
      const alone = new EndpointTable(endpointsMax)
      for (const n of list) {
        const found = see(pod(n))
        const { id, generation } = alone.intern(endpointFieldsOf(pod(n)))
        expect(found).toMatchObject({ id, generation, pod: `orders-${n}` })
        expect(evicted.has(found)).toBe(false)
      }
    })
    fc.assert(property, { numRuns: 40 })
  })

  it('follow the ids of a table that has many', () => {
    const see = viewer(new EndpointTable(2_000))
    const seen = Array.from({ length: 4_000 }, (_, n) => see(pod(n)))
    expect(new Set(seen).size).toBe(4_000)
    expect(see(pod(3_999))).toBe(seen[3_999])
    expect(see(pod(1_500))).toMatchObject({ pod: 'orders-1500' })
    expect(see(pod(1_500))).not.toBe(seen[1_500])
  })
})
