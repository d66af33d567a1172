import type { Endpoint } from '../model/endpoint.ts'
import { canonicalAddress } from '../model/ip-address.ts'
import { keptText } from '../runtime/kept-text.ts'

/** What Cilium's labels tell of a source besides its workload. */
export interface SourceFacts {
  /** `NAMESPACE/NAME` of the ServiceAccount that a pod runs as; ''. */
  readonly serviceAccount: string
  /** CIDR groups first, then DNS names, then the smallest networks; at most `NAMES_MAX`. */
  readonly names: readonly string[]
}

/** Of one client. */
export const NAMES_MAX = 5
/** As long as a DNS name can be, which is what the longest names in Kubernetes may be. */
export const NAME_CHARS_MAX = 253
/** Cilium before 1.16 labels an address with every network around it: 33, or 129 of IPv6. */
const LABELS_MAX = 200
/** They leave room for names. */
const NETWORKS_MAX = 2
const SERVICE_ACCOUNT = 'k8s:io.cilium.k8s.policy.serviceaccount='
const GROUP = 'cidrgroup:io.cilium.policy.cidrgroupname/'
const DNS = 'fqdn:'
const NETWORK = 'cidr:'

/** Endpoints are interned and never change, so each is read once for as long as it lives. */
const known = new WeakMap<Endpoint, SourceFacts>()

/** Source of the labels: cilium v1.20.2, `pkg/labels` and `pkg/policy/api/cidr.go`. */
export function sourceFactsOf(source: Endpoint): SourceFacts {
  const before = known.get(source)
  if (before !== undefined) return before
  const facts = { serviceAccount: serviceAccountOf(source), names: namesOf(source.labels) }
  known.set(source, facts)
  return facts
}

function serviceAccountOf({ labels, namespace }: Endpoint): string {
  const [name] = after(labels, SERVICE_ACCOUNT)
  return name === undefined || namespace === '' ? '' : keptText(`${namespace}/${name}`, 320)
}

function namesOf(labels: readonly string[]): readonly string[] {
  const networks = after(labels, NETWORK)
    .map(networkOf)
    .filter((network) => network !== undefined)
    .sort((a, b) => b.bits - a.bits)
    .slice(0, NETWORKS_MAX)
    .map(({ text }) => text)
  const names = [...after(labels, GROUP), ...after(labels, DNS), ...networks]
  return [...new Set(names)].slice(0, NAMES_MAX)
}

function after(labels: readonly string[], prefix: string): string[] {
  const values: string[] = []
  for (const label of labels.slice(0, LABELS_MAX)) {
    if (!label.startsWith(prefix)) continue
    const end = label.endsWith('=') ? -1 : undefined
    const value = label.slice(prefix.length, end)
    if (value !== '' && value.length <= NAME_CHARS_MAX) values.push(value)
  }
  return values
}

/** `2001-db8--0/32` is how a label writes `2001:db8::/32`. One address, and all of them, are no name. */
function networkOf(label: string): { readonly text: string; readonly bits: number } | undefined {
  const { 1: base = '', 2: digits = '' } = /^([0-9a-f.-]+)\/(\d{1,3})$/.exec(label) ?? []
  const address = canonicalAddress(base.replaceAll('-', ':'))
  const bits = Number(digits)
  if (address === undefined || bits === 0) return undefined
  return bits >= (address.includes(':') ? 128 : 32)
    ? undefined
    : { text: `${address}/${bits}`, bits }
}
