import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import * as grpc from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { messageOfJson } from '../../../src/hubble/capture/proto-json.ts'
import type { FilterEntry } from '../../../src/hubble/filter/filter-entry.ts'
import { compileFlowFilter, type FlowFilterConfig } from '../../../src/hubble/filter/flow-filter.ts'
import type { FlowsMessage } from '../../../src/hubble/flow-message.ts'
import { directoryOf } from '../../fixtures/directory.ts'
import { viewer } from '../../fixtures/hubble-flows.ts'
import { MIXED_FLOWS } from '../../fixtures/mixed-flows.ts'
import { createObserverClient, type ObserverClient } from '../../fixtures/observer-client.ts'
import { type HubbleNode, hubbleObserve, startHubbleNode } from '../../services/hubble.ts'
import { need } from '../../services/need.ts'

interface Case {
  /** Of `hubble observe`; absent where it has none for that key. */
  readonly flags?: readonly string[]
  readonly entry: FilterEntry
  /** It must match nothing. */
  readonly none?: true
}

const CASES: readonly Case[] = [
  { flags: ['--from-ip', '10.0.0.1'], entry: { source_ip: ['10.0.0.1'] } },
  { flags: ['--to-ip', '10.0.1.0/24'], entry: { destination_ip: ['10.0.1.0/24'] } },
  { flags: ['--from-ip', 'fd00::/16'], entry: { source_ip: ['fd00::/16'] } },
  {
    flags: ['--to-ip', '2001:db8::8', '--to-ip', '10.0.1.3/31'],
    entry: { destination_ip: ['2001:db8::8', '10.0.1.3/31'] },
  },
  { flags: ['--from-pod', 'shop/web'], entry: { source_pod: ['shop/web'] } },
  { flags: ['--from-pod', 'web'], entry: { source_pod: ['web'] } },
  { flags: ['--to-pod', 'shop/'], entry: { destination_pod: ['shop/'] } },
  { flags: ['--from-pod', '/web'], entry: { source_pod: ['/web'] } },
  { flags: ['--to-fqdn', '*.example.com'], entry: { destination_fqdn: ['*.example.com'] } },
  {
    flags: ['--from-fqdn', 'a*.Example.com.'],
    entry: { source_fqdn: ['a*.Example.com.'] },
    none: true,
  },
  { flags: ['--from-fqdn', 'A_*.Example.com.'], entry: { source_fqdn: ['A_*.Example.com.'] } },
  { flags: ['--from-fqdn', 'a_b.*'], entry: { source_fqdn: ['a_b.*'] } },
  { flags: ['--from-label', 'app=web'], entry: { source_label: ['app=web'] } },
  { flags: ['--from-label', 'any:app=web'], entry: { source_label: ['any:app=web'] } },
  {
    flags: ['--from-label', 'reserved:app'],
    entry: { source_label: ['reserved:app'] },
    none: true,
  },
  { flags: ['--to-label', 'reserved:world'], entry: { destination_label: ['reserved:world'] } },
  { entry: { source_label: ['k8s:app in (web, orders),!tier'] } },
  { entry: { source_label: ['app!=web', 'tier'] } },
  { entry: { source_label: ['app notin (web,tool),app'] } },
  { entry: { source_label: ['replicas>2'] } },
  { entry: { source_label: ['io.kubernetes.pod.namespace==shop'] } },
  { entry: { source_label: ['cidr:192.0.2.0/25'] }, none: true },
  { entry: { source_label: ['cidr:192.0.0.0/16'] } },
  { flags: ['--from-port', '40000'], entry: { source_port: ['40000'] } },
  { flags: ['--to-port', '53', '--to-port', '8080'], entry: { destination_port: [53, '8080'] } },
  { flags: ['--from-port', '0'], entry: { source_port: [0] } },
  { flags: ['--from-service', 'shop/ord'], entry: { source_service: ['shop/ord'] } },
  { flags: ['--to-service', '/orders'], entry: { destination_service: ['/orders'] } },
  { flags: ['--to-service', 'orders'], entry: { destination_service: ['orders'] }, none: true },
  { flags: ['--from-workload', 'web'], entry: { source_workload: [{ name: 'web' }] } },
  { entry: { destination_workload: [{ kind: 'StatefulSet' }] } },
  { flags: ['--from-identity', '1002'], entry: { source_identity: [1002] } },
  { flags: ['--to-identity', 'world'], entry: { destination_identity: [2] } },
  { flags: ['--verdict', 'DROPPED'], entry: { verdict: ['DROPPED'] } },
  {
    flags: ['--verdict', 'AUDIT', '--verdict', 'TRANSLATED'],
    entry: { verdict: ['AUDIT', 'TRANSLATED'] },
  },
  { flags: ['--type', 'l7'], entry: { event_type: [{ type: 129 }] } },
  { flags: ['--type', 'trace:to-endpoint'], entry: { event_type: [{ type: 4, sub_type: 0 }] } },
  {
    flags: ['--type', 'drop', '--type', 'trace:to-stack'],
    entry: { event_type: [{ type: 1 }, { type: 4, sub_type: 3 }] },
  },
  { flags: ['--http-status', '404'], entry: { http_status_code: [404] } },
  {
    flags: ['--http-status', '4+', '--http-status', '50+'],
    entry: { http_status_code: ['4+', '50+'] },
  },
  { flags: ['--protocol', 'http'], entry: { protocol: ['http'] } },
  { flags: ['--protocol', 'icmp', '--protocol', 'sctp'], entry: { protocol: ['icmp', 'sctp'] } },
  { flags: ['--protocol', 'icmpv6', '--protocol', 'dns'], entry: { protocol: ['icmpv6', 'DNS'] } },
  { flags: ['--protocol', 'tcp'], entry: { protocol: ['tcp'] } },
  { flags: ['--reply'], entry: { reply: [true] } },
  { flags: ['--not-reply'], entry: { reply: [false] } },
  { entry: { dns_query: ['^api\\.example', '(?i)example\\.org'] } },
  { flags: ['--http-method', 'get'], entry: { http_method: ['get'] } },
  { flags: ['--http-path', '^/orders/\\d+$'], entry: { http_path: ['^/orders/\\d+$'] } },
  { flags: ['--http-path', 'orders'], entry: { http_path: ['orders'] } },
  { flags: ['--http-path', '^/a b/é$'], entry: { http_path: ['^/a b/é$'] } },
  { flags: ['--http-path', '^$'], entry: { http_path: ['^$'] } },
  { flags: ['--http-path', '.'], entry: { http_path: ['.'] } },
  { flags: ['--http-url', 'full=1|admin'], entry: { http_url: ['full=1|admin'] } },
  { flags: ['--http-url', ''], entry: { http_url: ['^'] } },
  { flags: ['--tcp-flags', 'SYN'], entry: { tcp_flags: [{ SYN: true }] } },
  {
    flags: ['--tcp-flags', 'SYN,ACK', '--tcp-flags', 'RST'],
    entry: { tcp_flags: [{ SYN: true, ACK: true }, { RST: true }] },
  },
  { flags: ['--tcp-flags', 'ECE'], entry: { tcp_flags: [{ ECE: true }] } },
  { flags: ['--node-name', 'alpha/'], entry: { node_name: ['alpha/'] } },
  { flags: ['--node-name', 'node-1*'], entry: { node_name: ['node-1*'] } },
  { flags: ['--node-name', 'default/node-*'], entry: { node_name: ['default/node-*'] } },
  {
    flags: ['--node-name', '*a/node-1.example.com'],
    entry: { node_name: ['*a/node-1.example.com'] },
  },
  { flags: ['--ipv4'], entry: { ip_version: ['IPv4'] } },
  { flags: ['--ipv6'], entry: { ip_version: ['IPv6'] } },
  { flags: ['--traffic-direction', 'egress'], entry: { traffic_direction: ['EGRESS'] } },
  { entry: { traffic_direction: ['TRAFFIC_DIRECTION_UNKNOWN'] } },
  {
    flags: ['--trace-id', '0af7651916cd43dd8448eb211c80319c'],
    entry: { trace_id: ['0AF7651916cd43dd8448eb211c80319c'] },
  },
  {
    flags: ['--drop-reason-desc', 'POLICY_DENIED'],
    entry: { drop_reason_desc: ['POLICY_DENIED'] },
  },
  { entry: { drop_reason_desc: ['DROP_REASON_UNKNOWN', 'UNSUPPORTED_L3_PROTOCOL'] } },
  { flags: ['--from-cluster', 'alpha'], entry: { source_cluster_name: ['alpha'] } },
  { flags: ['--to-cluster', 'beta'], entry: { destination_cluster_name: ['beta'] } },
  {
    flags: ['--from-pod', 'shop/', '--protocol', 'http', '--verdict', 'FORWARDED'],
    entry: { source_pod: ['shop/'], protocol: ['http'], verdict: ['FORWARDED'] },
  },
]
const NAMED = CASES.map((one) => ({ ...one, name: JSON.stringify(one.entry) }))

/** Uuids of what passes on our side, in order; flows from before uuids existed by their place. */
function passing(config: FlowFilterConfig, messages: readonly FlowsMessage[]): string[] {
  const { accepts } = compileFlowFilter(config)
  const view = viewer()
  return messages.flatMap((message) => {
    const shown = view(message)
    return accepts === undefined || accepts(shown) ? [shown.uuid()] : []
  })
}

/** Uuids of what the real command lets through, out of a capture. */
async function observed(lines: readonly unknown[], args: readonly string[]): Promise<string[]> {
  const capture = lines.map((line) => JSON.stringify(line)).join('\n')
  const file = join(directoryOf({ 'flows.jsonl': `${capture}\n` }), 'flows.jsonl')
  const { flows } = await hubbleObserve('none:1', ['--input-file', file, '--all', ...args])
  return flows.map(({ uuid }) => (typeof uuid === 'string' ? uuid : ''))
}

function listArgs(config: FlowFilterConfig): string[] {
  const { whitelist = [], blacklist = [] } = compileFlowFilter(config).request()
  return [
    ...whitelist.flatMap((filter) => ['--allowlist', JSON.stringify(filter)]),
    ...blacklist.flatMap((filter) => ['--denylist', JSON.stringify(filter)]),
  ]
}

const messagesOf = (lines: readonly unknown[]): FlowsMessage[] =>
  lines.map((line) => messageOfJson('observer.GetFlowsResponse', line))

describe.skipIf(need('hubble').skip)('compileFlowFilter() and hubble observe', () => {
  const lines = MIXED_FLOWS.map((flow) => ({
    flow,
    node_name: flow['node_name'],
    time: flow['time'],
  }))
  const messages = messagesOf(lines)

  it.each(NAMED)('agree on $name', async ({ flags, entry, none }) => {
    const ours = passing({ allow: [entry] }, messages)
    expect(ours.length > 0).toBe(none !== true)
    expect(ours.length).toBeLessThan(messages.length)
    const [asFlags, asRequest] = await Promise.all([
      flags === undefined ? ours : observed(lines, flags),
      observed(lines, listArgs({ allow: [entry] })),
    ])
    expect(asFlags).toEqual(ours)
    expect(asRequest).toEqual(ours)
  })

  it.each([
    { allow: [{ protocol: ['http'] }, { verdict: ['DROPPED'] }] },
    { deny: [{ source_label: ['app=web'] }] },
    { allow: [{ event_type: [{ type: 129 }] }], deny: [{ reply: [true] }, { http_path: ['bad'] }] },
  ])('agree on the lists %j', async (config) => {
    expect(await observed(lines, listArgs(config))).toEqual(passing(config, messages))
  })

  const samples = '../shared/samples/flows'
  it.skipIf(!existsSync(samples))('agree on real captures, in number', async () => {
    const texts = readdirSync(samples)
      .filter((name) => name.endsWith('.gz'))
      .map((name) => gunzipSync(readFileSync(join(samples, name))).toString())
    const real = texts
      .flatMap((text) => text.split('\n'))
      .filter((line) => line !== '')
      .map((line): unknown => JSON.parse(line))
    const realMessages = messagesOf(real)
    const entries: FilterEntry[] = [
      { source_pod: ['bookinfo/'] },
      { source_label: ['app in (reviews,productpage)'] },
      { http_status_code: ['5+'] },
      { http_path: ['^/reviews/'] },
      { protocol: ['dns'] },
      { dns_query: ['cluster'] },
      { destination_port: [9080] },
      { tcp_flags: [{ FIN: true }] },
      { source_ip: ['10.0.2.0/24'] },
      { destination_fqdn: ['*.google*'] },
      { reply: [false] },
      { event_type: [{ type: 4, sub_type: 3 }] },
      { node_name: ['gke-*'] },
    ]
    for (const entry of entries) {
      const config = { allow: [entry] }
      const count = (await observed(real, listArgs(config))).length
      expect([entry, passing(config, realMessages).length]).toEqual([entry, count])
    }
  })
})

describe.skipIf(need('hubble').skip)('compileFlowFilter() and a live node', () => {
  let node: HubbleNode
  let client: ObserverClient
  let all: FlowsMessage[]

  const ask = async (request: object): Promise<FlowsMessage[]> => {
    const answers: FlowsMessage[] = []
    for await (const answer of client.GetFlows({ number: 10_000, ...request })) {
      answers.push(answer as FlowsMessage)
    }
    return answers.filter(({ flow }) => flow)
  }
  const uuids = (answers: readonly FlowsMessage[]) => answers.map(({ flow }) => flow?.uuid ?? '')

  beforeAll(async () => {
    node = await startHubbleNode({ name: 'node-1', cluster: 'alpha' })
    await node.feedFlows(MIXED_FLOWS)
    client = createObserverClient(node.address, grpc.credentials.createInsecure())
    all = await ask({})
  })
  afterAll(async () => {
    client?.close()
    await node?.stop()
  })

  it('whole flows come without a filter', () => {
    expect(uuids(all)).toEqual(MIXED_FLOWS.map(({ uuid }) => uuid))
  })

  it.each(NAMED)('the server sends what we accept of $name', async ({ entry }) => {
    const filter = compileFlowFilter({ allow: [entry] })
    const sent = await ask(filter.request())
    expect(uuids(sent)).toEqual(passing({ allow: [entry] }, all))
  })

  it.each(NAMED)('what comes masked is accepted all the same: $name', async ({ entry }) => {
    const config = { allow: [entry], fields: ['Summary'] }
    const sent = await ask(compileFlowFilter(config).request())
    expect(uuids(sent)).toEqual(passing({ allow: [entry] }, all))
    expect(passing(config, sent)).toEqual(uuids(sent))
  })

  it('only the fields that are asked for come', async () => {
    const fields = ['source.namespace', 'destination', 'IP.source']
    const [first] = await ask({
      ...compileFlowFilter({ fields }).request(),
      first: true,
      number: 1,
    })
    expect(first?.flow).toMatchObject({
      node_name: 'alpha/node-1',
      source: { namespace: 'shop' },
      destination: { pod_name: 'orders-0' },
      IP: { source: '10.0.0.1' },
    })
    expect(first?.flow).not.toHaveProperty('l7')
    expect(first?.flow).not.toHaveProperty('verdict')
    expect(first?.flow?.source).not.toHaveProperty('pod_name')
  })

  it.each([
    { nodes: ['node-2'], allow: [] },
    { nodes: ['alpha/node-1', 'beta/node-1.example.com'], allow: [] },
    { nodes: ['alpha/node-1', 'node-2'], allow: [{ verdict: ['DROPPED'] }] },
    {
      nodes: ['alpha/node-1', 'node-2'],
      allow: [{ node_name: ['node-1*'], protocol: ['http'] }, { node_name: ['gone'] }],
    },
  ])('forNodes() gives what those nodes have, and no other: %j', async ({ nodes, allow }) => {
    const sent = await ask(compileFlowFilter({ allow }).forNodes(nodes) ?? {})
    const ofNodes = all.filter(({ flow }) => nodes.includes(flow?.node_name ?? ''))
    expect(uuids(sent)).toEqual(passing({ allow }, ofNodes))
    expect(sent.length).toBeGreaterThan(0)
  })
})
