import { describe, expect, it } from 'vitest'
import { messageOfLine } from '../../../../src/hubble/capture/capture-source.ts'
import { messageOfJson, readTimestamp } from '../../../../src/hubble/capture/proto-json.ts'

const PROTO_NAMES = {
  time: '2021-06-16T16:52:13.136834446Z',
  verdict: 'FORWARDED',
  IP: { source: '10.0.2.16', destination: '10.0.2.1', ipVersion: 'IPv4' },
  l4: { TCP: { source_port: 15020, destination_port: 42044, flags: { FIN: true, ACK: true } } },
  source: {
    ID: 1231,
    identity: 25339,
    namespace: 'bookinfo',
    pod_name: 'reviews-v1-545db77b95-s6jb8',
  },
  Type: 'L7',
  node_name: 'node-1',
  l7: {
    type: 'RESPONSE',
    latency_ns: '44743577',
    http: { code: 200, method: 'GET', url: 'http://a/b' },
  },
  is_reply: false,
  event_type: { type: 129 },
  traffic_direction: 'INGRESS',
}

const CAMEL_NAMES = {
  time: '2021-06-16T16:52:13.136834446Z',
  verdict: 'FORWARDED',
  IP: { source: '10.0.2.16', destination: '10.0.2.1', ipVersion: 'IPv4' },
  l4: { TCP: { sourcePort: 15020, destinationPort: 42044, flags: { FIN: true, ACK: true } } },
  source: {
    ID: 1231,
    identity: 25339,
    namespace: 'bookinfo',
    podName: 'reviews-v1-545db77b95-s6jb8',
  },
  Type: 'L7',
  nodeName: 'node-1',
  l7: {
    type: 'RESPONSE',
    latencyNs: '44743577',
    http: { code: 200, method: 'GET', url: 'http://a/b' },
  },
  isReply: false,
  eventType: { type: 129 },
  trafficDirection: 'INGRESS',
}

const DECODED = {
  time: { seconds: 1623862333, nanos: 136834446 },
  verdict: 1,
  l4: { TCP: { source_port: 15020, destination_port: 42044, flags: { FIN: true, ACK: true } } },
  l7: { type: 2, latency_ns: 44743577, http: { code: 200 } },
  is_reply: { value: false },
  traffic_direction: 1,
  Type: 2,
  node_name: 'node-1',
  source: { pod_name: 'reviews-v1-545db77b95-s6jb8' },
}

describe('a line of a capture', () => {
  it.each([
    { why: 'wrapped, proto names', line: { flow: PROTO_NAMES } },
    { why: 'wrapped, lowerCamelCase', line: { flow: CAMEL_NAMES } },
    { why: 'bare flow', line: PROTO_NAMES },
    { why: 'with fields of a newer agent', line: { flow: { ...PROTO_NAMES, new_field: [{}] } } },
    { why: 'enums as numbers', line: { flow: { ...PROTO_NAMES, verdict: 1, Type: 2 } } },
  ])('gives the message that the stream would: $why', ({ line }) => {
    expect(messageOfLine(JSON.stringify(line))).toMatchObject({ flow: DECODED })
  })

  it.each([
    { why: 'truncated', line: '{"flow":{"time":"2021-06-16T1', reason: 'malformed' },
    { why: 'not an object', line: '[1]', reason: 'malformed' },
    { why: 'a number where text belongs', line: '{"flow":{"uuid":7}}', reason: 'malformed' },
    { why: 'a broken time', line: '{"flow":{"time":"yesterday"}}', reason: 'malformed' },
    { why: 'a list where a message belongs', line: '{"flow":{"l7":[]}}', reason: 'malformed' },
    {
      why: 'a loss below nothing',
      line: '{"lost_events":{"num_events_lost":"-5"}}',
      reason: 'malformed',
    },
    { why: 'half a status', line: '{"flow":{"l7":{"http":{"code":200.5}}}}', reason: 'malformed' },
    { why: 'half an enum', line: '{"flow":{"verdict":1.5}}', reason: 'malformed' },
    { why: 'an agent event', line: '{"agent_event":{"type":"X"}}', reason: 'unsupported' },
  ])('is refused with a reason: $why', ({ line, reason }) => {
    expect(messageOfLine(line)).toBe(reason)
  })

  it('reads an unknown enum name as 0 and keeps an unknown number', () => {
    expect(messageOfJson('flow.Flow', { verdict: 'BRAND_NEW' })).toEqual({ verdict: 0 })
    expect(messageOfJson('flow.Flow', { verdict: 99 })).toEqual({ verdict: 99 })
  })

  it('reads lost events and node states', () => {
    const lost = { lost_events: { source: 'HUBBLE_RING_BUFFER', num_events_lost: '12', cpu: 3 } }
    expect(messageOfLine(JSON.stringify(lost))).toEqual({
      lost_events: { source: 3, num_events_lost: 12, cpu: { value: 3 } },
    })
    const status = { node_status: { state_change: 'NODE_ERROR', node_names: ['a'], message: 'x' } }
    expect(messageOfLine(JSON.stringify(status))).toMatchObject({
      node_status: { state_change: 4 },
    })
  })
})

it.each([
  { text: '2021-06-16T16:52:13Z', time: { seconds: 1623862333, nanos: 0 } },
  { text: '2021-06-16T16:52:13.1Z', time: { seconds: 1623862333, nanos: 100_000_000 } },
  { text: '2021-06-16T18:52:13.000000001+02:00', time: { seconds: 1623862333, nanos: 1 } },
])('readTimestamp() keeps nanoseconds: $text', ({ text, time }) => {
  expect(readTimestamp(text)).toEqual(time)
})
