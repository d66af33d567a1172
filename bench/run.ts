import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { fileURLToPath } from 'node:url'
import { runTool } from '../test/services/child.ts'
import { parseObject } from '../test/services/json-object.ts'
import { CORPUS_FLOWS, corpusFile } from './corpus-file.ts'
import { observe, startLoadedRelay } from './hubble-peers.ts'
import { bringGoPeers, pinned } from './peers/go-peers.ts'

/** Flows of one run that count, and those before them. */
const LOOPS = 6
const WARM_UP = CORPUS_FLOWS
/** The rows take turns within a round; the first one only warms the machine up. */
const ROUNDS = 5
const CONSUMER = fileURLToPath(new URL('consumer.ts', import.meta.url))
const GRPC_BYTES = 5
/** The way that Weir goes by default. */
const OURS = 'http2+pipeline'
const FRAME_BYTES = 9

interface Figures {
  readonly cpuUsPerFlow: number
  readonly rssMb?: number
  readonly longestPauseMs?: number
}

interface Row {
  readonly name: string
  readonly measure: () => Promise<Figures>
}

const asJson = process.argv.includes('--json')
const rounds = Number(process.argv.find((arg) => /^\d+$/.test(arg)) ?? ROUNDS)
const file = corpusFile()
const peers = await bringGoPeers()
if (peers === undefined)
  throw new Error('Cannot measure: the server is written in Go, which is not there')
const server = await peers.startServer({ file, loops: LOOPS })

const relay = await startLoadedRelay(file, CORPUS_FLOWS)

const LENGTH_BYTES = 4
const bytes = readFileSync(file).length + CORPUS_FLOWS * (FRAME_BYTES + GRPC_BYTES - LENGTH_BYTES)

async function consume(way: string, address: string, warmUp: number, loops: number) {
  const args = [CONSUMER, way, address, warmUp, loops * CORPUS_FLOWS, bytes * loops].map(String)
  let last = ''
  await runTool(pinned(1, process.execPath, args), (line) => {
    last = line
  })
  return parseObject(last) as unknown as Figures
}

const ours = (way: string): Row => ({
  name: way,
  measure: () => consume(way, server.address, WARM_UP, LOOPS),
})
const go = (name: string, options: { decode: boolean; metrics?: boolean }): Row => ({
  name,
  measure: () => peers.consume({ address: server.address, warmup: WARM_UP, ...options }),
})

const rows: readonly Row[] = [
  ours('raw'),
  ours('http2'),
  ours('grpc-js'),
  ours('http2+decode'),
  ours('grpc-js+decode'),
  ours('http2+pipeline'),
  ours('grpc-js+pipeline'),
  go('Go transport', { decode: false }),
  go('Go decode', { decode: true }),
  go('Go decode+metrics', { decode: true, metrics: true }),
  ...(relay === undefined
    ? []
    : [
        {
          name: 'hubble observe',
          measure: async () => ({
            cpuUsPerFlow: await observe(server.address, LOOPS * CORPUS_FLOWS),
          }),
        },
        {
          name: 'Relay itself',
          measure: async () => ({
            cpuUsPerFlow: await relay.costOf(() => consume(OURS, relay.address, 0, 1)),
          }),
        },
      ]),
]

const figures = new Map<string, Figures[]>(rows.map(({ name }) => [name, []]))
for (let round = 0; round < rounds; round++) {
  for (const { name, measure } of rows) {
    const measured = await measure()
    figures.get(name)?.push(measured)
    if (!asJson) process.stderr.write(`${name} ${measured.cpuUsPerFlow.toFixed(2)}\n`)
  }
}
await server.stop()
await relay?.stop()

const results = [...figures].map(([name, all]) => {
  const sorted = all.map(({ cpuUsPerFlow }) => cpuUsPerFlow).toSorted((a, b) => a - b)
  const at = (i: number) => Math.round((sorted[i] ?? 0) * 100) / 100
  return {
    name,
    median: at(sorted.length >> 1),
    min: at(0),
    max: at(sorted.length - 1),
    rssMb: Math.max(...all.map(({ rssMb = 0 }) => rssMb)),
    longestPauseMs: Math.max(...all.map(({ longestPauseMs = 0 }) => longestPauseMs)),
  }
})
const medianOf = (name: string) => results.find((row) => row.name === name)?.median ?? Number.NaN
const ratios = {
  'Go decode / http2+decode': medianOf('Go decode') / medianOf('http2+decode'),
  'Go decode+metrics / http2+pipeline': medianOf('Go decode+metrics') / medianOf('http2+pipeline'),
  'Relay itself / http2+pipeline': medianOf('Relay itself') / medianOf('http2+pipeline'),
  'hubble observe / http2+pipeline': medianOf('hubble observe') / medianOf('http2+pipeline'),
}
const machine = { cpu: cpus()[0]?.model ?? '', cpus: cpus().length, node: process.version }
if (asJson) {
  process.stdout.write(
    `${JSON.stringify({ unit: 'us_cpu_per_flow', machine, rows: results, ratios })}\n`,
  )
} else {
  process.stdout.write(
    `CPU µs a flow, median (min-max) of ${rounds} rounds; ${machine.cpu}, ${machine.node}\n`,
  )
  for (const { name, median, min, max, rssMb } of results) {
    const range = `${median.toFixed(2)} (${min.toFixed(2)}-${max.toFixed(2)})`
    process.stdout.write(
      `${name.padEnd(20)} ${range.padEnd(22)} ${rssMb === 0 ? '' : `${rssMb} MB`}\n`,
    )
  }
  for (const [name, ratio] of Object.entries(ratios)) {
    process.stdout.write(`${name} = ${ratio.toFixed(2)}\n`)
  }
}
