import { expect, it } from 'vitest'
import { canonicalAddress } from '../../../src/model/ip-address.ts'

it.each([
  { text: '10.0.0.1', canonical: '10.0.0.1' },
  { text: '2001:DB8:0:0::0:1', canonical: '2001:db8::1' },
  { text: '::ffff:192.0.2.1', canonical: '192.0.2.1' },
  { text: '10.0.0.1:80', canonical: undefined },
  { text: '', canonical: undefined },
])('canonicalAddress($text): $canonical', ({ text, canonical }) => {
  expect(canonicalAddress(text)).toBe(canonical)
})
