import { describe, expect, it } from 'vitest'
import { observerService, peerService } from '../../../src/hubble/proto.ts'

const observer = observerService()

function responseBytes(message: object): Buffer {
  return observer['GetFlows']?.responseSerialize(message) ?? Buffer.alloc(0)
}
function flowBytes(flow: object): Buffer {
  return fieldsOf(responseBytes({ flow })).get(1) ?? Buffer.alloc(0)
}

/** Reads one message by the wire format alone: field number to bytes (or to the varint as text). */
function fieldsOf(bytes: Buffer): Map<number, Buffer> {
  const fields = new Map<number, Buffer>()
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++] ?? 0
      value += (byte & 0x7f) * shift
      if (byte < 0x80) return value
    }
  }
  while (at < bytes.length) {
    const tag = varint()
    if (tag % 8 === 0) {
      fields.set(Math.floor(tag / 8), Buffer.from(String(varint())))
    } else if (tag % 8 === 2) {
      const length = varint()
      fields.set(Math.floor(tag / 8), bytes.subarray(at, at + length))
      at += length
    } else if (tag % 8 === 1) {
      fields.set(Math.floor(tag / 8), bytes.subarray(at, at + 8))
      at += 8
    } else throw new Error(`wire type ${tag % 8}`)
  }
  return fields
}

// Numbers as the agents of Cilium 1.20 write them: api/v1/{observer,flow,relay,peer}.
describe('field numbers of flow.Flow', () => {
  it.each([
    { field: 'time', value: { seconds: 1 }, number: 1 },
    { field: 'verdict', value: 1, number: 2 },
    { field: 'drop_reason', value: 133, number: 3 },
    { field: 'ethernet', value: {}, number: 4 },
    { field: 'IP', value: {}, number: 5 },
    { field: 'l4', value: {}, number: 6 },
    { field: 'source', value: {}, number: 8 },
    { field: 'destination', value: {}, number: 9 },
    { field: 'Type', value: 2, number: 10 },
    { field: 'node_name', value: 'n', number: 11 },
    { field: 'source_names', value: ['n'], number: 13 },
    { field: 'destination_names', value: ['n'], number: 14 },
    { field: 'l7', value: {}, number: 15 },
    { field: 'reply', value: true, number: 16 },
    { field: 'event_type', value: {}, number: 19 },
    { field: 'source_service', value: {}, number: 20 },
    { field: 'destination_service', value: {}, number: 21 },
    { field: 'traffic_direction', value: 1, number: 22 },
    { field: 'policy_match_type', value: 1, number: 23 },
    { field: 'trace_observation_point', value: 101, number: 24 },
    { field: 'drop_reason_desc', value: 133, number: 25 },
    { field: 'is_reply', value: { value: true }, number: 26 },
    { field: 'interface', value: {}, number: 28 },
    { field: 'proxy_port', value: 1, number: 29 },
    { field: 'trace_context', value: {}, number: 30 },
    { field: 'sock_xlate_point', value: 1, number: 31 },
    { field: 'socket_cookie', value: 1, number: 32 },
    { field: 'uuid', value: 'u', number: 34 },
    { field: 'auth_type', value: 1, number: 35 },
    { field: 'trace_reason', value: 1, number: 36 },
    { field: 'node_labels', value: ['l'], number: 37 },
    { field: 'file', value: {}, number: 38 },
    { field: 'tunnel', value: {}, number: 39 },
    { field: 'ip_trace_id', value: {}, number: 40 },
    { field: 'emitter', value: {}, number: 41 },
    { field: 'egress_allowed_by', value: [{}], number: 21001 },
    { field: 'ingress_allowed_by', value: [{}], number: 21002 },
    { field: 'egress_denied_by', value: [{}], number: 21004 },
    { field: 'ingress_denied_by', value: [{}], number: 21005 },
    { field: 'policy_log', value: ['p'], number: 21006 },
    { field: 'Summary', value: 's', number: 100000 },
  ])('$field = $number', ({ field, value, number }) => {
    expect([...fieldsOf(flowBytes({ [field]: value })).keys()]).toEqual([number])
  })
})

describe('field numbers below and around the flow', () => {
  const nested = (flow: object, ...path: number[]): number[] => {
    let bytes = flowBytes(flow)
    for (const number of path) bytes = fieldsOf(bytes).get(number) ?? Buffer.alloc(0)
    return [...fieldsOf(bytes).keys()]
  }
  it.each([
    {
      what: 'l7.type, latency_ns, http',
      flow: { l7: { type: 1, latency_ns: 5, http: {} } },
      path: [15],
      numbers: [1, 2, 101],
    },
    { what: 'l7.dns', flow: { l7: { dns: {} } }, path: [15], numbers: [100] },
    { what: 'l7.kafka', flow: { l7: { kafka: {} } }, path: [15], numbers: [102] },
    {
      what: 'http',
      flow: { l7: { http: { code: 1, method: 'm', url: 'u', protocol: 'p', headers: [{}] } } },
      path: [15, 101],
      numbers: [1, 2, 3, 4, 5],
    },
    {
      what: 'dns',
      flow: {
        l7: {
          dns: {
            query: 'q',
            ips: ['i'],
            ttl: 1,
            cnames: ['c'],
            observation_source: 's',
            rcode: 3,
            qtypes: ['A'],
            rrtypes: ['A'],
          },
        },
      },
      path: [15, 100],
      numbers: [1, 2, 3, 4, 5, 6, 7, 8],
    },
    {
      what: 'TCP ports and flags',
      flow: { l4: { TCP: { source_port: 1, destination_port: 2, flags: {} } } },
      path: [6, 1],
      numbers: [1, 2, 3],
    },
    {
      what: 'UDP',
      flow: { l4: { UDP: { source_port: 1, destination_port: 2 } } },
      path: [6, 2],
      numbers: [1, 2],
    },
    {
      what: 'TCP flags',
      flow: {
        l4: {
          TCP: {
            flags: {
              FIN: true,
              SYN: true,
              RST: true,
              PSH: true,
              ACK: true,
              URG: true,
              ECE: true,
              CWR: true,
              NS: true,
            },
          },
        },
      },
      path: [6, 1, 3],
      numbers: [1, 2, 3, 4, 5, 6, 7, 8, 9],
    },
    {
      what: 'endpoint',
      flow: {
        source: {
          ID: 1,
          identity: 2,
          namespace: 'n',
          labels: ['l'],
          pod_name: 'p',
          workloads: [{}],
          cluster_name: 'c',
        },
      },
      path: [8],
      numbers: [1, 2, 3, 4, 5, 6, 7],
    },
    {
      what: 'IP',
      flow: {
        IP: { source: 's', destination: 'd', ipVersion: 1, encrypted: true, source_xlated: 'x' },
      },
      path: [5],
      numbers: [1, 2, 3, 4, 5],
    },
    {
      what: 'event type',
      flow: { event_type: { type: 129, sub_type: 1 } },
      path: [19],
      numbers: [1, 2],
    },
    {
      what: 'trace id',
      flow: { trace_context: { parent: { trace_id: 't' } } },
      path: [30, 1],
      numbers: [1],
    },
  ])('$what', ({ flow, path, numbers }) => {
    expect(nested(flow, ...path)).toEqual(numbers)
  })

  it.each([
    { what: 'flow', message: { flow: {} }, number: 1 },
    { what: 'node_status', message: { node_status: {} }, number: 2 },
    { what: 'lost_events', message: { lost_events: {} }, number: 3 },
    { what: 'node_name', message: { node_name: 'n' }, number: 1000 },
    { what: 'time', message: { time: {} }, number: 1001 },
  ])('GetFlowsResponse.$what = $number', ({ message, number }) => {
    expect([...fieldsOf(responseBytes(message)).keys()]).toEqual([number])
  })

  it('LostEvent and NodeStatusEvent', () => {
    const lost = { source: 3, num_events_lost: 1, cpu: { value: 1 }, first: {}, last: {} }
    const status = { state_change: 1, node_names: ['n'], message: 'm' }
    const inside = (bytes: Buffer, field: number): number[] => [
      ...fieldsOf(fieldsOf(bytes).get(field) ?? Buffer.alloc(0)).keys(),
    ]
    expect(inside(responseBytes({ lost_events: lost }), 3)).toEqual([1, 2, 3, 4, 5])
    expect(inside(responseBytes({ node_status: status }), 2)).toEqual([1, 2, 3])
  })

  it('GetFlowsRequest', () => {
    const request = {
      number: 1,
      follow: true,
      blacklist: [{}],
      whitelist: [{ event_type: [{ type: 129 }] }],
      since: {},
      until: {},
      first: true,
      field_mask: { paths: ['time'] },
    }
    const bytes = observer['GetFlows']?.requestSerialize(request) ?? Buffer.alloc(0)
    expect([...fieldsOf(bytes).keys()]).toEqual([1, 3, 5, 6, 7, 8, 9, 10])
    expect([...fieldsOf(fieldsOf(bytes).get(6) ?? bytes).keys()]).toEqual([6])
  })

  it('ServerStatusResponse', () => {
    const status = {
      num_flows: 1,
      max_flows: 2,
      seen_flows: 3,
      uptime_ns: 4,
      num_connected_nodes: { value: 5 },
      num_unavailable_nodes: { value: 6 },
      unavailable_nodes: ['n'],
      version: 'v',
      flows_rate: 9.5,
    }
    const bytes = observer['ServerStatus']?.responseSerialize(status) ?? Buffer.alloc(0)
    expect([...fieldsOf(bytes).keys()]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
  })
})

describe('messages as objects', () => {
  const roundTrip = (message: object): unknown =>
    observer['GetFlows']?.responseDeserialize(responseBytes(message))

  it('keeps names, numbers of unknown enums, and large latencies; shows which oneof field is set', () => {
    const flow = {
      verdict: 77,
      Type: 2,
      node_name: 'c/n',
      l7: { latency_ns: 5_000_000_001, http: { code: 404 } },
    }
    expect(roundTrip({ flow, node_name: 'c/n' })).toEqual({
      response_types: 'flow',
      flow: { ...flow, l7: { ...flow.l7, record: 'http' } },
      node_name: 'c/n',
    })
  })
  it('tells a reply from one that is not known', () => {
    expect(roundTrip({ flow: { is_reply: { value: true } } })).toMatchObject({
      flow: { is_reply: { value: true } },
    })
    // As Go writes false: the wrapper alone.
    const bytes = Buffer.from([0x0a, 0x03, 0xd2, 0x01, 0x00])
    expect(observer['GetFlows']?.responseDeserialize(bytes)).toMatchObject({
      flow: { is_reply: {} },
    })
    expect(roundTrip({ flow: {} })).toEqual({ response_types: 'flow', flow: {} })
  })
})

it('serves under the names that Relay and agents serve under', () => {
  const paths = Object.values({ ...observer, ...peerService() }).map(({ path }) => path)
  expect(paths.toSorted()).toEqual([
    '/observer.Observer/GetAgentEvents',
    '/observer.Observer/GetDebugEvents',
    '/observer.Observer/GetFlows',
    '/observer.Observer/GetNamespaces',
    '/observer.Observer/GetNodes',
    '/observer.Observer/ServerStatus',
    '/peer.Peer/Notify',
  ])
})
