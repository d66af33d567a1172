import { isIP } from 'node:net'
import type { Client, ClientKind } from '../model/api.ts'
import { type Endpoint, workloadOf } from '../model/endpoint.ts'

export interface ClientOptions {
  /** What a client is named after; the first that the call has. An address is always the last resort. */
  readonly order?: readonly ClientKind[]
  /** Proxies in front that append to X-Forwarded-For and can be believed; 0: the header is not read. */
  readonly trustedHops?: number
  /** Clients that are remembered with their addresses; beyond it the first one seen leaves. */
  readonly clientsMax?: number
}

/** What a call tells about who made it. */
export interface Sighting {
  /** Hashed; '' where the header is absent. In the order of the configured headers. */
  readonly identityValues: readonly string[]
  /** '' where none is known. */
  readonly application: string
  readonly forwardedFor: string
  readonly source: Endpoint
  readonly sourceIp: string
  /** The source address is that of a gateway's pod: it stands for all who call through it. */
  readonly sharedAddress: boolean
}

export interface NamedClient {
  readonly client: Client
  /** What a limit on this client would be keyed on; '' where that would be an address of everybody. */
  readonly address: string
}

const CLIENT_ORDER: readonly ClientKind[] = ['header', 'application', 'xff', 'workload', 'ip']
const CLIENTS_MAX = 50_000
const ADDRESSES_MAX = 20
const UNKNOWN = 'unknown'

/**
 * Names the client of each call. Clients are interned, at most `clientsMax` (`evicted` counts what
 * that cost: the addresses seen before). A client that is seen at a new address becomes a new
 * object: records that hold the old one do not change.
 */
export class ClientNamer {
  evicted = 0
  readonly #order: readonly ClientKind[]
  readonly #trustedHops: number
  readonly #clientsMax: number
  readonly #byKey = new Map<string, Client>()

  constructor(options: ClientOptions = {}) {
    this.#order = options.order ?? CLIENT_ORDER
    this.#trustedHops = options.trustedHops ?? 0
    this.#clientsMax = options.clientsMax ?? CLIENTS_MAX
  }

  get size(): number {
    return this.#byKey.size
  }

  nameOf(sighting: Sighting): NamedClient {
    const forwarded = forwardedAddress(sighting.forwardedFor, this.#trustedHops)
    const own = sighting.sharedAddress ? '' : sighting.sourceIp
    const address = forwarded === '' ? own : forwarded
    for (const kind of this.#order) {
      const value = valueOf(kind, sighting, forwarded)
      if (value !== '') return { client: this.#intern(kind, value, address), address }
    }
    return { client: this.#intern('ip', sighting.sourceIp || UNKNOWN, own), address: own }
  }

  #intern(kind: ClientKind, value: string, address: string): Client {
    const key = `${kind}:${value}`
    const known = this.#byKey.get(key)
    if (known !== undefined && (address === '' || known.addresses.includes(address))) return known
    const before = known === undefined ? [] : known.addresses.slice(1 - ADDRESSES_MAX)
    const client = { kind, value, addresses: address === '' ? before : [...before, address] }
    if (known === undefined && this.#byKey.size >= this.#clientsMax) this.#evictFirst()
    this.#byKey.set(key, client)
    return client
  }

  #evictFirst(): void {
    for (const key of this.#byKey.keys()) {
      this.#byKey.delete(key)
      this.evicted++
      return
    }
  }
}

function valueOf(kind: ClientKind, sighting: Sighting, forwarded: string): string {
  switch (kind) {
    case 'header':
      return sighting.identityValues.find((value) => value !== '') ?? ''
    case 'application':
      return sighting.application
    case 'xff':
      return forwarded
    case 'workload':
      return sighting.source.pod === '' && sighting.source.workload === ''
        ? ''
        : workloadOf(sighting.source)
    case 'ip':
      return sighting.sourceIp
  }
}

/**
 * The address that `trustedHops` proxies vouch for: the last entry for one hop, as Envoy's
 * `xff_num_trusted_hops` counts. Whatever stands before it was written by the client.
 * '' where there are fewer entries, or the entry is no address.
 */
function forwardedAddress(forwardedFor: string, trustedHops: number): string {
  if (trustedHops <= 0 || forwardedFor === '') return ''
  const entry = forwardedFor.split(',').at(-trustedHops)?.trim() ?? ''
  const bare = entry.startsWith('[')
    ? entry.slice(1).replace(/\](?::\d+)?$/, '')
    : entry.replace(/^([\d.]+):\d+$/, '$1')
  return isIP(bare) === 0 ? '' : bare.toLowerCase()
}
