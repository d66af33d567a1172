import type { Exchange } from '../model/exchange.ts'
import type { LimitsInForce } from '../model/limit.ts'

/** What Hubble writes in place of a value that the cluster's operator redacts. */
const REDACTED = 'HUBBLE_REDACTED'
const ENFORCED = /^enforce; r=([0-9a-f]+); c=[0-9a-fA-F:.]+$/
const SHADOWED = /^r=([^;,\s]+); c=[0-9a-fA-F:.]+$/
const TOO_MANY = 429

/**
 * Who refused a call, where a rate limit did. A mark counts only with a revision of ours that is in
 * force, on an answer that a limit can give: backends may send back what clients sent. Where values
 * are redacted the mark itself counts, as long as any limit is in force.
 */
export function limiterOf(exchange: Exchange, limits: LimitsInForce): 'weir' | 'other' | null {
  const { status, weirMark } = exchange
  if (status !== TOO_MANY && !mayBeRefusedGrpc(exchange)) return null
  const redacted = weirMark === REDACTED && limits.revisions.size > 0
  const revision = ENFORCED.exec(weirMark)?.[1]
  if (redacted || (revision !== undefined && limits.revisions.has(revision))) return 'weir'
  return status === TOO_MANY ? 'other' : null
}

/** Envoy refuses gRPC with HTTP 200; the gRPC status stands where Hubble does not look. */
function mayBeRefusedGrpc({ status, method, protocol, weirMark }: Exchange): boolean {
  const mayBeGrpc = method === '' || method === 'POST'
  return status === 200 && weirMark !== '' && mayBeGrpc && !protocol.startsWith('HTTP/1')
}

/** Our shadow limit marked the call. Clients can send this header, so only a nonce in force counts. */
export function isShadowed(exchange: Exchange, limits: LimitsInForce): boolean {
  if (exchange.weirShadow === '' || limits.nonces.size === 0) return false
  const nonce = SHADOWED.exec(exchange.weirShadow)?.[1]
  return nonce !== undefined && limits.nonces.has(nonce)
}
