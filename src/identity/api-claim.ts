import type { ApiClaim, TokenClaim } from '../model/exchange.ts'
import { REDACTED } from '../model/flow-view.ts'
import { keptText } from '../runtime/kept-text.ts'
import { IDENTITY_HEADERS } from './evidence.ts'
import { fieldOf, textOf } from './kubernetes-object.ts'

export interface ClaimOptions {
  /**
   * Header with the token that the gateway writes for its backends (`X-JWT-Assertion`, say), any case.
   * Absent: no token is looked at. A token is decoded, not verified: it counts only from a gateway.
   */
  readonly backendJwtHeader?: string | undefined
}

const VALUE_MAX = 256
const TOKEN_MAX = 16_384

/**
 * Reads what the headers of a request say of its API; null where they say nothing. `header` gives the
 * value of a header by its lower-case name, '' where it is absent. Neither the token nor a claim that
 * is not asked for is kept.
 * Source of the claims: wso2/apk 1.3.0, backend JWT (names behind any dialect).
 */
export function createClaimReader(
  options: ClaimOptions = {},
): (header: (name: string) => string) => ApiClaim | null {
  const tokenHeader = options.backendJwtHeader?.toLowerCase()
  return (header) => {
    const valueOf = (name: string): string => {
      const value = header(name)
      return value === REDACTED ? '' : keptText(value, VALUE_MAX)
    }
    const [id = '', name = '', version = ''] = IDENTITY_HEADERS.map(valueOf)
    const token = tokenHeader === undefined ? null : tokenClaimOf(header(tokenHeader))
    if (id === '' && name === '' && version === '' && token === null) return null
    return { id, name, version, token }
  }
}

function tokenClaimOf(header: string): TokenClaim | null {
  if (header === '' || header.length > TOKEN_MAX) return null
  const [, payload = ''] = header.replace(/^bearer\s+/i, '').split('.')
  let claims: unknown
  try {
    claims = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
  } catch {
    return null
  }
  if (typeof claims !== 'object' || claims === null || Array.isArray(claims)) return null
  const byName = new Map<string, unknown>()
  for (const name of Object.keys(claims)) {
    byName.set(name.slice(name.lastIndexOf('/') + 1).toLowerCase(), fieldOf(claims, name))
  }
  const claim = (name: string): string => keptText(textOf(byName.get(name)), VALUE_MAX)
  const name = claim('apiname')
  if (name === '') return null
  return {
    name,
    version: claim('version'),
    context: claim('apicontext'),
    sandbox: claim('keytype').toLowerCase() === 'sandbox',
    application: claim('applicationname'),
  }
}
