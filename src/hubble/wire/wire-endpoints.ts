import type { Endpoint, EndpointTable } from '../../model/endpoint.ts'
import { endpointFieldsOf } from '../endpoint-fields.ts'
import type { EndpointMessage } from '../flow-message.ts'
import { fieldTable, type WireReader, WireSpan } from './wire-reader.ts'
import { WireTable } from './wire-table.ts'

/** A busy Relay shows some thousand pods; 350 bytes are one with eight labels. */
const TABLE = { entriesMax: 16_384, keysMax: 8 * 1_024 * 1_024, keyMax: 16 * 1_024 }

const ENDPOINT = fieldTable([2], [3, 4, 5, 6, 7])
const WORKLOAD = fieldTable([], [1, 2])

const TEXT = new WireSpan()

type Writable<T> = { -readonly [K in keyof T]: T[K] }
type WorkloadMessage = NonNullable<EndpointMessage['workloads']>[number]

/** One end of a flow between {@link WireEndpoints.read} and {@link WireEndpoints.intern}. */
export class WireEnd {
  readonly span = new WireSpan()
  known: Endpoint | undefined
  message: EndpointMessage | undefined

  clear(): void {
    this.span.clear()
    this.known = undefined
    this.message = undefined
  }
}

/**
 * Interned endpoints by the bytes of their messages: only what was not seen before is decoded. Exact:
 * whole messages are compared, and what the table has evicted is interned anew, so it names what
 * {@link EndpointTable.intern} would. It listens to that table for good: one for each source.
 */
export class WireEndpoints {
  readonly #table: EndpointTable
  readonly #known: WireTable<Endpoint>
  /** By id: endpoints of generations below are evicted. */
  #aliveFrom = new Int32Array(1_024)

  constructor(table: EndpointTable, options = TABLE) {
    this.#table = table
    this.#known = new WireTable(options)
    table.onEvict(({ id, generation }) => {
      // An id beyond is of another source's endpoint, which is not known here.
      if (id < this.#aliveFrom.length) this.#aliveFrom[id] = generation + 1
    })
  }

  get evicted(): number {
    return this.#known.evicted
  }

  /** Reads the message that `reader` stands before, but interns nothing: the flow around it may be broken. */
  read(reader: WireReader, outer: number, into: WireEnd): void {
    const { span } = into
    into.clear()
    reader.span(span, outer)
    if (span.start === span.end) return
    into.known = this.#known.find(reader, span)
    if (into.known === undefined) into.message = messageOf(reader, span)
  }

  intern(reader: WireReader, { span, known, message }: WireEnd): Endpoint {
    if (span.start === span.end) return this.#table.none
    if (known !== undefined && this.#isAlive(known)) return known
    const fields = endpointFieldsOf(message ?? messageOf(reader, span))
    const endpoint = this.#table.intern(fields)
    this.#reserve(endpoint.id)
    return this.#known.add(reader, span, endpoint)
  }

  #isAlive({ id, generation }: Endpoint): boolean {
    return generation >= (this.#aliveFrom[id] ?? 0)
  }

  #reserve(id: number): void {
    if (id < this.#aliveFrom.length) return
    const grown = new Int32Array(2 ** Math.ceil(Math.log2(id + 1)))
    grown.set(this.#aliveFrom)
    this.#aliveFrom = grown
  }
}

function messageOf(reader: WireReader, { start, end }: WireSpan): EndpointMessage {
  reader.pos = start
  const labels: string[] = []
  const workloads: WorkloadMessage[] = []
  const message: Writable<EndpointMessage> = { labels, workloads }
  while (reader.pos < end) {
    switch (reader.next(end, ENDPOINT)) {
      case 2:
        message.identity = reader.uint32(end)
        break
      case 3:
        message.namespace = text(reader, end)
        break
      case 4:
        labels.push(text(reader, end))
        break
      case 5:
        message.pod_name = text(reader, end)
        break
      case 6:
        workloads.push(workloadMessage(reader, end))
        break
      case 7:
        message.cluster_name = text(reader, end)
        break
    }
  }
  return message
}

function workloadMessage(reader: WireReader, outer: number): WorkloadMessage {
  const message: Writable<WorkloadMessage> = {}
  for (const end = reader.enter(outer); reader.pos < end; ) {
    switch (reader.next(end, WORKLOAD)) {
      case 1:
        message.name = text(reader, end)
        break
      case 2:
        message.kind = text(reader, end)
        break
    }
  }
  return message
}

function text(reader: WireReader, outer: number): string {
  TEXT.clear()
  reader.span(TEXT, outer)
  return reader.text(TEXT)
}
