import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createClaimReader } from '../../../src/identity/api-claim.ts'
import { REDACTED } from '../../../src/model/flow-view.ts'

const headers = (of: Readonly<Record<string, string>>) => (name: string) => of[name] ?? ''
const tokenOf = (claims: unknown): string =>
  `h.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.s`
const read = createClaimReader({ backendJwtHeader: 'X-JWT-Assertion' })

describe('what headers say of an API', () => {
  it('is taken as it came', () => {
    const said = { 'x-api-id': 'i', 'x-api-name': 'n', 'x-api-version': 'v' }
    expect(read(headers(said))).toEqual({ id: 'i', name: 'n', version: 'v', token: null })
  })
  it('is nothing where there is none, or it is redacted', () => {
    expect(read(headers({ accept: '*/*' }))).toBeNull()
    expect(read(headers({ 'x-api-id': REDACTED }))).toBeNull()
  })
  it('is cut where it is long', () => {
    expect(read(headers({ 'x-api-id': 'x'.repeat(9_999) }))?.id).toHaveLength(256)
  })
})

describe("a gateway's token", () => {
  const claims = {
    'http://wso2.org/claims/apiname': 'Orders',
    'http://wso2.org/claims/version': '1.0.0',
    'http://wso2.org/claims/apicontext': '/orders/1.0.0',
    'http://wso2.org/claims/keytype': 'SANDBOX',
    'http://wso2.org/claims/applicationname': 'web',
    'http://wso2.org/claims/enduser': 'alice@example.com',
    sub: 'alice',
  }
  it('tells API and application, and nothing of it is kept besides', () => {
    const said = read(headers({ 'x-jwt-assertion': tokenOf(claims) }))
    expect(said?.token).toEqual({
      name: 'Orders',
      version: '1.0.0',
      context: '/orders/1.0.0',
      sandbox: true,
      application: 'web',
    })
    expect(JSON.stringify(said)).not.toContain('alice')
  })
  it('may stand behind Bearer, with short names', () => {
    const value = `Bearer ${tokenOf({ apiname: 'Orders', version: 2 })}`
    const token = createClaimReader({ backendJwtHeader: 'authorization' })(
      headers({ authorization: value }),
    )?.token
    expect(token).toMatchObject({ name: 'Orders', version: '2', sandbox: false })
  })
  it('is not looked at where no header is configured', () => {
    expect(createClaimReader()(headers({ 'x-jwt-assertion': tokenOf(claims) }))).toBeNull()
  })
  it.each([
    { why: 'no token', value: 'x' },
    { why: 'redacted', value: REDACTED },
    { why: 'no JSON', value: 'a.b.c' },
    { why: 'a list', value: tokenOf([1]) },
    { why: 'no API', value: tokenOf({ sub: 'x' }) },
    { why: 'an object for a name', value: tokenOf({ apiname: {} }) },
    { why: 'far too long', value: tokenOf({ apiname: 'a', x: 'x'.repeat(20_000) }) },
  ])('tells nothing: $why', ({ value }) => {
    expect(read(headers({ 'x-jwt-assertion': value }))).toBeNull()
  })
  it('never throws, whatever it is', () => {
    const property = fc.property(fc.string(), fc.json(), (text, json) => {
      read(headers({ 'x-jwt-assertion': text, 'x-api-id': text }))
      read(headers({ 'x-jwt-assertion': tokenOf(JSON.parse(json)) }))
    })
    fc.assert(property)
  })
})
