import type { Exchange } from '../model/exchange.ts'
import { REDACTED } from '../model/flow-view.ts'
import { canonicalAddress } from '../model/ip-address.ts'
import type { LimitsInForce } from '../model/limit.ts'
import { markOf, shadowMarkOf, type WeirMark } from '../model/weir-mark.ts'

const TOO_MANY = 429

/**
 * Who refused a call, where a rate limit did. A mark counts only with a revision of ours that is in
 * force and the caller's own address, on an answer that a limit can give: backends may send back what
 * clients sent. Where values are redacted the mark itself counts, as long as any limit is in force.
 */
export function limiterOf(exchange: Exchange, limits: LimitsInForce): 'weir' | 'other' | null {
  const { status, weirMark } = exchange
  if (status !== TOO_MANY && !mayBeRefusedGrpc(exchange)) return null
  const redacted = weirMark === REDACTED && limits.revisions.size > 0
  if (redacted || isOurs(markOf(weirMark), limits.revisions, exchange)) return 'weir'
  return status === TOO_MANY ? 'other' : null
}

/** Envoy refuses gRPC with HTTP 200; the gRPC status stands where Hubble does not look. */
function mayBeRefusedGrpc({ status, method, protocol, weirMark }: Exchange): boolean {
  const mayBeGrpc = method === '' || method === 'POST'
  return status === 200 && weirMark !== '' && mayBeGrpc && !protocol.startsWith('HTTP/1')
}

/** Our shadow limit marked the call. Clients can send this header, and backends hand it on: only a nonce in force counts, with the caller's address. */
export function isShadowed(exchange: Exchange, limits: LimitsInForce): boolean {
  if (limits.nonces.size === 0) return false
  return isOurs(shadowMarkOf(exchange.weirShadow), limits.nonces, exchange)
}

/** Envoy keys on the connection's source, which Hubble shows too; where it does not, nothing is known against the mark. */
function isOurs(
  mark: WeirMark | undefined,
  inForce: ReadonlySet<string>,
  { report, twin }: Exchange,
): boolean {
  if (mark === undefined || !inForce.has(mark.value)) return false
  const seen = [report.sourceIp, twin?.sourceIp ?? ''].filter((ip) => ip !== '')
  return seen.length === 0 || seen.some((ip) => canonicalAddress(ip) === mark.address)
}
