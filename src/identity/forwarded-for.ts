import { canonicalAddress } from '../model/ip-address.ts'

/**
 * A header that is this long was cut off before it came here, and lost its end: the only part that
 * proxies write. What stands last in it then is what the client filled it with.
 */
const CUT_FROM = 1_024
/** `a.b.c.d:port`, which some load balancers write. */
const IPV4_WITH_PORT = /^(\d{1,3}(?:\.\d{1,3}){3}):\d{1,5}$/
/** `[a:b::c]`, `[a:b::c]:port`. */
const BRACKETED = /^\[([^\]]*)\](?::\d{1,5})?$/

/**
 * The address that `trustedHops` proxies vouch for in an X-Forwarded-For header: the last entry for
 * one hop, as Envoy's `xff_num_trusted_hops` counts. Whatever stands before it was written by the
 * client. '' where there are fewer entries, or the entry is no address: never the next best one.
 */
export function forwardedAddress(header: string, trustedHops: number): string {
  if (trustedHops <= 0 || header === '' || header.length >= CUT_FROM) return ''
  const entry = header.split(',').at(-trustedHops)?.trim() ?? ''
  const bare = IPV4_WITH_PORT.exec(entry)?.[1] ?? BRACKETED.exec(entry)?.[1] ?? entry
  return canonicalAddress(bare) ?? ''
}
