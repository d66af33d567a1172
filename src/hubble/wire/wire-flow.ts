import { WireEnd, type WireEndpoints } from './wire-endpoints.ts'
import { WireLayer4 } from './wire-layer4.ts'
import { WireLayer7 } from './wire-layer7.ts'
import { fieldTable, type WireReader, WireSpan } from './wire-reader.ts'

/** What is read of each message, by the numbers of proto/flow/flow.proto. */
const FLOW = fieldTable([2, 3, 10, 22, 25], [1, 5, 6, 8, 9, 11, 13, 14, 15, 19, 20, 21, 26, 30, 34])
const SOURCE_NAMES = fieldTable([], [13])
const DESTINATION_NAMES = fieldTable([], [14])
const TIMESTAMP = fieldTable([1, 2], [])
const EVENT_TYPE = fieldTable([1, 2], [])
const BOOL_VALUE = fieldTable([1], [])
/** TraceContext, and the TraceParent in it. */
const TRACE = fieldTable([], [1])

const NO_NAMES: readonly string[] = []

/** A `google.protobuf.Timestamp`; all 0 where there is none. */
export class WireTime {
  isSet = false
  seconds = 0
  nanos = 0

  clear(): void {
    this.isSet = false
    this.seconds = 0
    this.nanos = 0
  }

  read(reader: WireReader, outer: number): void {
    this.clear()
    this.isSet = true
    for (const end = reader.enter(outer); reader.pos < end; ) {
      const field = reader.next(end, TIMESTAMP)
      if (field === 1) this.seconds = reader.int64(end)
      else if (field === 2) this.nanos = reader.uint32(end) | 0
    }
  }
}

/** A `flow.Flow`, moved from message to message: its numbers, and where its texts stand. */
export class WireFlow {
  readonly time = new WireTime()
  readonly layer4 = new WireLayer4()
  readonly layer7 = new WireLayer7()
  readonly source = new WireEnd()
  readonly destination = new WireEnd()
  verdict = 0
  direction = 0
  isReply: -1 | 0 | 1 = -1
  type = 0
  dropReason = 0
  dropReasonDesc = 0
  eventType = 0
  eventSubType = 0
  readonly uuid = new WireSpan()
  readonly node = new WireSpan()
  readonly sourceIp = new WireSpan()
  readonly destinationIp = new WireSpan()
  /** Of a `flow.Service` with its length: whatever is in it, the same bytes are the same Service. */
  readonly sourceService = new WireSpan()
  readonly destinationService = new WireSpan()
  readonly traceId = new WireSpan()
  readonly #whole = new WireSpan()
  #hasNames = false
  readonly #endpoints: WireEndpoints
  readonly #first = new WireSpan()
  readonly #second = new WireSpan()

  constructor(endpoints: WireEndpoints) {
    this.#endpoints = endpoints
  }

  clear(): void {
    this.time.clear()
    this.layer4.clear()
    this.layer7.clear()
    this.source.clear()
    this.destination.clear()
    this.verdict = 0
    this.direction = 0
    this.isReply = -1
    this.type = 0
    this.dropReason = 0
    this.dropReasonDesc = 0
    this.eventType = 0
    this.eventSubType = 0
    this.uuid.clear()
    this.node.clear()
    this.sourceIp.clear()
    this.destinationIp.clear()
    this.sourceService.clear()
    this.destinationService.clear()
    this.traceId.clear()
    this.#whole.clear()
    this.#hasNames = false
  }

  read(reader: WireReader, outer: number): void {
    this.clear()
    const end = reader.enter(outer)
    this.#whole.start = reader.pos
    this.#whole.end = end
    while (reader.pos < end) {
      switch (reader.next(end, FLOW)) {
        case 1:
          this.time.read(reader, end)
          break
        case 2:
          this.verdict = reader.uint32(end) | 0
          break
        case 3:
          this.dropReason = reader.uint32(end)
          break
        case 5: // IP
          reader.pair(this.sourceIp, this.destinationIp, end)
          break
        case 6:
          this.layer4.read(reader, end)
          break
        case 8:
          this.#endpoints.read(reader, end, this.source)
          break
        case 9:
          this.#endpoints.read(reader, end, this.destination)
          break
        case 10: // Type
          this.type = reader.uint32(end) | 0
          break
        case 11: // node_name
          reader.span(this.node, end)
          break
        case 13: // source_names
        case 14: // destination_names
          this.#hasNames = true
          reader.pos = reader.enter(end)
          break
        case 15:
          this.layer7.read(reader, end)
          break
        case 19:
          this.#readEventType(reader, end)
          break
        case 20:
          this.#readService(reader, end, this.sourceService)
          break
        case 21:
          this.#readService(reader, end, this.destinationService)
          break
        case 22: // traffic_direction
          this.direction = reader.uint32(end) | 0
          break
        case 25: // drop_reason_desc
          this.dropReasonDesc = reader.uint32(end) | 0
          break
        case 26: // is_reply
          this.#readReply(reader, end)
          break
        case 30: // trace_context
          this.#readTrace(reader, end)
          break
        case 34:
          reader.span(this.uuid, end)
          break
      }
    }
  }

  sourceNames(reader: WireReader): readonly string[] {
    return this.#hasNames ? this.#texts(reader, SOURCE_NAMES) : NO_NAMES
  }

  destinationNames(reader: WireReader): readonly string[] {
    return this.#hasNames ? this.#texts(reader, DESTINATION_NAMES) : NO_NAMES
  }

  /** `NAMESPACE/NAME` of the message at `service`; '' where it has no name. */
  serviceName(reader: WireReader, service: WireSpan): string {
    reader.pos = service.start
    reader.pair(this.#first, this.#second, service.end)
    const name = reader.text(this.#first)
    return name === '' ? '' : `${reader.text(this.#second)}/${name}`
  }

  #readEventType(reader: WireReader, outer: number): void {
    this.eventType = 0
    this.eventSubType = 0
    for (const end = reader.enter(outer); reader.pos < end; ) {
      const field = reader.next(end, EVENT_TYPE)
      if (field === 1) this.eventType = reader.uint32(end) | 0
      else if (field === 2) this.eventSubType = reader.uint32(end) | 0
    }
  }

  #readService(reader: WireReader, outer: number, service: WireSpan): void {
    service.start = reader.pos
    reader.pair(this.#first, this.#second, outer)
    service.end = reader.pos
  }

  #readReply(reader: WireReader, outer: number): void {
    this.isReply = 0
    for (const end = reader.enter(outer); reader.pos < end; ) {
      if (reader.next(end, BOOL_VALUE) === 1) this.isReply = reader.uint32(end) === 0 ? 0 : 1
    }
  }

  #readTrace(reader: WireReader, outer: number): void {
    this.traceId.clear()
    for (const end = reader.enter(outer); reader.pos < end; ) {
      if (reader.next(end, TRACE) === 0) continue
      this.traceId.clear()
      for (const stop = reader.enter(end); reader.pos < stop; ) {
        if (reader.next(stop, TRACE) === 1) reader.span(this.traceId, stop)
      }
    }
  }

  #texts(reader: WireReader, field: Uint8Array): string[] {
    const { start, end } = this.#whole
    const texts: string[] = []
    for (reader.pos = start; reader.pos < end; ) {
      if (reader.next(end, field) === 0) continue
      reader.span(this.#first, end)
      texts.push(reader.text(this.#first))
    }
    return texts
  }
}
