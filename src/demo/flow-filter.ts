import type { StoredFlow } from './demo-node.ts'

/** `flow.FlowFilter`, as far as the demo's relay knows it. Enums are numbers. */
export interface FlowFilter {
  readonly source_ip?: readonly string[]
  readonly source_pod?: readonly string[]
  readonly destination_ip?: readonly string[]
  readonly destination_pod?: readonly string[]
  readonly verdict?: readonly number[]
  readonly event_type?: readonly EventTypeFilter[]
  readonly http_status_code?: readonly string[]
  readonly protocol?: readonly string[]
  readonly reply?: readonly boolean[]
  readonly http_method?: readonly string[]
  readonly node_name?: readonly string[]
  readonly uuid?: readonly string[]
  readonly traffic_direction?: readonly number[]
}

interface EventTypeFilter {
  readonly type?: number
  readonly match_sub_type?: boolean
  readonly sub_type?: number
}

type Test = (flow: StoredFlow) => boolean

/**
 * A flow passes when one of `whitelist` matches (or there is none) and none of `blacklist` does.
 * Fields that are not named in {@link FlowFilter} are passed over without a word, as an agent does
 * with fields of a later version: the filter then matches more.
 */
export function flowTest(
  whitelist: readonly FlowFilter[] | undefined,
  blacklist: readonly FlowFilter[] | undefined,
): Test {
  const wanted = (whitelist ?? []).map(filterTest)
  const unwanted = (blacklist ?? []).map(filterTest)
  return (flow) =>
    (wanted.length === 0 || wanted.some((test) => test(flow))) &&
    !unwanted.some((test) => test(flow))
}

/** All fields that are set must match; of one field's values one is enough. */
function filterTest(filter: FlowFilter): Test {
  const tests: Test[] = []
  function need<T>(
    values: readonly T[] | undefined,
    matches: (value: T, f: StoredFlow) => boolean,
  ) {
    if (values === undefined || values.length === 0) return
    tests.push((flow) => values.some((value) => matches(value, flow)))
  }
  need(filter.source_ip, (ip, flow) => flow.IP.source === ip)
  need(filter.destination_ip, (ip, flow) => flow.IP.destination === ip)
  need(filter.source_pod, (pod, flow) => podMatches(pod, flow.source))
  need(filter.destination_pod, (pod, flow) => podMatches(pod, flow.destination))
  need(filter.verdict, (verdict, flow) => flow.verdict === verdict)
  need(filter.event_type, eventTypeMatches)
  need(filter.http_status_code, statusMatches)
  need(filter.protocol, protocolMatches)
  need(filter.reply, (reply, flow) => flow.is_reply?.value === reply)
  need(filter.http_method, (method, flow) => flow.l7?.http?.method === method.toUpperCase())
  need(filter.node_name, (name, flow) => nodeMatches(name, flow.node_name))
  need(filter.uuid, (uuid, flow) => flow.uuid === uuid)
  need(filter.traffic_direction, (direction, flow) => flow.traffic_direction === direction)
  return (flow) => tests.every((test) => test(flow))
}

function eventTypeMatches(wanted: EventTypeFilter, { event_type }: StoredFlow): boolean {
  if (event_type.type !== (wanted.type ?? 0)) return false
  return wanted.match_sub_type !== true || (event_type.sub_type ?? 0) === (wanted.sub_type ?? 0)
}

/** `[NAMESPACE/]PREFIX`; without a namespace: `default`, as in Cilium. */
function podMatches(wanted: string, end: StoredFlow['source']): boolean {
  const slash = wanted.indexOf('/')
  const namespace = slash < 0 ? 'default' : wanted.slice(0, slash)
  const prefix = wanted.slice(slash + 1)
  const namespaceFits = namespace === '' || end.namespace === namespace
  return namespaceFits && (end.pod_name ?? '').startsWith(prefix) && end.pod_name !== undefined
}

/** `404`, or a beginning: `5+`. */
function statusMatches(wanted: string, flow: StoredFlow): boolean {
  const code = flow.l7?.http?.code
  if (code === undefined) return false
  return wanted.endsWith('+')
    ? String(code).startsWith(wanted.slice(0, -1))
    : String(code) === wanted
}

function protocolMatches(wanted: string, flow: StoredFlow): boolean {
  switch (wanted.toLowerCase()) {
    case 'http':
      return flow.l7?.http !== undefined
    case 'dns':
      return flow.l7?.dns !== undefined
    case 'tcp':
      return flow.l4.TCP !== undefined
    case 'udp':
      return flow.l4.UDP !== undefined
    default:
      return false
  }
}

/** `[CLUSTER/]NODE`, each a name or a glob with `*`; `CLUSTER/` alone means all of its nodes. */
function nodeMatches(wanted: string, nodeName: string): boolean {
  const [cluster = '', node = ''] = nodeName.split('/')
  const slash = wanted.indexOf('/')
  if (slash < 0) return globMatches(wanted, node)
  const wantedNode = wanted.slice(slash + 1)
  const clusterFits = globMatches(wanted.slice(0, slash), cluster)
  return clusterFits && (wantedNode === '' || globMatches(wantedNode, node))
}

function globMatches(glob: string, text: string): boolean {
  const parts = glob.split('*')
  if (parts.length === 1) return glob === text
  const first = parts[0] ?? ''
  const last = parts.at(-1) ?? ''
  if (!text.startsWith(first) || !text.endsWith(last)) return false
  let at = first.length
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return at <= text.length - last.length
}
