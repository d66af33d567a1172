import { ConfigError } from '../../errors.ts'
import type { Endpoint } from '../../model/endpoint.ts'
import { type FlowView, L4Protocol } from '../../model/flow-view.ts'
import { canonicalAddress } from '../../model/ip-address.ts'
import type { WorkloadEntry } from './filter-entry.ts'
import { equalsOne, type FilterTerm, filterTerm } from './filter-term.ts'
import { type IpNetwork, isInNetworks, parseNetwork } from './ip-network.ts'
import { labelSelector } from './label-selector.ts'
import { fqdnPattern } from './name-pattern.ts'

/** One end of a flow, as a view shows it. */
interface End {
  readonly endpoint: (view: FlowView) => Endpoint
  readonly ip: (view: FlowView) => string
  readonly port: (view: FlowView) => number
  readonly service: (view: FlowView) => string
  readonly names: (view: FlowView) => readonly string[]
}

const ENDS: { readonly [end in 'source' | 'destination']: End } = {
  source: {
    endpoint: (view) => view.source,
    ip: (view) => view.sourceIp(),
    port: (view) => view.sourcePort,
    service: (view) => view.sourceService(),
    names: (view) => view.sourceNames(),
  },
  destination: {
    endpoint: (view) => view.destination,
    ip: (view) => view.destinationIp(),
    port: (view) => view.destinationPort,
    service: (view) => view.destinationService(),
    names: (view) => view.destinationNames(),
  },
}

const PORT_MAX = 65_535
const IDENTITY_MAX = 2 ** 32 - 1

/**
 * Keys about one end of a flow, without the end's name. Source of the meanings: cilium v1.20.2
 * `pkg/hubble/filters`, files `ip.go`, `k8s.go`, `labels.go`, `port.go`, `workload.go` and so on.
 */
export function endTerms(end: 'source' | 'destination') {
  const { endpoint, ip, port, service, names } = ENDS[end]
  return {
    identity: filterTerm({
      reads: [`${end}.identity`],
      parse: identityOf,
      test: (identities) => equalsOne(identities, (view) => endpoint(view).identity),
    }),
    port: filterTerm({
      reads: ['l4'],
      parse: portOf,
      wire: String,
      test: (ports) => {
        const isWanted = equalsOne(ports, port)
        return (view) => hasPorts(view) && isWanted(view)
      },
    }),
    clusterName: filterTerm({
      reads: [`${end}.cluster_name`],
      parse: textOf,
      test: (clusters) => equalsOne(clusters, (view) => endpoint(view).cluster),
    }),
    workload: filterTerm({
      reads: [`${end}.workloads`],
      parse: workloadOf,
      test: (workloads) => (view) => {
        const found = endpoint(view)
        if (found.workload === '') return false
        for (const { name, kind } of workloads) {
          const fits = name === '' || name === found.workload
          if (fits && (kind === '' || kind === found.workloadKind)) return true
        }
        return false
      },
    }),
    pod: filterTerm({
      reads: [`${end}.namespace`, `${end}.pod_name`],
      parse: namespacedOf,
      test: (wanted) => (view) => {
        const { namespace, pod } = endpoint(view)
        if (namespace === '' && pod === '') return false
        for (const one of wanted) {
          const fits = one.namespace === '' || one.namespace === namespace
          if (fits && pod.startsWith(one.prefix)) return true
        }
        return false
      },
    }),
    service: filterTerm({
      reads: [`${end}_service`],
      parse: namespacedOf,
      test: (wanted) => (view) => {
        const found = service(view)
        if (found === '') return false
        const slash = found.indexOf('/')
        for (const one of wanted) {
          const fits = one.namespace === '' || found.startsWith(one.namespaceSlash)
          if (fits && found.startsWith(one.prefix, slash + 1)) return true
        }
        return false
      },
    }),
    ip: ipTerm(end, ip),
    label: labelTerm(end, endpoint),
    fqdn: filterTerm({
      reads: [`${end}_names`],
      parse: fqdnPattern,
      test: (patterns) => (view) => {
        for (const name of names(view)) {
          for (const matches of patterns) if (matches(name)) return true
        }
        return false
      },
    }),
  }
}

function ipTerm(end: string, ip: End['ip']): FilterTerm {
  return filterTerm<string, { text: string; network: IpNetwork | undefined }>({
    reads: [`IP.${end}`],
    parse: (text) => {
      const network = parseNetwork(text)
      const address = canonicalAddress(text)
      if (network === undefined && address === undefined) {
        throw new ConfigError('must be an address or a CIDR, such as 10.0.0.0/8 or fd00::/8')
      }
      return { text: address ?? text, network }
    },
    wire: ({ text }) => text,
    test: (parsed) => {
      const addresses = parsed
        .filter(({ network }) => network === undefined)
        .map(({ text }) => text)
      const networks = parsed.flatMap(({ network }) => (network === undefined ? [] : [network]))
      return (view) => {
        const address = ip(view)
        if (addresses.length > 0 && addresses.includes(address)) return true
        return networks.length > 0 && isInNetworks(networks, address)
      }
    },
  })
}

/** An endpoint never changes, so the answer is kept with it; a flow costs one look-up. */
function labelTerm(end: string, endpoint: End['endpoint']): FilterTerm {
  return filterTerm({
    reads: [`${end}.labels`],
    parse: labelSelector,
    test: (selectors) => {
      const answers = new WeakMap<Endpoint, boolean>()
      return (view) => {
        const found = endpoint(view)
        const known = answers.get(found)
        if (known !== undefined) return known
        const answer = selectors.some((matches) => matches(found.labels))
        answers.set(found, answer)
        return answer
      }
    },
  })
}

function hasPorts({ l4Protocol }: FlowView): boolean {
  return (
    l4Protocol === L4Protocol.tcp || l4Protocol === L4Protocol.udp || l4Protocol === L4Protocol.sctp
  )
}

function portOf(value: string | number): number {
  const port = Number(value)
  if (/^\d{1,5}$/.test(String(value)) && port <= PORT_MAX) return port
  throw new ConfigError(`must be a port, 0 to ${PORT_MAX}`)
}

/** A view cannot tell identity 0 from no endpoint at all. */
function identityOf(identity: number): number {
  if (Number.isInteger(identity) && identity > 0 && identity <= IDENTITY_MAX) return identity
  throw new ConfigError('must be the number of an identity, 1 or more (host is 1, world is 2)')
}

function textOf(text: string): string {
  if (text !== '') return text
  throw new ConfigError('must not be empty')
}

function workloadOf({ name = '', kind = '' }: WorkloadEntry): { name: string; kind: string } {
  if (name !== '' || kind !== '') return { name, kind }
  throw new ConfigError('needs a name, a kind, or both')
}

interface Namespaced {
  /** '': any. */
  readonly namespace: string
  readonly namespaceSlash: string
  readonly prefix: string
}

/** Source: cilium v1.20.2 `pkg/hubble/k8s/utils.go`. */
function namespacedOf(text: string): Namespaced {
  const parts = text.split('/')
  if (text === '' || parts.length > 2) {
    throw new ConfigError(
      'must be NAMESPACE/PREFIX, NAMESPACE/, /PREFIX, or PREFIX for namespace default',
    )
  }
  const [prefix = '', namespace = 'default'] = parts.toReversed()
  return { namespace, namespaceSlash: `${namespace}/`, prefix }
}
