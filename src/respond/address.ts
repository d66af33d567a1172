import { BlockList, isIPv4 } from 'node:net'
import { ConfigError } from '../errors.ts'
import { canonicalAddress } from '../model/ip-address.ts'

/** Addresses and CIDRs that are never limited: nodes, gateways, probes, whatever the operator lists. */
export class AddressList {
  readonly #entries = new BlockList()

  /** @throws {ConfigError} naming each entry that is neither an address nor a CIDR. */
  constructor(entries: readonly string[]) {
    const wrong = entries.filter((entry) => !this.#add(entry))
    if (wrong.length > 0) {
      throw new ConfigError(`Cannot protect ${wrong.join(', ')}: neither an address nor a CIDR`)
    }
  }

  covers(address: string): boolean {
    return this.#entries.check(address, isIPv4(address) ? 'ipv4' : 'ipv6')
  }

  #add(entry: string): boolean {
    const [written = '', length, ...rest] = entry.split('/')
    const address = canonicalAddress(written)
    if (address === undefined || rest.length > 0) return false
    const family = isIPv4(address) ? 'ipv4' : 'ipv6'
    // A network of mapped addresses is written in IPv6's bits; it is not clear which ones are meant.
    if (length !== undefined && family === 'ipv4' && written.includes(':')) return false
    if (length === undefined) {
      this.#entries.addAddress(address, family)
      return true
    }
    const bits = /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN
    if (!(bits <= (family === 'ipv4' ? 32 : 128))) return false
    this.#entries.addSubnet(address, bits, family)
    return true
  }
}

/** Addresses that no remote client has: a limit on one would hit the node itself, or nobody. */
export const NO_CLIENT = new AddressList([
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/3',
  '::/128',
  '::1/128',
  'fe80::/10',
  'ff00::/8',
])
