import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { messageOfJson } from '../../../../src/hubble/capture/proto-json.ts'
import type { FilterEntry } from '../../../../src/hubble/filter/filter-entry.ts'
import {
  compileFlowFilter,
  type FlowFilterConfig,
} from '../../../../src/hubble/filter/flow-filter.ts'
import type { FlowMessage, FlowsMessage } from '../../../../src/hubble/flow-message.ts'
import { viewer } from '../../../fixtures/hubble-flows.ts'
import { MIXED_FLOWS } from '../../../fixtures/mixed-flows.ts'

const view = viewer()

function passes(config: FlowFilterConfig, flow: FlowMessage): boolean {
  const { accepts } = compileFlowFilter(config)
  return accepts === undefined || accepts(view({ flow }))
}

function problemsOf(config: FlowFilterConfig): string[] {
  try {
    compileFlowFilter(config, 'hubble.sources.0.filter')
  } catch (error) {
    const [, ...lines] = (error as Error).message.split('\n')
    return lines.map((line) => line.replace('  - hubble.sources.0.filter.', ''))
  }
  return []
}

const pod = (namespace: string, name: string): FlowMessage => ({
  source: { namespace, pod_name: name },
})
const http = (fields: object, more: FlowMessage = {}): FlowMessage => ({
  l7: { type: 1, http: fields },
  ...more,
})
const tcp = (port: number, flags = {}): FlowMessage => ({
  l4: { TCP: { source_port: port, destination_port: port, flags } },
})
const labels = (...source: string[]): FlowMessage => ({ source: { labels: source } })
const node = (name: string): FlowMessage => ({ node_name: name })

interface Row {
  readonly why: string
  readonly entry: FilterEntry
  readonly yes: readonly FlowMessage[]
  readonly no: readonly FlowMessage[]
}

const ROWS: readonly Row[] = [
  {
    why: 'an address is itself, in whatever spelling it is configured',
    entry: { source_ip: ['2001:DB8:0::1'] },
    yes: [{ IP: { source: '2001:db8::1' } }],
    no: [{ IP: { source: '2001:db8::2' } }, { IP: { destination: '2001:db8::1' } }, {}],
  },
  {
    why: 'a CIDR has its addresses, of its own family',
    entry: { destination_ip: ['10.1.0.0/16', 'fd00::/8'] },
    yes: [{ IP: { destination: '10.1.255.255' } }, { IP: { destination: 'fdff::' } }],
    no: [
      { IP: { destination: '10.2.0.0' } },
      { IP: { destination: '::ffff:10.1.0.1' } },
      { IP: { destination: 'fe00::' } },
      { IP: { destination: 'no address' } },
    ],
  },
  {
    why: 'a pod without a namespace is in the namespace default',
    entry: { source_pod: ['web'] },
    yes: [pod('default', 'web-1')],
    no: [pod('shop', 'web-1'), pod('default', 'my-web'), {}],
  },
  {
    why: 'NAMESPACE/ is all of it, /PREFIX any namespace',
    entry: { source_pod: ['shop/', '/web'] },
    yes: [pod('shop', 'x'), pod('shop', ''), pod('other', 'web-1')],
    no: [pod('other', 'x'), {}],
  },
  {
    why: 'a service likewise',
    entry: { destination_service: ['shop/ord', '/web', 'dns'] },
    yes: [
      { destination_service: { namespace: 'shop', name: 'orders' } },
      { destination_service: { namespace: 'other', name: 'web' } },
      { destination_service: { namespace: 'default', name: 'dns' } },
    ],
    no: [
      { destination_service: { namespace: 'shop2', name: 'orders' } },
      { source_service: { namespace: 'shop', name: 'orders' } },
      {},
    ],
  },
  {
    why: 'DNS names are globs, one of the names is enough',
    entry: { destination_fqdn: ['*.Example.com.', 'a.org'] },
    yes: [{ destination_names: ['x.y.example.com'] }, { destination_names: ['b.org', 'a.org'] }],
    no: [{ destination_names: ['example.com'] }, { destination_names: ['xa.org'] }, {}],
  },
  {
    why: 'labels by selector',
    entry: { source_label: ['k8s:app in (web,api),!canary', 'reserved:host'] },
    yes: [labels('k8s:app=api'), labels('reserved:host')],
    no: [
      labels('k8s:app=web', 'k8s:canary=1'),
      labels('any:app=web'),
      labels('reserved:world'),
      {},
    ],
  },
  {
    why: 'ports only of protocols that have some',
    entry: { source_port: [0, '443'], destination_port: ['0443', 0] },
    yes: [tcp(443), { l4: { UDP: {} } }, { l4: { SCTP: {} } }],
    no: [tcp(80), { l4: { ICMPv4: {} } }, {}],
  },
  {
    why: 'workloads by name, kind or both',
    entry: { source_workload: [{ name: 'web', kind: 'Deployment' }, { kind: 'DaemonSet' }] },
    yes: [
      { source: { workloads: [{ name: 'web', kind: 'Deployment' }] } },
      { source: { workloads: [{ name: 'x', kind: 'DaemonSet' }] } },
    ],
    no: [{ source: { workloads: [{ name: 'web', kind: 'Job' }] } }, {}],
  },
  {
    why: 'identities and clusters',
    entry: { source_identity: [2, 7], destination_cluster_name: ['east'] },
    yes: [{ source: { identity: 7 }, destination: { cluster_name: 'east' } }],
    no: [{ source: { identity: 7 } }, { destination: { cluster_name: 'east' } }, {}],
  },
  {
    why: 'verdicts and directions by name',
    entry: { verdict: ['DROPPED', 'AUDIT'], traffic_direction: ['EGRESS'] },
    yes: [
      { verdict: 2, traffic_direction: 2 },
      { verdict: 4, traffic_direction: 2 },
    ],
    no: [{ verdict: 1, traffic_direction: 2 }, { verdict: 2, traffic_direction: 1 }, {}],
  },
  {
    why: 'event types, with the sub-type where one is given',
    entry: {
      event_type: [{ type: 129 }, { type: 4, sub_type: 3 }, { type: 5, match_sub_type: true }],
    },
    yes: [
      { event_type: { type: 129, sub_type: 9 } },
      { event_type: { type: 4, sub_type: 3 } },
      { event_type: { type: 5 } },
    ],
    no: [{ event_type: { type: 4 } }, { event_type: { type: 5, sub_type: 1 } }, {}],
  },
  {
    why: 'status codes, whole or by their beginning',
    entry: { http_status_code: [404, '5+', '20+'] },
    yes: [http({ code: 404 }), http({ code: 599 }), http({ code: 500 }), http({ code: 209 })],
    no: [
      http({ code: 400 }),
      http({ code: 210 }),
      http({ code: 5 }),
      http({}),
      { l7: { dns: {} } },
    ],
  },
  {
    why: 'protocols of layer 4 or 7',
    entry: { protocol: ['dns', 'icmp', 'UDP'] },
    yes: [{ l7: { dns: {} } }, { l4: { ICMPv6: {} } }, { l4: { ICMPv4: {} } }, { l4: { UDP: {} } }],
    no: [tcp(1), http({}), {}],
  },
  {
    why: 'a drop is no reply, another flow that does not tell is neither',
    entry: { reply: [false] },
    yes: [{ is_reply: {} }, { verdict: 2 }],
    no: [{ is_reply: { value: true } }, { verdict: 1 }],
  },
  {
    why: 'DNS queries by RE2, found anywhere',
    entry: { dns_query: ['^api\\.', 'shop'] },
    yes: [{ l7: { dns: { query: 'api.x.' } } }, { l7: { dns: { query: 'my-shop.' } } }],
    no: [{ l7: { dns: { query: 'x.api.' } } }, { l7: { dns: {} } }, http({ url: 'shop' })],
  },
  {
    why: 'methods in any case',
    entry: { http_method: ['get'] },
    yes: [http({ method: 'GET' }), http({ method: 'Get' })],
    no: [http({ method: 'GETS' }), http({}), {}],
  },
  {
    why: 'paths decoded and without the query',
    entry: { http_path: ['^/a b$', 'admin'] },
    yes: [http({ url: 'http://h/a%20b?admin' }), http({ url: '/x/admin' })],
    no: [http({ url: 'http://h/a%20b/' }), http({ url: 'http://h/?admin' }), http({ url: '' })],
  },
  {
    why: 'URLs whole',
    entry: { http_url: ['\\?admin'] },
    yes: [http({ url: 'http://h/?admin' })],
    no: [http({ url: 'http://h/admin' }), http({}), {}],
  },
  {
    why: 'the flags that are named, and any other',
    entry: { tcp_flags: [{ SYN: true, ACK: true }, { NS: true }] },
    yes: [tcp(1, { SYN: true, ACK: true, ECE: true }), tcp(1, { NS: true })],
    no: [tcp(1, { SYN: true }), tcp(1), { l4: { UDP: {} } }],
  },
  {
    why: 'a node by name is that of any cluster; bare names are of the cluster default',
    entry: { node_name: ['node-1', 'east/', 'default/n*'] },
    yes: [node('node-1'), node('west/node-1'), node('east/x'), node('n7'), node('default/n7')],
    no: [node('west/n7'), node('m7'), {}],
  },
  {
    why: 'the IP version that the addresses have',
    entry: { ip_version: ['IPv6'] },
    yes: [{ IP: { source: '::1' } }, { IP: { destination: 'fd00::1' } }],
    no: [{ IP: { source: '10.0.0.1' } }, {}],
  },
  {
    why: 'a record that no proxy filled in is IPv4, as in Hubble',
    entry: { ip_version: ['IPv4'] },
    yes: [http({}), { IP: { source: '10.0.0.1' } }],
    no: [{ Type: 1 }, { IP: { source: '::1' } }],
  },
  {
    why: 'trace ids',
    entry: { trace_id: ['0AF7651916CD43DD8448EB211C80319C'] },
    yes: [{ trace_context: { parent: { trace_id: '0af7651916cd43dd8448eb211c80319c' } } }],
    no: [{ trace_context: { parent: { trace_id: '1'.repeat(32) } } }, {}],
  },
  {
    why: 'drop reasons of drops only',
    entry: { drop_reason_desc: ['POLICY_DENIED', 'DROP_REASON_UNKNOWN'] },
    yes: [{ verdict: 2, drop_reason_desc: 133 }, { verdict: 2 }],
    no: [{ verdict: 1, drop_reason_desc: 133 }, { verdict: 2, drop_reason_desc: 181 }, {}],
  },
]

describe('compileFlowFilter().accepts', () => {
  it.each(ROWS)('$why', ({ entry, yes, no }) => {
    const config = { allow: [entry] }
    expect(yes.filter((flow) => !passes(config, flow))).toEqual([])
    expect(no.filter((flow) => passes(config, flow))).toEqual([])
  })

  it('takes the other end for the other key', () => {
    const config = { allow: [{ destination_pod: ['shop/'], destination_port: [1] }] }
    expect(passes(config, { destination: { namespace: 'shop' }, ...tcp(1) })).toBe(true)
    expect(passes(config, { source: { namespace: 'shop' }, ...tcp(1) })).toBe(false)
  })

  it('is not there where everything passes', () => {
    expect(compileFlowFilter({}).accepts).toBeUndefined()
    expect(compileFlowFilter({ allow: [], deny: [], fields: ['l7'] }).accepts).toBeUndefined()
  })

  it('lets pass what one allow filter matches in all its keys, and no deny filter does', () => {
    const entries = ROWS.map(({ entry }) => entry)
    const flows = MIXED_FLOWS.map((flow) => ({ flow: messageOfJson('flow.Flow', flow) }))
    const alone = new Map(
      entries.map((entry) => [entry, compileFlowFilter({ allow: [entry] }).accepts]),
    )
    const matches = (list: readonly FilterEntry[], message: FlowsMessage) =>
      list.some((entry) => alone.get(entry)?.(view(message)))
    const some = fc.subarray(entries, { maxLength: 4 })
    fc.assert(
      fc.property(some, some, fc.constantFrom(...flows), (allow, deny, message) => {
        const isAllowed = allow.length === 0 || matches(allow, message)
        const expected = isAllowed && !matches(deny, message)
        const { accepts } = compileFlowFilter({ allow, deny })
        expect(accepts?.(view(message)) ?? true).toBe(expected)
      }),
    )
  })

  it('an expression cannot be made to run long', () => {
    const slow = { allow: [{ http_url: ['(a+)+$'] }] }
    const startedMs = performance.now()
    expect(passes(slow, http({ url: `${'a'.repeat(50_000)}!` }))).toBe(false)
    expect(performance.now() - startedMs).toBeLessThan(2_000)
  })
})

describe('compileFlowFilter().request()', () => {
  it('is empty without a filter', () => {
    expect(compileFlowFilter({ allow: [], deny: [] }).request()).toEqual({})
  })

  it('carries numbers of enums and the rest as text', () => {
    const filter = compileFlowFilter({
      allow: [
        {
          verdict: ['DROPPED'],
          event_type: [{ type: 129 }, { type: 4, sub_type: 3 }],
          source_port: [80],
          http_status_code: [404],
          ip_version: ['IPv6'],
          traffic_direction: ['EGRESS'],
          drop_reason_desc: ['POLICY_DENIED'],
          tcp_flags: [{ SYN: true }],
          source_ip: ['FD00::0/8', '::FFFF:10.0.0.1'],
          protocol: ['HTTP'],
        },
      ],
      deny: [{ source_workload: [{ name: 'web' }], node_name: ['a*'], reply: [true] }],
    })
    expect(filter.request()).toEqual({
      whitelist: [
        {
          verdict: [2],
          event_type: [{ type: 129 }, { type: 4, match_sub_type: true, sub_type: 3 }],
          source_port: ['80'],
          http_status_code: ['404'],
          ip_version: [2],
          traffic_direction: [2],
          drop_reason_desc: [133],
          tcp_flags: [{ SYN: true }],
          source_ip: ['FD00::0/8', '10.0.0.1'],
          protocol: ['http'],
        },
      ],
      blacklist: [{ source_workload: [{ name: 'web' }], node_name: ['a*'], reply: [true] }],
    })
  })

  it('masks nothing that the filters look at', () => {
    const filter = compileFlowFilter({
      allow: [{ source_pod: ['shop/'], http_method: ['GET'] }],
      deny: [{ reply: [true] }],
      fields: ['source.labels', 'destination'],
    })
    expect(filter.request().field_mask?.paths.toSorted()).toEqual([
      'Type',
      'destination',
      'is_reply',
      'l7',
      'node_name',
      'source.labels',
      'source.namespace',
      'source.pod_name',
      'time',
      'uuid',
      'verdict',
    ])
  })
})

describe('compileFlowFilter().forNodes()', () => {
  const forNodes = (config: FlowFilterConfig, ...names: string[]) =>
    compileFlowFilter(config).forNodes(names)

  it('asks exactly these nodes where there is no allow filter', () => {
    expect(forNodes({ deny: [{ verdict: ['AUDIT'] }] }, 'east/n1', 'n2')).toEqual({
      whitelist: [{ node_name: ['east/n1', 'default/n2'] }],
      blacklist: [{ verdict: [4] }],
    })
  })

  it('narrows each allow filter, and leaves out one that is about other nodes', () => {
    const allow = [
      { protocol: ['http'] },
      { node_name: ['n1', 'west/'], protocol: ['dns'] },
      { node_name: ['gone'] },
    ]
    expect(forNodes({ allow }, 'east/n1', 'n2')).toEqual({
      whitelist: [
        { protocol: ['http'], node_name: ['east/n1', 'default/n2'] },
        { protocol: ['dns'], node_name: ['east/n1'] },
      ],
    })
  })

  it('has nothing to ask where nothing can come', () => {
    expect(forNodes({ allow: [{ node_name: ['gone'] }] }, 'n1')).toBeUndefined()
    expect(forNodes({})).toBeUndefined()
  })

  it.each(['*', 'east/*', 'n 1', 'N1', 'a/b/c', '', 'east/', 'n1.'])(
    'never takes the name %j for a pattern',
    (name) => {
      expect(forNodes({}, name)).toBeUndefined()
      expect(forNodes({}, name, 'n1')).toEqual({ whitelist: [{ node_name: ['default/n1'] }] })
    },
  )

  it('keeps the mask', () => {
    expect(forNodes({ fields: ['l7'] }, 'n1')?.field_mask?.paths).toContain('l7')
  })
})

describe('compileFlowFilter(): what is wrong', () => {
  it.each([
    ['source_ip', '10.0.0.0/33', /must be an address or a CIDR/],
    ['source_ip', 'fe80::1%eth0', /must be an address or a CIDR/],
    ['source_pod', '', /must be NAMESPACE\/PREFIX/],
    ['destination_service', 'a/b/c', /must be NAMESPACE\/PREFIX/],
    ['source_fqdn', 'a b', /must be a name/],
    ['source_label', 'app in web', /cannot read "app in web"/],
    ['source_port', '65536', /must be a port, 0 to 65535/],
    ['destination_port', '-1', /must be a port/],
    ['source_identity', 0, /must be the number of an identity/],
    ['source_workload', {}, /needs a name, a kind, or both/],
    ['verdict', 'DROPED', /is no Verdict \(did you mean DROPPED\?\)/],
    ['drop_reason_desc', 'POLICY_DENYED', /is no DropReason \(did you mean POLICY_DENY\?\)/],
    ['event_type', { type: 0 }, /needs a type, 1 to 255/],
    ['event_type', { type: 4, sub_type: 3, match_sub_type: false }, /does nothing/],
    ['http_status_code', '600', /must be a status such as 404/],
    ['http_status_code', '50', /must be a status such as 404/],
    ['protocol', 'vrrp', /must be one of tcp, udp/],
    ['dns_query', 'a(?=b)', /must be a regular expression of RE2: invalid or unsupported/],
    ['http_path', 'a'.repeat(1_025), /at most 1024 characters/],
    ['http_url', '(?:[a-z]{1000}){9}', /invalid repeat|instructions/],
    ['http_url', '[a-z]{1000}'.repeat(8), /must be a smaller expression: it has 8\d{3}/],
    ['http_method', '', /must be a method/],
    ['tcp_flags', { SIN: true }, /SIN is no TCP flag/],
    ['tcp_flags', { SYN: false }, /SYN must be true/],
    ['tcp_flags', {}, /needs at least one flag/],
    ['node_name', 'a/b/c', /must be NODE, CLUSTER\/NODE/],
    ['trace_id', 'abc', /must be the 32 hexadecimal digits/],
    ['source_cluster_name', '', /must not be empty/],
  ])('%s: %j', (key, value, reason) => {
    const problems = problemsOf({ deny: [{ verdict: ['AUDIT'] }, { [key]: [value] }] })
    expect(problems).toEqual([expect.stringMatching(reason)])
    expect(problems[0]).toMatch(`deny.1.${key}.0: `)
  })

  it('is told all at once, each with its path', () => {
    const http: FilterEntry = { http_path: ['a'], event_type: [{ type: 1 }, { type: 4 }] }
    const unknown: object = { uuid: ['x'] }
    expect(
      problemsOf({
        allow: [{}, { source_ip: [] }, http, unknown],
        deny: [{ reply: undefined }],
        fields: [],
      }),
    ).toEqual([
      'allow.0: needs at least one key, or it matches every flow',
      'allow.1.source_ip: needs at least one value',
      'allow.2.event_type: must have type 129 beside http_path: nothing else is HTTP',
      'allow.3.uuid: cannot be checked on a flow',
      'deny.0: needs at least one key, or it matches every flow',
      'fields: needs at least one field',
    ])
  })

  it('takes http_* keys with type 129 among others', () => {
    expect(
      problemsOf({ allow: [{ http_path: ['a'], event_type: [{ type: 1 }, { type: 129 }] }] }),
    ).toEqual([])
  })
})
