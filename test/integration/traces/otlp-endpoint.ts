import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentId: string
  readonly name: string
  /** 2: SERVER, 3: CLIENT. */
  readonly kind: number
  readonly startNs: bigint
  readonly endNs: bigint
  readonly serviceName: string
  readonly attributes: Readonly<Record<string, string>>
  readonly statusCode: number
}

export interface Endpoint {
  readonly url: string
  readonly port: number
  readonly spans: ReceivedSpan[]
  readonly requests: { readonly path: string; readonly headers: IncomingHttpHeaders }[]
  close(): Promise<void>
}

/** An OTLP/HTTP endpoint that takes protobuf on loopback; port 0: a free one. */
export async function startEndpoint(
  port = 0,
  answer: (response: ServerResponse) => void = (response) => void response.end(),
): Promise<Endpoint> {
  const spans: ReceivedSpan[] = []
  const requests: Endpoint['requests'] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      requests.push({ path: request.url ?? '', headers: request.headers })
      spans.push(...decodeSpans(Buffer.concat(chunks)))
      answer(response)
    })
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  onTestFinished(() => closed(server))
  const { port: actual } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${actual}`
  return { url, port: actual, spans, requests, close: () => closed(server) }
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

interface Field {
  readonly number: number
  readonly varint: bigint
  readonly bytes: Buffer
}

/** The fields of one protobuf message; groups are not read, OTLP has none. */
function* fieldsOf(message: Buffer): Generator<Field> {
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++] ?? 0
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  while (at < message.length) {
    const tag = Number(varint())
    const field: { -readonly [K in keyof Field]: Field[K] } = {
      number: tag >> 3,
      varint: 0n,
      bytes: Buffer.alloc(0),
    }
    const wire = tag & 7
    if (wire === 0) field.varint = varint()
    else {
      const length = wire === 1 ? 8 : wire === 5 ? 4 : Number(varint())
      field.bytes = message.subarray(at, at + length)
      at += length
    }
    yield field
  }
}

/** Source of the numbers: opentelemetry-proto 1.x, trace/v1/trace.proto and common/v1/common.proto. */
function decodeSpans(request: Buffer): ReceivedSpan[] {
  const spans: ReceivedSpan[] = []
  for (const resourceSpans of children(request, 1)) {
    const resource = attributesOf(children(children(resourceSpans, 1)[0] ?? Buffer.alloc(0), 1))
    for (const scopeSpans of children(resourceSpans, 2)) {
      for (const span of children(scopeSpans, 2)) spans.push(decodeSpan(span, resource))
    }
  }
  return spans
}

function decodeSpan(message: Buffer, resource: Record<string, string>): ReceivedSpan {
  const fields = [...fieldsOf(message)]
  const bytes = (number: number): Buffer =>
    fields.find((field) => field.number === number)?.bytes ?? Buffer.alloc(0)
  const status = [...fieldsOf(bytes(15))].find(({ number }) => number === 3)
  return {
    traceId: bytes(1).toString('hex'),
    spanId: bytes(2).toString('hex'),
    parentId: bytes(4).toString('hex'),
    name: bytes(5).toString(),
    kind: Number(fields.find(({ number }) => number === 6)?.varint ?? 0n),
    startNs: bytes(7).readBigUInt64LE(),
    endNs: bytes(8).readBigUInt64LE(),
    attributes: attributesOf(children(message, 9)),
    serviceName: resource['service.name'] ?? '',
    statusCode: Number(status?.varint ?? 0n),
  }
}

function children(message: Buffer, number: number): Buffer[] {
  return [...fieldsOf(message)].filter((field) => field.number === number).map((f) => f.bytes)
}

function attributesOf(keyValues: readonly Buffer[]): Record<string, string> {
  const attributes: Record<string, string> = {}
  for (const keyValue of keyValues) {
    const key = children(keyValue, 1)[0]?.toString() ?? ''
    const [value] = fieldsOf(children(keyValue, 2)[0] ?? Buffer.alloc(0))
    if (value === undefined) continue
    attributes[key] = value.number === 1 ? value.bytes.toString() : String(value.varint)
  }
  return attributes
}
