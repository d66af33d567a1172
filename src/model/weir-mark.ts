import { canonicalAddress } from './ip-address.ts'

/** What a header of ours says. Anyone can send one: only values that are ours now are evidence. */
export interface WeirMark {
  /** The revision, or the shadow's nonce. */
  readonly value: string
  /** The address that Envoy keyed on. */
  readonly address: string
}

/** Of the response header `x-weir`; undefined for anything that our plans do not write. */
export function markOf(header: string): WeirMark | undefined {
  return parse(/^enforce; r=([0-9a-f]{8}); c=([0-9a-fA-F.:]{2,45})$/, header)
}

/** Of the request header `x-weir-would-limit`. */
export function shadowMarkOf(header: string): WeirMark | undefined {
  return parse(/^r=([0-9a-f]{8}); c=([0-9a-fA-F.:]{2,45})$/, header)
}

function parse(form: RegExp, header: string): WeirMark | undefined {
  if (header === '') return undefined
  const [, value, client] = form.exec(header) ?? []
  const address = client === undefined ? undefined : canonicalAddress(client)
  return value === undefined || address === undefined ? undefined : { value, address }
}
