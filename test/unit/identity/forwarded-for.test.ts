import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { forwardedAddress } from '../../../src/identity/forwarded-for.ts'

describe('the address that trusted hops vouch for', () => {
  const chain = '9.9.9.9, 5.6.7.8, 1.2.3.4'
  it.each([
    { why: 'nobody is trusted', header: chain, hops: 0, address: '' },
    { why: 'one hop', header: chain, hops: 1, address: '1.2.3.4' },
    { why: 'two hops', header: chain, hops: 2, address: '5.6.7.8' },
    { why: 'three hops', header: chain, hops: 3, address: '9.9.9.9' },
    { why: 'more hops than entries', header: chain, hops: 4, address: '' },
    { why: 'no header', header: '', hops: 1, address: '' },
    { why: 'a forged entry before', header: '127.0.0.1,1.2.3.4', hops: 1, address: '1.2.3.4' },
    { why: 'no header behind two hops', header: '1.2.3.4', hops: 2, address: '' },
    { why: 'blanks and tabs', header: '9.9.9.9 ,\t1.2.3.4 ', hops: 1, address: '1.2.3.4' },
    { why: 'a port', header: '1.2.3.4:5555', hops: 1, address: '1.2.3.4' },
    { why: 'IPv6', header: '2001:db8::1', hops: 1, address: '2001:db8::1' },
    { why: 'IPv6 written long', header: '2001:DB8:0:0::1', hops: 1, address: '2001:db8::1' },
    { why: 'IPv6 in brackets', header: '[2001:db8::1]', hops: 1, address: '2001:db8::1' },
    { why: 'IPv6 with a port', header: '[2001:db8::1]:443', hops: 1, address: '2001:db8::1' },
    { why: 'IPv4 mapped into IPv6', header: '::ffff:1.2.3.4', hops: 1, address: '1.2.3.4' },
    { why: 'an IPv6 zone', header: 'fe80::1%eth0', hops: 1, address: '' },
    { why: 'a name', header: 'client.example.com', hops: 1, address: '' },
    { why: '"unknown", as some proxies write', header: '9.9.9.9, unknown', hops: 1, address: '' },
    { why: 'an empty last entry', header: '1.2.3.4,', hops: 1, address: '' },
    { why: 'octets beyond 255', header: '1.2.3.256', hops: 1, address: '' },
    { why: 'a network', header: '1.2.3.0/24', hops: 1, address: '' },
    { why: 'two addresses in one entry', header: '1.2.3.4 5.6.7.8', hops: 1, address: '' },
    { why: 'an open bracket', header: '[2001:db8::1', hops: 1, address: '' },
    { why: 'what follows a port', header: '1.2.3.4:80:90', hops: 1, address: '' },
    { why: 'markup', header: '1.2.3.4, <script>', hops: 1, address: '' },
    {
      why: 'a header padded until its end was cut off',
      header: `${'x'.repeat(1_014)}, 9.9.9.9 and more`.slice(0, 1_024),
      hops: 1,
      address: '',
    },
  ])('is $address with $why', ({ header, hops, address }) => {
    expect(forwardedAddress(header, hops)).toBe(address)
  })

  it('is what the outermost trusted proxy saw, whatever the client had written', () => {
    const written = fc.string({ unit: 'binary', maxLength: 200 })
    const ipV6 = fc.constantFrom('2001:db8::1', '::1', '[fe80::7]:443', '::ffff:7f00:1')
    const hops = fc.array(fc.oneof(fc.ipV4(), ipV6), { minLength: 1, maxLength: 5 })
    fc.assert(
      fc.property(written, hops, (client, appended) => {
        const header = [client, ...appended].join(', ')
        const alone = forwardedAddress(appended.join(', '), appended.length)
        expect(alone).not.toBe('')
        expect(forwardedAddress(header, appended.length)).toBe(alone)
      }),
    )
  })
})
