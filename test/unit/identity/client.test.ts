import { describe, expect, it } from 'vitest'
import { ClientNamer, type Sighting } from '../../../src/identity/client.ts'
import { type Endpoint, NO_FIELDS } from '../../../src/model/endpoint.ts'

const none: Endpoint = { ...NO_FIELDS, id: 0, generation: 0 }
const pod: Endpoint = { ...none, id: 1, namespace: 'shop', pod: 'cart-1', workload: 'cart' }

function sighting(fields: Partial<Sighting>): Sighting {
  return {
    identityValues: [],
    application: '',
    forwardedFor: '',
    source: none,
    sourceIp: '10.0.0.1',
    sharedAddress: false,
    ...fields,
  }
}

describe('who called', () => {
  const all = {
    identityValues: ['', 'cafe'],
    application: 'acme/shop',
    forwardedFor: '9.9.9.9, 1.2.3.4',
    source: pod,
  }
  it.each([
    { why: 'a header first', fields: all, hops: 1, key: 'header:cafe' },
    {
      why: 'then the application',
      fields: { ...all, identityValues: ['', ''] },
      hops: 1,
      key: 'application:acme/shop',
    },
    {
      why: 'then who the proxy vouches for',
      fields: { ...all, identityValues: [], application: '' },
      hops: 1,
      key: 'xff:1.2.3.4',
    },
    {
      why: 'further from the end for more hops',
      fields: { forwardedFor: '9.9.9.9, 1.2.3.4' },
      hops: 2,
      key: 'xff:9.9.9.9',
    },
    {
      why: 'no forwarded address without trust',
      fields: { forwardedFor: '1.2.3.4', source: pod },
      hops: 0,
      key: 'workload:shop/cart',
    },
    {
      why: 'none where there are fewer entries',
      fields: { forwardedFor: '1.2.3.4' },
      hops: 2,
      key: 'ip:10.0.0.1',
    },
    {
      why: 'none where the entry is no address',
      fields: { forwardedFor: '1.2.3.4, <script>' },
      hops: 1,
      key: 'ip:10.0.0.1',
    },
    { why: 'ports cut off', fields: { forwardedFor: '1.2.3.4:5555' }, hops: 1, key: 'xff:1.2.3.4' },
    {
      why: 'IPv6 with a port',
      fields: { forwardedFor: '[2001:DB8::1]:443' },
      hops: 1,
      key: 'xff:2001:db8::1',
    },
    { why: 'an address outside the cluster', fields: {}, hops: 0, key: 'ip:10.0.0.1' },
    { why: 'nobody known', fields: { sourceIp: '' }, hops: 0, key: 'ip:unknown' },
  ])('is $why', ({ fields, hops, key }) => {
    const { client } = new ClientNamer({ trustedHops: hops }).nameOf(sighting(fields))
    expect(`${client.kind}:${client.value}`).toBe(key)
  })

  it('follows the configured order', () => {
    const namer = new ClientNamer({ order: ['ip'] })
    expect(namer.nameOf(sighting(all)).client.kind).toBe('ip')
  })
})

describe('addresses', () => {
  const seen = (namer: ClientNamer, sourceIp: string, more: Partial<Sighting> = {}) =>
    namer.nameOf(sighting({ identityValues: ['cafe'], sourceIp, ...more }))

  it('are at most twenty, the newest last, and never change in a record that was given out', () => {
    const namer = new ClientNamer()
    const first = seen(namer, '10.0.0.0').client
    for (let n = 1; n <= 20; n++) seen(namer, `10.0.0.${n}`)
    const last = seen(namer, '10.0.0.20').client
    expect(first.addresses).toEqual(['10.0.0.0'])
    expect(last.addresses).toHaveLength(20)
    expect([last.addresses[0], last.addresses.at(-1)]).toEqual(['10.0.0.1', '10.0.0.20'])
    expect(seen(namer, '10.0.0.5').client).toBe(last)
  })

  it("leave out a gateway's own, which stands for everybody behind it", () => {
    const namer = new ClientNamer({ trustedHops: 1 })
    const shared = seen(namer, '10.0.0.9', { sharedAddress: true })
    expect([shared.address, shared.client.addresses]).toEqual(['', []])
    const vouched = seen(namer, '10.0.0.9', { sharedAddress: true, forwardedFor: '1.2.3.4' })
    expect([vouched.address, vouched.client.addresses]).toEqual(['1.2.3.4', ['1.2.3.4']])
  })

  it('are forgotten with the client that was seen first, once there are too many', () => {
    const namer = new ClientNamer({ clientsMax: 2 })
    for (const ip of ['1.1.1.1', '2.2.2.2', '3.3.3.3']) namer.nameOf(sighting({ sourceIp: ip }))
    expect([namer.size, namer.evicted]).toEqual([2, 1])
  })
})
