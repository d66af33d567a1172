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
    { why: 'an address outside the cluster', fields: {}, hops: 0, key: 'ip:10.0.0.1' },
    { why: 'nobody known', fields: { sourceIp: '' }, hops: 0, key: 'ip:unknown' },
  ])('is $why', ({ fields, hops, key }) => {
    const { client } = new ClientNamer({ trustedHops: hops }).nameOf(sighting(fields))
    expect(`${client.kind}:${client.value}`).toBe(key)
  })

  it('is told in bounded text, whatever a capture says', () => {
    const endless = { ...pod, workload: 'w'.repeat(9_999) }
    const { client } = new ClientNamer().nameOf(sighting({ source: endless }))
    expect([client.kind, client.value.length]).toEqual(['workload', 512])
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

describe('what Cilium knows of a source', () => {
  const world = {
    ...none,
    id: 2,
    reserved: 'world',
    labels: ['cidr:1.2.3.0/24', 'reserved:world'],
  }
  const sourceNames = ['a.example.com']

  it('names an address, but is not what it is named after', () => {
    const namer = new ClientNamer()
    const bare = namer.nameOf(sighting({ sourceIp: '1.2.3.4' })).client
    expect(bare).toEqual({ kind: 'ip', value: '1.2.3.4', addresses: ['1.2.3.4'] })
    const { client } = namer.nameOf(sighting({ sourceIp: '1.2.3.4', source: world, sourceNames }))
    expect(client).toEqual({ ...bare, names: ['1.2.3.0/24', 'a.example.com'] })
    expect(namer.nameOf(sighting({ sourceIp: '1.2.3.4' })).client).toBe(client)
    expect(namer.size).toBe(1)
  })

  it('is at most five names, those seen last, and does not grow with what finds no room', () => {
    const namer = new ClientNamer()
    const learnt = (from: number, count: number) => ({
      sourceIp: '1.2.3.4',
      sourceNames: Array.from({ length: count }, (_, n) => `n${from + n}.example.com`),
    })
    const many = namer.nameOf(sighting(learnt(0, 9))).client
    expect(many.names).toEqual(learnt(0, 5).sourceNames)
    expect(namer.nameOf(sighting(learnt(0, 9))).client).toBe(many)
    expect(namer.nameOf(sighting(learnt(5, 1))).client.names).toEqual(learnt(1, 5).sourceNames)
  })

  it.each<{ why: string; fields: Partial<Sighting> }>([
    { why: 'behind a header', fields: { identityValues: ['cafe'] } },
    { why: 'behind a proxy', fields: { forwardedFor: '9.9.9.9' } },
    { why: 'at no address', fields: { sourceIp: '' } },
    { why: 'of an endless name', fields: { source: none, sourceNames: ['n'.repeat(254), ''] } },
  ])('is not told of a client $why', ({ fields }) => {
    const namer = new ClientNamer({ trustedHops: 1 })
    const { client } = namer.nameOf(sighting({ source: world, sourceNames, ...fields }))
    expect(client).not.toHaveProperty('names')
  })

  it('is the service account of a workload, and of a pod that is named after its address', () => {
    const labels = ['k8s:io.cilium.k8s.policy.serviceaccount=cart-runner']
    const source = { ...pod, labels }
    const { client } = new ClientNamer().nameOf(sighting({ source }))
    expect(client).toEqual({
      kind: 'workload',
      value: 'shop/cart',
      addresses: ['10.0.0.1'],
      serviceAccount: 'shop/cart-runner',
    })
    const byIp = new ClientNamer({ order: ['ip'] }).nameOf(sighting({ source })).client
    expect([byIp.kind, byIp.serviceAccount]).toEqual(['ip', 'shop/cart-runner'])
    const behind = new ClientNamer().nameOf(sighting({ source, identityValues: ['cafe'] })).client
    expect(behind).not.toHaveProperty('serviceAccount')
  })
})

describe('the application of a client', () => {
  const subscriber = { name: 'web', owner: 'ann', organization: 'acme', keyType: 'PRODUCTION' }
  const from = (fields: Partial<Sighting>) => sighting({ identityValues: ['cafe'], ...fields })

  it('is that of the call, and the same object while it stays', () => {
    const namer = new ClientNamer()
    const first = namer.nameOf(from({ subscriber })).client
    expect(first).toEqual({
      kind: 'header',
      value: 'cafe',
      addresses: ['10.0.0.1'],
      application: subscriber,
    })
    expect(namer.nameOf(from({ subscriber })).client).toBe(first)
    const other = { ...subscriber, subscription: { name: 's', status: 'ACTIVE', tier: 'gold' } }
    expect(namer.nameOf(from({ subscriber: other })).client.application).toBe(other)
    expect(namer.nameOf(from({})).client).not.toHaveProperty('application')
    expect([first.application, namer.size]).toEqual([subscriber, 1])
  })

  it('comes with the addresses that were seen meanwhile', () => {
    const namer = new ClientNamer()
    namer.nameOf(from({ subscriber }))
    namer.nameOf(from({ sourceIp: '10.0.0.2' }))
    const { client } = namer.nameOf(from({ subscriber }))
    expect([client.addresses, client.application]).toEqual([['10.0.0.1', '10.0.0.2'], subscriber])
  })
})
