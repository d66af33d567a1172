import { connect } from 'node:net'
import { observerService } from '../src/hubble/proto.ts'
import { createGrpcJsTransport } from '../src/hubble/transport/grpc-js-transport.ts'
import { createHttp2Transport } from '../src/hubble/transport/h2/http2-transport.ts'
import type { OnMessage, StreamTransport } from '../src/hubble/transport/transport.ts'
import { decodeOnly, wholePipeline } from './stages.ts'

/**
 * Reads one stream of a server to its end, in one of these ways, and tells what it cost:
 * `node consumer.ts WAY ADDRESS WARM-UP FLOWS`. CPU is of the whole process, after the warm-up.
 */
const [, , way = '', address = '', warmUpText = '0', flowsText = '0'] = process.argv
const WARM_UP = Number(warmUpText)
const FLOWS = Number(flowsText)
const WAYS: Readonly<Record<string, () => Promise<void>>> = {
  raw: () => readRaw(address),
  http2: () => readBy(createHttp2Transport(address, undefined), () => undefined),
  'grpc-js': () => readBy(createGrpcJsTransport(address, undefined), () => undefined),
  'http2+decode': () => readBy(createHttp2Transport(address, undefined), decodeOnly()),
  'grpc-js+decode': () => readBy(createGrpcJsTransport(address, undefined), decodeOnly()),
  'http2+pipeline': () => readBy(createHttp2Transport(address, undefined), wholePipeline()),
  'grpc-js+pipeline': () => readBy(createGrpcJsTransport(address, undefined), wholePipeline()),
}

let count = 0
let before = process.cpuUsage()
let startedMs = performance.now()
let pauseMs = 0

function begin(): void {
  pauseMs = 0
  before = process.cpuUsage()
  startedMs = performance.now()
}

async function readBy(transport: StreamTransport, onMessage: OnMessage): Promise<void> {
  const definition = observerService()['GetFlows']
  // All that a ring holds; the bench's own server sends what it has whatever it is asked.
  const since = { seconds: 1, nanos: 0 }
  const request = definition?.requestSerialize({ since, number: FLOWS }) ?? Buffer.alloc(0)
  const { code, details } = await transport.open(
    '/observer.Observer/GetFlows',
    request,
    (bytes, start, end) => {
      if (++count === WARM_UP) begin()
      return onMessage(bytes, start, end)
    },
    new AbortController().signal,
  )
  transport.close()
  if (code !== 0) throw new Error(`Cannot read to the end: ${code} ${details}`)
}

/** Bytes only: what the kernel and Node's sockets cost whatever is done with them. */
async function readRaw(server: string): Promise<void> {
  const at = server.lastIndexOf(':')
  const frame = (type: number, flags: number, stream: number, payload: Buffer) => {
    const head = Buffer.alloc(9)
    head.writeUIntBE(payload.length, 0, 3)
    head.writeUInt8(type, 3)
    head.writeUInt8(flags, 4)
    head.writeUInt32BE(stream, 5)
    return Buffer.concat([head, payload])
  }
  const text = (value: string) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)])
  const header = (name: string, value: string) =>
    Buffer.concat([Buffer.from([0]), text(name), text(value)])
  const window = Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff])
  const credit = Buffer.from([0x7f, 0xfe, 0, 0])
  const headers = Buffer.concat([
    header(':method', 'POST'),
    header(':scheme', 'http'),
    header(':path', '/observer.Observer/GetFlows'),
    header(':authority', server),
    header('content-type', 'application/grpc'),
    header('te', 'trailers'),
  ])
  const wanted = FLOWS
  let bytes = 0
  await new Promise<void>((resolve, reject) => {
    const socket = connect({
      port: Number(server.slice(at + 1)),
      host: server.slice(0, at),
      onread: {
        buffer: Buffer.alloc(1 << 18),
        callback: (read) => {
          bytes += read
          // Flows are told by their mean size: nothing is looked at.
          const flows = Math.floor((bytes / RAW_BYTES) * wanted)
          if (count < WARM_UP && flows >= WARM_UP) begin()
          count = flows
          if (bytes >= RAW_BYTES) {
            socket.destroy()
            resolve()
          }
          return true
        },
      },
    })
    socket.on('error', reject)
    socket.write(
      Buffer.concat([
        Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
        frame(4, 0, 0, window),
        frame(8, 0, 0, credit),
        frame(1, 4, 1, headers),
        frame(0, 1, 1, Buffer.alloc(5)),
      ]),
    )
  })
}

/** Of all flows with their frames; the windows above must hold them. */
const RAW_BYTES = Number(process.argv[6] ?? 0)

const watch = setInterval(() => {
  const nowMs = performance.now()
  pauseMs = Math.max(pauseMs, nowMs - lastMs - 10)
  lastMs = nowMs
}, 10)
let lastMs = performance.now()
const run = WAYS[way]
if (run === undefined) throw new Error(`Cannot read by ${way}`)
await run()
clearInterval(watch)
const { user, system } = process.cpuUsage(before)
const flows = Math.max(1, count - WARM_UP)
process.stdout.write(
  `${JSON.stringify({
    flows,
    cpuUsPerFlow: (user + system) / flows,
    wallSeconds: (performance.now() - startedMs) / 1_000,
    rssMb: Math.round(process.memoryUsage.rss() / 1e6),
    longestPauseMs: Math.round(pauseMs),
  })}\n`,
)
