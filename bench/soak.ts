import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startHubbleNode, startRelay } from '../test/services/hubble.ts'

/** Flows a second of each of two nodes, and for how long. */
const RATE = Number(process.argv[2] ?? 2_000)
const SECONDS = Number(process.argv[3] ?? 30)
const FLOWS = 2 * RATE * SECONDS

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const directory = mkdtempSync(join(tmpdir(), 'weir-soak-'))
const node = { ringCapacity: 65_535, queueCapacity: 16_384 }
const first = await startHubbleNode({ name: 'node-1', ...node })
const second = await startHubbleNode({ name: 'node-2', ...node })
await first.command({ do: 'peers', added: [{ name: 'node-2', address: second.address }] })
const relay = await startRelay({ peerAddress: first.address, nodes: 2 })
const args = ['run', '--relay', relay.address, '--since', '10s', '--listen', '127.0.0.1:0']
const weir = spawn(process.execPath, [MAIN, ...args], { cwd: directory })
const url = await new Promise<string>((resolve) => {
  let log = ''
  weir.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString()
    const address = /"address":"([^"]+)","msg":"Console listens"/.exec(log)?.[1]
    if (address !== undefined) resolve(`http://${address}`)
  })
})

/** One look at the running Weir. */
async function look() {
  const metrics = await (await fetch(`${url}/metrics`)).text()
  const sum = (name: string) =>
    metrics
      .split('\n')
      .filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `))
      .reduce((total, line) => total + Number(line.split(' ').at(-1)), 0)
  return {
    flows: sum('weir_flows_received_total'),
    lost: sum('weir_flows_lost_total'),
    unaccounted: sum('weir_pipeline_unaccounted'),
    rssMb: Math.round(sum('process_resident_memory_bytes') / 1e6),
    cpuSeconds: Math.round(sum('process_cpu_seconds_total') * 100) / 100,
  }
}

const tell = async () => process.stdout.write(`${JSON.stringify(await look())}\n`)
const before = await look()
const timer = setInterval(() => void tell(), 5_000)
const command = { do: 'generate', n: RATE * SECONDS, rate: RATE, kind: 'http' } as const
await Promise.all([first.command(command), second.command(command)])
clearInterval(timer)
await new Promise((resolve) => setTimeout(resolve, 3_000))
const after = await look()
const cores = (after.cpuSeconds - before.cpuSeconds) / SECONDS
weir.kill('SIGTERM')
const [code] = (await once(weir, 'exit')) as [number | null]
const isWhole = after.flows === FLOWS && after.lost === 0 && after.unaccounted === 0 && code === 0
const summary = { ...after, wanted: FLOWS, cores: Math.round(cores * 100) / 100, code, isWhole }
process.stdout.write(`${JSON.stringify(summary)}\n`)
await Promise.all([relay.stop(), first.stop(), second.stop()])
rmSync(directory, { recursive: true, force: true })
process.exitCode = isWhole ? 0 : 1
