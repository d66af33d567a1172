import type { Client, ClientApplication, ClientKind } from '../model/api.ts'
import { type Endpoint, workloadOf } from '../model/endpoint.ts'
import { keptText, ownText } from '../runtime/kept-text.ts'
import { forwardedAddress } from './forwarded-for.ts'
import { NAME_CHARS_MAX, NAMES_MAX, sourceFactsOf } from './source-facts.ts'

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
  /** What is declared of the application behind a client id. */
  readonly subscriber?: ClientApplication | undefined
  readonly forwardedFor: string
  readonly source: Endpoint
  readonly sourceIp: string
  /** DNS names of that address. */
  readonly sourceNames?: readonly string[]
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
/** More than any name that Kubernetes takes, with its namespace. */
const VALUE_MAX = 512
const UNKNOWN = 'unknown'

interface Known {
  /** Without an application, which may be another one in each call. */
  client: Client
  /** The one with an application that was given out last. */
  told: Client
}

/**
 * Names the client of each call. Clients are interned, at most `clientsMax` (`evicted` counts what
 * that cost: the addresses and names seen before). A client of which something new is seen becomes
 * a new object: records that hold the old one do not change.
 */
export class ClientNamer {
  evicted = 0
  readonly #order: readonly ClientKind[]
  readonly #trustedHops: number
  readonly #clientsMax: number
  readonly #byKey = new Map<string, Known>()

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
      if (value !== '') return { client: this.#intern(kind, value, address, sighting), address }
    }
    const value = sighting.sourceIp || UNKNOWN
    return { client: this.#intern('ip', value, own, sighting), address: own }
  }

  #intern(kind: ClientKind, named: string, address: string, sighting: Sighting): Client {
    const value = keptText(named, VALUE_MAX)
    const key = `${kind}:${value}`
    const known = this.#byKey.get(key)
    const before = known?.client ?? { kind, value: ownText(value), addresses: [] }
    const client = withSighting(before, address, sighting)
    const told = withApplication(client, sighting.subscriber, known)
    if (known === undefined) {
      if (this.#byKey.size >= this.#clientsMax) this.#evictFirst()
      this.#byKey.set(key, { client, told })
    } else {
      known.client = client
      known.told = told
    }
    return told
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

/** The client with what this sighting adds to it; itself where that is nothing. */
function withSighting(client: Client, address: string, sighting: Sighting): Client {
  const { kind, value } = client
  const addresses = withNewest(client.addresses, address === '' ? [] : [address], ADDRESSES_MAX)
  let { names, serviceAccount } = client
  // Clients of other kinds are somebody behind the source, and nobody is at no address.
  if (kind === 'workload' || (kind === 'ip' && sighting.sourceIp !== '')) {
    const facts = sourceFactsOf(sighting.source)
    if (facts.serviceAccount !== '') ({ serviceAccount } = facts)
    if (kind === 'ip') names = withNames(names, facts.names, sighting.sourceNames ?? [])
  }
  if (
    addresses === client.addresses &&
    names === client.names &&
    serviceAccount === client.serviceAccount
  ) {
    return client
  }
  return {
    kind,
    value,
    addresses,
    ...(names !== undefined && { names }),
    ...(serviceAccount !== undefined && { serviceAccount }),
  }
}

function withNames(
  known: readonly string[] | undefined,
  labelled: readonly string[],
  learnt: readonly string[],
): readonly string[] | undefined {
  if (labelled.length === 0 && learnt.length === 0) return known
  const credible = learnt.filter((name) => name !== '' && name.length <= NAME_CHARS_MAX)
  // Cut before it is compared, else what finds no room would push out the rest call after call.
  const seen = [...new Set([...labelled, ...credible])].slice(0, NAMES_MAX)
  return seen.length === 0 ? known : withNewest(known ?? [], seen, NAMES_MAX)
}

/** `list` with what it lacks of `seen`, the newest last, at most `max`; itself where it lacks nothing. */
function withNewest(
  list: readonly string[],
  seen: readonly string[],
  max: number,
): readonly string[] {
  const added = seen.filter((item) => !list.includes(item))
  // What is kept must not keep the header alive that it was cut from.
  return added.length === 0 ? list : [...list, ...added.map(ownText)].slice(-max)
}

function withApplication(
  client: Client,
  application: ClientApplication | undefined,
  known: Known | undefined,
): Client {
  if (application === undefined) return client
  if (known?.client === client && known.told.application === application) return known.told
  return { ...client, application }
}
