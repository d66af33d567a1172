import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { FlowsMessage } from '../../../../src/hubble/flow-message.ts'
import { observerService } from '../../../../src/hubble/proto.ts'
import { WireKind, WireView } from '../../../../src/hubble/wire/wire-view.ts'
import { EndpointTable } from '../../../../src/model/endpoint.ts'
import { FlowKind } from '../../../../src/model/flow-view.ts'
import { BothDecoders } from '../../../fixtures/both-decoders.ts'
import { corpusMessages } from '../../../fixtures/flow-corpus.ts'
import { httpRequest, httpResponse } from '../../../fixtures/hubble-flows.ts'
import { strictDecode } from '../../../fixtures/strict-decoder.ts'
import { fieldBytes, varintBytes, wireMessages } from '../../../fixtures/wire-messages.ts'

const T = 1_760_000_000_000
const definition = observerService()['GetFlows']

function encode(message: FlowsMessage): Buffer {
  return definition?.responseSerialize(message) ?? Buffer.alloc(0)
}
function decode(bytes: Buffer): FlowsMessage {
  return definition?.responseDeserialize(bytes) as FlowsMessage
}
function viewOf(bytes: Buffer): WireView {
  const view = new WireView(new EndpointTable(), 'east')
  expect(view.move(bytes, 0, bytes.length)).toBe(WireKind.flow)
  return view
}
/** A response of one flow. */
function response(...flow: Buffer[]): Buffer {
  return fieldBytes(1, Buffer.concat(flow))
}
function text(field: number, value: string): Buffer {
  return fieldBytes(field, Buffer.from(value))
}

describe('WireView says what MessageView says over protobufjs', () => {
  it('of a whole corpus, which it moves over in place', () => {
    const decoders = new BothDecoders()
    const messages = [...corpusMessages(1_000, { seed: 7 })].map(encode)
    const memory = Buffer.concat(messages)
    let start = 0
    for (const bytes of messages) {
      const end = start + bytes.length
      const { wire, objects } = decoders.say(decode(bytes), memory, start, end)
      expect(wire).toEqual(objects)
      start = end
    }
  })

  it('of any flow: every field, in any order, repeated, empty, huge, and unknown ones between', () => {
    const decoders = new BothDecoders()
    const kinds = new Set<unknown>()
    const property = fc.property(wireMessages('GetFlowsResponse'), (bytes) => {
      const { wire, objects } = decoders.say(decode(bytes), bytes)
      kinds.add(wire.flow?.['kind'] ?? `no flow: ${wire.kind}`)
      expect(wire).toEqual(objects)
      expect(decoders.say(strictDecode(bytes), bytes).objects).toEqual(wire)
    })
    fc.assert(property, { numRuns: 1_000 })
    const { lostEvents, nodeStatus, none } = WireKind
    const others = [lostEvents, nodeStatus, none].map((kind) => `no flow: ${kind}`)
    expect([...kinds]).toEqual(expect.arrayContaining([...Object.values(FlowKind), ...others]))
  })

  it('of each layer 4 record, and of several', () => {
    const decoders = new BothDecoders()
    const record = fc.constantFrom(1, 2, 3, 4, 5, 6, 7)
    const records = fc.array(fc.tuple(record, wireMessages('Ports')), { maxLength: 4 })
    const property = fc.property(records, (list) => {
      const l4 = Buffer.concat(
        list.map(([field, ports]) => fieldBytes(field, field > 5 ? Buffer.alloc(0) : ports)),
      )
      const bytes = response(fieldBytes(6, l4))
      const { wire, objects } = decoders.say(decode(bytes), bytes)
      expect(wire).toEqual(objects)
    })
    fc.assert(property)
  })
})

describe('WireView.move()', () => {
  it.each([
    { what: 'a flow', kind: WireKind.flow, bytes: fieldBytes(1, Buffer.alloc(0)) },
    { what: 'lost events', kind: WireKind.lostEvents, bytes: encode({ lost_events: {} }) },
    { what: 'a node status', kind: WireKind.nodeStatus, bytes: encode({ node_status: {} }) },
    { what: 'nothing that we know', kind: WireKind.none, bytes: encode({ node_name: 'n' }) },
    { what: 'nothing at all', kind: WireKind.none, bytes: Buffer.alloc(0) },
    { what: 'what comes later', kind: WireKind.none, bytes: text(6, 'new') },
  ])('tells $what', ({ kind, bytes }) => {
    expect(new WireView(new EndpointTable(), 'east').move(bytes, 0, bytes.length)).toBe(kind)
  })

  it.each([
    { what: 'a length beyond the message', bytes: Buffer.from([0x0a, 5, 0x10, 1]) },
    { what: 'a length of more than 32 bits', bytes: Buffer.from('0a8080808010', 'hex') },
    { what: 'a varint without end', bytes: response(Buffer.from([0x10, 0x80])) },
    {
      what: 'a varint of eleven bytes',
      bytes: response(
        Buffer.concat([Buffer.from([0x10]), Buffer.alloc(10, 0x80), Buffer.from([0])]),
      ),
    },
    { what: 'a tag of more than 32 bits', bytes: Buffer.from('b08080801001', 'hex') },
    { what: 'field number 0', bytes: Buffer.from([0x02, 0]) },
    { what: 'a group', bytes: Buffer.from([0x23, 0x24]) },
    { what: 'the end of a group', bytes: Buffer.from([0x24]) },
    { what: 'a wire type that there is not', bytes: Buffer.from([0x26, 0]) },
    { what: 'a number as a string', bytes: response(text(2, '1')) },
    { what: 'a string as a number', bytes: response(fieldBytes(34, 7)) },
    { what: 'a flow as a number', bytes: fieldBytes(1, 7) },
    { what: 'a broken endpoint', bytes: response(fieldBytes(8, Buffer.from([0x22, 9]))) },
    { what: 'a broken workload', bytes: response(fieldBytes(9, text(6, '\n\t'))) },
    { what: 'a broken header', bytes: response(fieldBytes(15, text(101, '*\x02\n\t'))) },
    { what: 'a broken service', bytes: response(text(20, '\n\t')) },
    { what: 'broken TCP flags', bytes: response(fieldBytes(6, text(1, '\x1a\x01\x08'))) },
    { what: 'a broken field that nobody reads', bytes: response(Buffer.from([0x22, 9])) },
  ])('takes $what for malformed', ({ bytes }) => {
    const view = new WireView(new EndpointTable(), 'east')
    expect(strictDecode(bytes)).toBeUndefined()
    expect(view.move(bytes, 0, bytes.length)).toBe(WireKind.malformed)
    expect([view.uuid(), view.sourceIp(), view.sourceService(), view.httpHeader('a')]).toEqual(
      Array.from({ length: 4 }, () => ''),
    )
  })

  it('ends where the message ends, whatever lies behind it, and wherever it is cut', () => {
    const request = { atMs: T, uuid: 'a', service: 'orders', headers: { 'X-Id': 'é' } }
    const first = encode(httpRequest(request))
    const second = encode(httpResponse({ atMs: T, uuid: 'b', code: 200, latencyMs: 3 }))
    const full = encode({ ...decode(first), node_name: 'later', time: { seconds: 1 } })
    const decoders = new BothDecoders()
    for (const whole of [first, second, full]) {
      for (let length = 0; length <= whole.length; length++) {
        const cut = Buffer.from(whole.subarray(0, length))
        const message = strictDecode(cut)
        const { wire, objects } = decoders.say(message, cut)
        expect(wire).toEqual(objects)
        for (const behind of [whole.subarray(length), second, Buffer.alloc(20, 0xff)]) {
          const memory = Buffer.concat([second, cut, behind])
          const start = second.length
          expect(decoders.say(message, memory, start, start + length).wire).toEqual(wire)
        }
      }
    }
  })

  it('learns nothing from a malformed message', () => {
    const endpoints = new EndpointTable()
    const view = new WireView(endpoints, 'east')
    const bytes = response(fieldBytes(8, text(5, 'pod')), Buffer.from([0x22, 9]))
    expect(view.move(bytes, 0, bytes.length)).toBe(WireKind.malformed)
    expect(endpoints.size).toBe(1)
  })

  it('takes node and time of the response where the flow has none, wherever they stand', () => {
    const around = [text(1_000, 'around'), fieldBytes(1_001, fieldBytes(1, 7))]
    for (const bytes of [
      Buffer.concat([...around, response()]),
      Buffer.concat([response(), ...around]),
    ]) {
      const view = viewOf(bytes)
      expect([view.nodeName(), view.timeSeconds]).toEqual(['around', 7])
    }
    const own = response(text(11, 'own'), fieldBytes(1, Buffer.alloc(0)))
    const view = viewOf(Buffer.concat([own, ...around]))
    expect([view.nodeName(), view.timeSeconds]).toEqual(['own', 0])
  })

  it('forgets all of the message before', () => {
    const decoders = new BothDecoders()
    const full = encode(httpRequest({ atMs: T, uuid: 'a', service: 'orders' }))
    const bare = response(fieldBytes(2, 1))
    decoders.say(decode(full), full)
    const { wire } = decoders.say(decode(bare), bare)
    expect(wire).toEqual(new BothDecoders().say(decode(bare), bare).objects)
  })

  it('reads numbers to the edge of what they are', () => {
    const huge = response(
      fieldBytes(1, Buffer.concat([fieldBytes(1, -1), fieldBytes(2, -5)])),
      fieldBytes(2, -7),
      fieldBytes(19, Buffer.concat([fieldBytes(1, -1), fieldBytes(2, -(2 ** 31))])),
      fieldBytes(15, fieldBytes(2, 2n ** 53n)),
    )
    expect(viewOf(huge)).toMatchObject({
      timeSeconds: -1,
      timeNanos: -5,
      verdict: -7,
      eventType: -1,
      eventSubType: -(2 ** 31),
      latencyNs: 2 ** 53,
    })
  })

  it('takes a small number in ten bytes for what it is', () => {
    const long = Buffer.concat([varintBytes(2 * 8), Buffer.from('82808080808080808000', 'hex')])
    expect(viewOf(response(long)).verdict).toBe(2)
  })
})

describe('the texts of WireView', () => {
  it('gives the same string for the same node and service', () => {
    const view = new WireView(new EndpointTable(), 'east')
    const texts = [...corpusMessages(400, { nodes: 3 })].map(encode).flatMap((bytes) => {
      view.move(bytes, 0, bytes.length)
      return [view.nodeName(), view.nodeName()]
    })
    expect(new Set(texts).size).toBe(3)
  })

  it('finds a header by its name in any case, the first of several', () => {
    const header = (key: string, value: string) =>
      fieldBytes(5, Buffer.concat([text(1, key), text(2, value)]))
    const many = Array.from({ length: 300 }, (_, n) => header(`X-${n}`, `${n}`))
    const http = Buffer.concat([
      header('x-tWo', 'first'),
      header('X-TWO', 'second'),
      header('X-É', 'not ASCII'),
      ...many,
    ])
    const view = viewOf(response(fieldBytes(15, fieldBytes(101, http))))
    expect(view.httpHeader('x-two')).toBe('first')
    expect(view.httpHeader('x-299')).toBe('299')
    expect(view.httpHeader('x-300')).toBe('')
    expect(view.httpHeader('x-')).toBe('')
  })

  it('takes a text that is far too long for no uuid', () => {
    const view = viewOf(response(text(34, 'u'.repeat(65))))
    expect([view.uuid(), view.uuidHigh, view.uuidLow]).toEqual(['', 0, 0])
    expect(viewOf(response(text(34, 'u'.repeat(64)))).uuidHigh).not.toBe(0)
  })

  it('shows bytes that are no UTF-8 as replacement characters', () => {
    const url = fieldBytes(3, Buffer.from([0x2f, 0xff, 0xc3]))
    const view = viewOf(response(fieldBytes(15, fieldBytes(101, url))))
    expect(view.httpUrl()).toBe('/\ufffd\ufffd')
  })
})
