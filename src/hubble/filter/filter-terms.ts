import { ConfigError } from '../../errors.ts'
import { FlowKind, type FlowView, L4Protocol, TcpFlag, Verdict } from '../../model/flow-view.ts'
import { protoType } from '../proto.ts'
import { alikeName } from './alike-name.ts'
import { endTerms } from './end-terms.ts'
import { expressionTerm } from './expression-term.ts'
import type { EventTypeEntry, FilterEntry } from './filter-entry.ts'
import { equalsOne, type FilterTerm, filterTerm } from './filter-term.ts'
import { nodePattern } from './name-pattern.ts'
import { requestPathOf } from './request-path.ts'

const DROPPED = Verdict.dropped

const L4_PROTOCOLS: Readonly<Record<string, readonly number[]>> = {
  tcp: [L4Protocol.tcp],
  udp: [L4Protocol.udp],
  sctp: [L4Protocol.sctp],
  icmp: [L4Protocol.icmp, L4Protocol.icmp6],
  icmpv4: [L4Protocol.icmp],
  icmpv6: [L4Protocol.icmp6],
}
const L7_PROTOCOLS: Readonly<Record<string, number>> = { http: FlowKind.http, dns: FlowKind.dns }

const source = endTerms('source')
const destination = endTerms('destination')

/**
 * Every key of a flow filter that can be checked here. In the order in which they are checked: what
 * costs a comparison of numbers first, regular expressions last.
 * Source of the meanings: cilium v1.20.2 `pkg/hubble/filters`.
 */
export const FILTER_TERMS = {
  verdict: enumTerm(['verdict'], 'flow.Verdict', (view) => view.verdict),
  event_type: filterTerm({
    reads: ['event_type'],
    parse: eventTypeOf,
    wire: ({ type, subType }) =>
      subType === undefined ? { type } : { type, match_sub_type: true, sub_type: subType },
    test: (wanted) => (view) => {
      for (const { type, subType } of wanted) {
        const fits = type === view.eventType
        if (fits && (subType === undefined || subType === view.eventSubType)) return true
      }
      return false
    },
  }),
  traffic_direction: enumTerm(
    ['traffic_direction'],
    'flow.TrafficDirection',
    (view) => view.direction,
  ),
  drop_reason_desc: dropReasonTerm(),
  reply: filterTerm<boolean, boolean>({
    reads: ['is_reply', 'verdict'],
    parse: (reply) => reply,
    test: (wanted) => (view) => {
      // Of drops it is not known, and Hubble takes them for requests.
      if (view.isReply === -1 && view.verdict !== DROPPED) return false
      return wanted.includes(view.isReply === 1)
    },
  }),
  tcp_flags: filterTerm({
    reads: ['l4'],
    parse: tcpFlagsOf,
    wire: ({ wire }) => wire,
    test: (wanted) => (view) => {
      for (const { bits } of wanted) if ((view.tcpFlags & bits) === bits) return true
      return false
    },
  }),
  protocol: filterTerm({
    reads: ['l4', 'l7'],
    parse: protocolOf,
    wire: (name) => name,
    test: (names) => {
      const l4 = names.flatMap((name) => L4_PROTOCOLS[name] ?? [])
      const l7 = names.flatMap((name) => L7_PROTOCOLS[name] ?? [])
      return (view) => l4.includes(view.l4Protocol) || l7.includes(view.kind)
    },
  }),
  http_status_code: filterTerm({
    reads: ['l7'],
    parse: statusOf,
    wire: ({ text }) => text,
    test: (wanted) => (view) => {
      if (view.kind !== FlowKind.http) return false
      for (const { digits, unit } of wanted) {
        if (Math.floor(view.httpStatus / unit) === digits) return true
      }
      return false
    },
  }),
  source_identity: source.identity,
  destination_identity: destination.identity,
  source_port: source.port,
  destination_port: destination.port,
  source_cluster_name: source.clusterName,
  destination_cluster_name: destination.clusterName,
  source_workload: source.workload,
  destination_workload: destination.workload,
  source_pod: source.pod,
  destination_pod: destination.pod,
  source_label: source.label,
  destination_label: destination.label,
  ip_version: enumTerm(['IP'], 'flow.IPVersion', ipVersionOf),
  http_method: filterTerm({
    reads: ['l7'],
    parse: (method: string) => {
      if (method === '') throw new ConfigError('must be a method such as GET')
      return method.toUpperCase()
    },
    test: (methods) => (view) => {
      if (view.kind !== FlowKind.http) return false
      const method = view.httpMethod()
      return methods.includes(method) || methods.includes(method.toUpperCase())
    },
  }),
  node_name: filterTerm({
    reads: ['node_name'],
    parse: nodePattern,
    test: (patterns) => (view) => {
      const name = view.nodeName()
      for (const matches of patterns) if (matches(name)) return true
      return false
    },
  }),
  source_ip: source.ip,
  destination_ip: destination.ip,
  trace_id: filterTerm({
    reads: ['trace_context'],
    parse: (id: string) => {
      if (/^[0-9a-f]{32}$/i.test(id)) return id.toLowerCase()
      throw new ConfigError('must be the 32 hexadecimal digits of a W3C trace id')
    },
    wire: (id) => id,
    test: (ids) => equalsOne(ids, (view) => view.traceId()),
  }),
  source_service: source.service,
  destination_service: destination.service,
  source_fqdn: source.fqdn,
  destination_fqdn: destination.fqdn,
  dns_query: expressionTerm(FlowKind.dns, (view) => view.dnsQuery()),
  http_url: expressionTerm(FlowKind.http, (view) => view.httpUrl() || undefined),
  http_path: expressionTerm(FlowKind.http, (view) => requestPathOf(view.httpUrl())),
} satisfies { readonly [key in keyof FilterEntry]-?: FilterTerm }

/** Names of an enum's values; the number is what a request carries. */
function enumTerm(
  reads: readonly string[],
  type: string,
  numberOf: (view: FlowView) => number,
): FilterTerm {
  return filterTerm({
    reads,
    parse: (name: string) => enumNumberOf(type, name),
    wire: (number) => number,
    test: (numbers) => equalsOne(numbers, numberOf),
  })
}

function dropReasonTerm(): FilterTerm {
  return filterTerm({
    reads: ['verdict', 'drop_reason_desc'],
    parse: (name: string) => enumNumberOf('flow.DropReason', name),
    wire: (number) => number,
    test: (reasons) => (view) => view.verdict === DROPPED && reasons.includes(view.dropReason),
  })
}

function enumNumberOf(type: string, name: string): number {
  const values = protoType(type)?.value ?? []
  const value = values.find((candidate) => candidate.name === name)
  if (value !== undefined) return value.number
  const known = values.map((candidate) => candidate.name)
  throw new ConfigError(`is no ${type.slice('flow.'.length)} (${alikeName(name, known)})`)
}

function eventTypeOf(entry: EventTypeEntry): { type: number; subType: number | undefined } {
  const { type, sub_type: subType, match_sub_type: isSubTypeAsked = subType !== undefined } = entry
  if (!Number.isInteger(type) || type < 1 || type > 255) {
    throw new ConfigError('needs a type, 1 to 255 (1 drop, 4 trace, 5 policy verdict, 129 layer 7)')
  }
  if (!isSubTypeAsked && subType !== undefined) {
    throw new ConfigError('sub_type does nothing while match_sub_type is false')
  }
  return { type, subType: isSubTypeAsked ? (subType ?? 0) : undefined }
}

/** A code is in: its first digits are `digits` after division by `unit`. */
function statusOf(value: string | number): { text: string; digits: number; unit: number } {
  const text = String(value)
  if (!/^(?:[1-5]\d\d|[1-5]\d?\+)$/.test(text)) {
    throw new ConfigError('must be a status such as 404, or its beginning, such as 5+ or 40+')
  }
  const digits = text.replace('+', '')
  return { text, digits: Number(digits), unit: 10 ** (3 - digits.length) }
}

function protocolOf(name: string): string {
  const lower = name.toLowerCase()
  if (Object.hasOwn(L4_PROTOCOLS, lower) || Object.hasOwn(L7_PROTOCOLS, lower)) return lower
  const known = [...Object.keys(L4_PROTOCOLS), ...Object.keys(L7_PROTOCOLS)]
  throw new ConfigError(`must be one of ${known.join(', ')}`)
}

function tcpFlagsOf(flags: Readonly<Record<string, unknown>>): { bits: number; wire: object } {
  let bits = 0
  const wire: Record<string, true> = {}
  for (const [name, isSet] of Object.entries(flags)) {
    const bit = (TcpFlag as Readonly<Record<string, number>>)[name.toLowerCase()]
    if (bit === undefined) throw new ConfigError(`${name} is no TCP flag`)
    if (isSet !== true)
      throw new ConfigError(`${name} must be true: flags that are not set cannot be asked for`)
    bits |= bit
    wire[name.toUpperCase()] = true
  }
  if (bits === 0) throw new ConfigError('needs at least one flag')
  return { bits, wire }
}

const IP_NOT_USED = 0
const IPV4 = 1
const IPV6 = 2

/** A proxy's record that was never filled in has no address, and Hubble calls it IPv4. */
function ipVersionOf(view: FlowView): number {
  const address = view.sourceIp() || view.destinationIp()
  if (address.includes(':')) return IPV6
  const isRecord = view.kind >= FlowKind.http
  return address !== '' || isRecord ? IPV4 : IP_NOT_USED
}
