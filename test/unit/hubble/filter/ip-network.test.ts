import { BlockList, isIPv4 } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  containsNetwork,
  isInNetworks,
  parseNetwork,
} from '../../../../src/hubble/filter/ip-network.ts'

function has(network: string, address: string): boolean {
  const parsed = parseNetwork(network)
  return parsed !== undefined && isInNetworks([parsed], address)
}

describe('parseNetwork()', () => {
  it.each([
    '10.0.0.0',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/',
    '10.0.0/8',
    '10.0.0.0.0/8',
    '10.0.0.256/8',
    '10.0.0.01/8',
    '::/129',
    '1:2:3:4:5:6:7/64',
    '1::2::3/64',
    ':::/64',
    '1:/64',
    ':1/64',
    'g::/64',
    '12345::/64',
    'fe80::1%eth0/64',
    '::1.2.3/64',
    '1:2:3:4:5:6:7:8:9/64',
    '1:2:3:4:5:6:7:1.2.3.4/64',
    '/8',
    '',
  ])('refuses %j', (text) => {
    expect(parseNetwork(text)).toBeUndefined()
  })
})

describe('isInNetworks()', () => {
  it.each([
    ['0.0.0.0/0', '255.255.255.255', true],
    ['10.9.8.7/8', '10.0.0.1', true],
    ['10.0.0.1/32', '10.0.0.1', true],
    ['10.0.0.1/32', '10.0.0.2', false],
    ['128.0.0.0/1', '127.255.255.255', false],
    ['::/0', 'ffff::', true],
    ['::/0', '1.2.3.4', false],
    ['0.0.0.0/0', '::ffff:1.2.3.4', false],
    ['::ffff:1.2.3.0/120', '::ffff:1.2.3.4', true],
    ['2001:db8:0:1::/64', '2001:db8:0:1:ffff::', true],
    ['2001:db8:0:1::/64', '2001:db8:0:2::', false],
    ['2001:db8::1/128', '2001:DB8:0:0:0:0:0:1', true],
    ['fe80::/10', 'fe80::1%eth0', false],
    ['::/0', '', false],
    ['0.0.0.0/0', '1.2.3', false],
  ])('%s has %j: %s', (network, address, isIn) => {
    expect(has(network, address)).toBe(isIn)
  })

  it('agrees with Node on any address', () => {
    const address = fc.oneof(fc.ipV4(), fc.ipV6())
    fc.assert(
      fc.property(address, address, fc.nat(128), (base, other, length) => {
        const family = isIPv4(base) ? 'ipv4' : 'ipv6'
        const bits = family === 'ipv4' ? length % 33 : length
        const list = new BlockList()
        list.addSubnet(base, bits, family)
        const sameFamily = isIPv4(base) === isIPv4(other)
        // Node takes a mapped address for the one that it maps.
        const isMapped = [base, other].some((text) => /^[0:]*:ffff:/i.test(text))
        fc.pre(!isMapped)
        expect(has(`${base}/${bits}`, other)).toBe(
          sameFamily && list.check(other, isIPv4(other) ? 'ipv4' : 'ipv6'),
        )
        expect(has(`${base}/${bits}`, base)).toBe(true)
      }),
      { numRuns: 500 },
    )
  })
})

it.each([
  ['10.0.0.0/8', '10.1.0.0/16', true],
  ['10.0.0.0/8', '10.0.0.0/8', true],
  ['10.1.0.0/16', '10.0.0.0/8', false],
  ['10.0.0.0/8', '11.0.0.0/16', false],
  ['::/0', '10.0.0.0/8', false],
  ['fd00::/8', 'fd12::/64', true],
])('%s contains %s: %s', (outer, inner, isIn) => {
  const [a, b] = [parseNetwork(outer), parseNetwork(inner)]
  expect(a && b && containsNetwork(a, b)).toBe(isIn)
})
