import { describe, expect, it } from 'vitest'
import { isShadowed, limiterOf } from '../../../src/identity/limit-mark.ts'
import { NO_LIMITS } from '../../../src/model/limit.ts'
import { exchange } from './records.ts'

const limits = { revisions: new Set(['9c41d07e']), nonces: new Set(['5be2a91f']) }
const sourceIp = '10.0.0.1'
const ours = 'enforce; r=9c41d07e; c=10.0.0.1'

describe('limiterOf()', () => {
  it.each([
    { why: 'our revision', weirMark: ours, status: 429, by: 'weir' },
    {
      why: "our revision, another's address",
      weirMark: ours,
      status: 429,
      by: 'other',
      from: '::1',
    },
    { why: 'our revision, nobody seen', weirMark: ours, status: 429, by: 'weir', from: '' },
    {
      why: 'our revision, IPv6',
      weirMark: 'enforce; r=9c41d07e; c=fd00::a',
      status: 429,
      by: 'weir',
      from: 'fd00::A',
    },
    {
      why: 'our revision, IPv4 in IPv6',
      weirMark: ours,
      status: 429,
      by: 'weir',
      from: '::ffff:10.0.0.1',
    },
    {
      why: 'an old revision',
      weirMark: 'enforce; r=00000000; c=10.0.0.1',
      status: 429,
      by: 'other',
    },
    { why: 'more than the mark', weirMark: `${ours}, ${ours}`, status: 429, by: 'other' },
    { why: 'no mark', weirMark: '', status: 429, by: 'other' },
    { why: 'a redacted mark', weirMark: 'HUBBLE_REDACTED', status: 429, by: 'weir' },
    { why: 'a mark on an answer that was let through', weirMark: ours, status: 200, by: null },
    { why: 'a mark on an error', weirMark: ours, status: 503, by: null },
    { why: 'nothing', weirMark: '', status: 200, by: null },
  ])('$why: $by', ({ weirMark, status, by, from = sourceIp }) => {
    expect(limiterOf(exchange({ weirMark }, { status, sourceIp: from }), limits)).toBe(by)
  })
  it('knows a refused gRPC call, which is HTTP 200, by our mark only', () => {
    const grpc = { method: 'POST', protocol: 'HTTP/2' }
    expect(limiterOf(exchange({ ...grpc, weirMark: ours }, { sourceIp }), limits)).toBe('weir')
    expect(limiterOf(exchange({ ...grpc, weirMark: 'enforce; r=0; c=1.1.1.1' }), limits)).toBeNull()
    expect(limiterOf(exchange(grpc), limits)).toBeNull()
  })
  it('believes no redacted mark while nothing is in force', () => {
    expect(limiterOf(exchange({ weirMark: 'HUBBLE_REDACTED' }, { status: 429 }), NO_LIMITS)).toBe(
      'other',
    )
  })
})

describe('isShadowed()', () => {
  it.each([
    { weirShadow: 'r=5be2a91f; c=10.0.0.1', is: true },
    { weirShadow: 'r=forged; c=10.0.0.1', is: false },
    { weirShadow: 'r=5be2a91f; c=10.0.0.2', is: false }, // handed on by 10.0.0.2's server
    { weirShadow: 'r=forged; c=1.1.1.1, r=5be2a91f; c=10.0.0.1', is: false },
    { weirShadow: 'HUBBLE_REDACTED', is: false },
    { weirShadow: '', is: false },
  ])('$weirShadow: $is', ({ weirShadow, is }) => {
    expect(isShadowed(exchange({ weirShadow }, { sourceIp }), limits)).toBe(is)
  })
})
