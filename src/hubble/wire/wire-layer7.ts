import { FlowKind } from '../../model/flow-view.ts'
import { fieldTable, type WireReader, WireSpan } from './wire-reader.ts'

/** What is read of each message, by the numbers of proto/flow/flow.proto. */
const LAYER7 = fieldTable([1, 2], [100, 101, 102])
const HTTP = fieldTable([1], [2, 3, 4, 5])
const DNS = fieldTable([6], [1])

/** Grows to what one message holds: no message is larger than 4 MiB, and Envoy takes 100 headers. */
const HEADERS_FIRST = 64
const UPPER_A = 65
const UPPER_Z = 90
const TO_LOWER = 32

/** A `flow.Layer7`, moved from message to message. */
export class WireLayer7 {
  /** False: the flow has none. */
  isSet = false
  type = 0
  latencyNs = 0
  httpStatus = 0
  dnsRcode = 0
  readonly method = new WireSpan()
  readonly url = new WireSpan()
  readonly protocol = new WireSpan()
  readonly query = new WireSpan()
  #hasHttp = false
  #hasDns = false
  #hasKafka = false
  /** Start and end of the key, then of the value. */
  #headers = new Int32Array(4 * HEADERS_FIRST)
  #headersEnd = 0
  readonly #key = new WireSpan()
  readonly #value = new WireSpan()

  /** It is a oneof; of several records, which no agent sends, the first here counts, as in MessageView. */
  get kind(): FlowKind {
    if (this.#hasHttp) return FlowKind.http
    if (this.#hasDns) return FlowKind.dns
    return this.#hasKafka ? FlowKind.kafka : FlowKind.l7Other
  }

  clear(): void {
    this.isSet = false
    this.type = 0
    this.latencyNs = 0
    this.#hasKafka = false
    this.#clearHttp()
    this.#clearDns()
  }

  read(reader: WireReader, outer: number): void {
    this.clear()
    this.isSet = true
    for (const end = reader.enter(outer); reader.pos < end; ) {
      switch (reader.next(end, LAYER7)) {
        case 1:
          this.type = reader.uint32(end) | 0
          break
        case 2:
          this.latencyNs = reader.uint64(end)
          break
        case 100:
          this.#readDns(reader, end)
          break
        case 101:
          this.#readHttp(reader, end)
          break
        case 102: // kafka: nobody asks what is in it
          this.#hasKafka = true
          reader.pos = reader.enter(end)
          break
      }
    }
  }

  /** Value of the first header of that name, which is in lower case. Names are ASCII: RFC 9110, 5.1. */
  header(reader: WireReader, name: string): string {
    const headers = this.#headers
    for (let i = 0; i < this.#headersEnd; i += 4) {
      const start = headers[i] ?? 0
      const end = headers[i + 1] ?? 0
      if (end - start !== name.length || !isName(reader.bytes, start, name)) continue
      this.#value.start = headers[i + 2] ?? 0
      this.#value.end = headers[i + 3] ?? 0
      return reader.text(this.#value)
    }
    return ''
  }

  #clearHttp(): void {
    this.#hasHttp = false
    this.httpStatus = 0
    this.method.clear()
    this.url.clear()
    this.protocol.clear()
    this.#headersEnd = 0
  }

  #clearDns(): void {
    this.#hasDns = false
    this.dnsRcode = 0
    this.query.clear()
  }

  #readHttp(reader: WireReader, outer: number): void {
    this.#clearHttp()
    this.#hasHttp = true
    for (const end = reader.enter(outer); reader.pos < end; ) {
      switch (reader.next(end, HTTP)) {
        case 1:
          this.httpStatus = reader.uint32(end)
          break
        case 2:
          reader.span(this.method, end)
          break
        case 3:
          reader.span(this.url, end)
          break
        case 4:
          reader.span(this.protocol, end)
          break
        case 5:
          this.#readHeader(reader, end)
          break
      }
    }
  }

  #readHeader(reader: WireReader, outer: number): void {
    const key = this.#key
    const value = this.#value
    reader.pair(key, value, outer)
    const at = this.#headersEnd
    if (at === this.#headers.length) {
      const grown = new Int32Array(2 * at)
      grown.set(this.#headers)
      this.#headers = grown
    }
    this.#headers[at] = key.start
    this.#headers[at + 1] = key.end
    this.#headers[at + 2] = value.start
    this.#headers[at + 3] = value.end
    this.#headersEnd = at + 4
  }

  #readDns(reader: WireReader, outer: number): void {
    this.#clearDns()
    this.#hasDns = true
    for (const end = reader.enter(outer); reader.pos < end; ) {
      switch (reader.next(end, DNS)) {
        case 1:
          reader.span(this.query, end)
          break
        case 6:
          this.dnsRcode = reader.uint32(end)
          break
      }
    }
  }
}

function isName(bytes: Buffer, start: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    const byte = bytes[start + i] ?? 0
    const lower = byte >= UPPER_A && byte <= UPPER_Z ? byte + TO_LOWER : byte
    if (lower !== name.charCodeAt(i)) return false
  }
  return true
}
