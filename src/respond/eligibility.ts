import { canonicalAddress } from '../model/ip-address.ts'
import { type AddressList, NO_CLIENT } from './address.ts'
import { fieldAt, fieldOf, itemsOf, textOf } from './canonical-json.ts'
import { cecNameOf, MANAGED_BY, MANAGED_BY_LABEL } from './scaffold.ts'

/** What is known of a Service's surroundings. Objects are as the API server or a manifest has them. */
export interface ServiceFacts {
  /** The Service object; undefined where it is not known. */
  readonly service: unknown
  /** Labels of its namespace; undefined where the namespace is not visible. */
  readonly namespaceLabels: { readonly [name: string]: string } | undefined
  /** All CiliumEnvoyConfigs and CiliumClusterwideEnvoyConfigs, of all namespaces. */
  readonly cecs: readonly unknown[]
  /** All routes of the Gateway API that may name a Service as parent, of all namespaces. */
  readonly routes: readonly unknown[]
  /** Addresses of the Service's endpoints. */
  readonly endpointAddresses: readonly string[]
  /** Who called it in the last day from outside of pods, as far as flows show; absent: nobody seen. */
  readonly outsideCaller?: string
}

export type IneligibleCode =
  | 'service_unknown'
  | 'service_type'
  | 'external_ips'
  | 'headless'
  | 'session_affinity'
  | 'traffic_policy_local'
  | 'traffic_distribution'
  | 'lb_l7'
  | 'port'
  | 'gamma'
  | 'outside_client'
  | 'other_cec'
  | 'name_taken'
  | 'gitops'
  | 'not_opted_in'
  | 'no_address'
  | 'too_many_addresses'
  | 'bad_address'
  | 'protected_address'
  | 'client_is_backend'

export interface Ineligible {
  readonly code: IneligibleCode
  readonly message: string
}

export const OPT_IN_LABEL = 'weir.dev/enforce'

const LB_L7_ANNOTATION = 'service.cilium.io/lb-l7'
const TOPOLOGY_ANNOTATIONS = [
  'service.kubernetes.io/topology-mode',
  'service.kubernetes.io/topology-aware-hints',
]
const GITOPS_MARKERS = [
  'argocd.argoproj.io/tracking-id',
  'argocd.argoproj.io/instance',
  'app.kubernetes.io/instance',
  'kustomize.toolkit.fluxcd.io/name',
  'helm.toolkit.fluxcd.io/name',
  'meta.helm.sh/release-name',
]
const GITOPS_MANAGERS = ['argocd-controller', 'kustomize-controller', 'helm-controller', 'helm']
const TLS_PROTOCOLS = ['https', 'tls', 'kubernetes.io/wss']

/** Why no CEC of ours may take over the Service's port; empty where one may. Every reason at once. */
export function serviceProblems(
  place: { readonly namespace: string; readonly service: string; readonly port: number },
  facts: ServiceFacts,
): Ineligible[] {
  const name = `${place.namespace}/${place.service}`
  const cecs = cecProblems(place.namespace, place.service, facts.cecs)
  if (facts.service === undefined) {
    return [{ code: 'service_unknown', message: `Service ${name} is not known` }, ...cecs]
  }
  const problems: Ineligible[] = []
  const add = (code: IneligibleCode, message: string): void => {
    problems.push({ code, message: `Service ${name} ${message}` })
  }
  const spec = fieldOf(facts.service, 'spec')
  const annotations = fieldAt(facts.service, 'metadata', 'annotations')
  const type = textOf(fieldOf(spec, 'type')) || 'ClusterIP'
  if (type !== 'ClusterIP')
    add('service_type', `is of type ${type}: its other clients would get 500s`)
  if (itemsOf(fieldOf(spec, 'externalIPs')).length > 0) {
    add('external_ips', 'has externalIPs: their clients would get 500s')
  }
  if (fieldOf(spec, 'clusterIP') === 'None')
    add('headless', 'is headless: nothing would be redirected')
  const affinity = fieldOf(spec, 'sessionAffinity') ?? 'None'
  if (affinity !== 'None')
    add('session_affinity', 'has sessionAffinity: a redirect freezes its endpoints')
  for (const field of ['externalTrafficPolicy', 'internalTrafficPolicy']) {
    if (fieldOf(spec, field) === 'Local') add('traffic_policy_local', `has ${field} Local`)
  }
  const topology = TOPOLOGY_ANNOTATIONS.filter((key) => {
    return !['', 'disabled'].includes(textOf(fieldOf(annotations, key)).toLowerCase())
  })
  if (textOf(fieldOf(spec, 'trafficDistribution')) !== '' || topology.length > 0) {
    add('traffic_distribution', 'has traffic distribution, which Envoy would ignore')
  }
  if (fieldOf(annotations, LB_L7_ANNOTATION) !== undefined) {
    add('lb_l7', `has the annotation ${LB_L7_ANNOTATION}: Cilium owns its CEC`)
  }
  const wrongPort = portProblem(place.port, itemsOf(fieldOf(spec, 'ports')))
  if (wrongPort !== undefined) add('port', wrongPort)
  if (facts.routes.some((route) => hasParent(route, place.namespace, place.service))) {
    add('gamma', 'is the parent of a route (GAMMA): Cilium owns its CEC')
  }
  if (facts.outsideCaller !== undefined) {
    add('outside_client', `is called by ${facts.outsideCaller}, which is no pod: it would get 500s`)
  }
  return [...problems, ...cecs]
}

/** Whether the namespace's owners have agreed; undefined where the namespace is not visible. */
export function isOptedIn(facts: ServiceFacts): boolean | undefined {
  if (facts.namespaceLabels === undefined) return undefined
  return fieldOf(facts.namespaceLabels, OPT_IN_LABEL) === 'enabled'
}

/** The addresses to key on, as Envoy writes them, sorted; or why these must not be limited. */
export function limitableAddresses(
  addresses: readonly string[],
  options: { readonly protect: AddressList; readonly addressesMax: number },
): { readonly addresses: readonly string[] } | Ineligible {
  if (addresses.length === 0)
    return { code: 'no_address', message: 'no address of the client is known' }
  if (addresses.length > options.addressesMax) {
    const message = `the client has ${addresses.length} addresses, at most ${options.addressesMax}`
    return { code: 'too_many_addresses', message }
  }
  const canonical = new Set<string>()
  for (const raw of addresses) {
    const address = canonicalAddress(raw)
    if (address === undefined) {
      return {
        code: 'bad_address',
        message: `${JSON.stringify(raw.slice(0, 64))} is not an IP address`,
      }
    }
    if (NO_CLIENT.covers(address) || options.protect.covers(address)) {
      return { code: 'protected_address', message: `${address} must never be limited` }
    }
    canonical.add(address)
  }
  return { addresses: [...canonical].toSorted() }
}

/** A pod that calls its own Service hangs behind the redirect (cilium#39531), so its Service is left alone. */
export function backendProblem(
  addresses: readonly string[],
  facts: ServiceFacts,
): Ineligible | undefined {
  const backends = new Set(facts.endpointAddresses.map(canonicalAddress))
  const own = addresses.find((address) => backends.has(address))
  if (own === undefined) return undefined
  return {
    code: 'client_is_backend',
    message: `the client ${own} is a backend of the Service itself`,
  }
}

function portProblem(port: number, ports: readonly unknown[]): string | undefined {
  const entry = ports.find((candidate) => fieldOf(candidate, 'port') === port)
  if (!Number.isInteger(port) || port < 1 || port > 65_535 || entry === undefined) {
    return `has no port ${port}`
  }
  const protocol = fieldOf(entry, 'protocol') ?? 'TCP'
  if (protocol !== 'TCP') return `has port ${port} for ${textOf(protocol)}, not TCP`
  const app = textOf(fieldOf(entry, 'appProtocol')).toLowerCase()
  if (TLS_PROTOCOLS.includes(app)) return `has port ${port} for ${app}: Envoy could not read it`
  return undefined
}

function cecProblems(namespace: string, service: string, cecs: readonly unknown[]): Ineligible[] {
  const problems: Ineligible[] = []
  for (const cec of cecs) {
    const metadata = fieldOf(cec, 'metadata')
    const name = textOf(fieldOf(metadata, 'name'))
    const home = textOf(fieldOf(metadata, 'namespace'))
    const shown = home === '' ? name : `${home}/${name}`
    if (home === namespace && name === cecNameOf(service)) {
      if (fieldAt(metadata, 'labels', MANAGED_BY_LABEL) !== MANAGED_BY) {
        problems.push({ code: 'name_taken', message: `CEC ${shown} exists and is not Weir's` })
      } else if (isGitOpsOwned(metadata)) {
        problems.push({
          code: 'gitops',
          message: `CEC ${shown} is kept by GitOps, which would revert us`,
        })
      }
      continue
    }
    const named = ['services', 'backendServices'].some((list) =>
      itemsOf(fieldAt(cec, 'spec', list)).some(
        // As written: the agent does not default a missing namespace.
        (entry) => fieldOf(entry, 'name') === service && fieldOf(entry, 'namespace') === namespace,
      ),
    )
    if (named) {
      problems.push({
        code: 'other_cec',
        message: `CEC ${shown} names ${namespace}/${service} too`,
      })
    }
  }
  return problems
}

function isGitOpsOwned(metadata: unknown): boolean {
  const marked = GITOPS_MARKERS.some(
    (key) =>
      fieldAt(metadata, 'annotations', key) !== undefined ||
      fieldAt(metadata, 'labels', key) !== undefined,
  )
  const managers = itemsOf(fieldOf(metadata, 'managedFields'))
  return (
    marked || managers.some((entry) => GITOPS_MANAGERS.includes(textOf(fieldOf(entry, 'manager'))))
  )
}

function hasParent(route: unknown, namespace: string, service: string): boolean {
  const home = textOf(fieldAt(route, 'metadata', 'namespace'))
  return itemsOf(fieldAt(route, 'spec', 'parentRefs')).some((parent) => {
    const group = textOf(fieldOf(parent, 'group'))
    const where = textOf(fieldOf(parent, 'namespace')) || home
    return (
      fieldOf(parent, 'kind') === 'Service' &&
      (group === '' || group === 'core') &&
      fieldOf(parent, 'name') === service &&
      where === namespace
    )
  })
}
