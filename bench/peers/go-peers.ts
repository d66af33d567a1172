import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { cacheRoot, fillOnce } from '../../test/services/cache.ts'
import { hashOfFolder, pathOf } from '../../test/services/catalogue.ts'
import { runTool, spawnChild, untilReady } from '../../test/services/child.ts'
import { type JsonObject, parseObject, textAt } from '../../test/services/json-object.ts'

const MODULE = join(import.meta.dirname, 'go')
const READY_MS = 10_000
const SERVER_CPU = 0
const CONSUMER_CPU = 1

/** A grpc-go server that sends a file of encoded messages as fast as its reader takes them. */
interface GoServer {
  /** host:port */
  readonly address: string
  readonly pid: number
  /** What one stream sends. */
  readonly messages: number
  stop(): Promise<void>
}

interface GoConsumerOptions {
  readonly address: string
  /** Into the generated types; without it only gRPC itself is measured. */
  readonly decode: boolean
  /** Six client_golang updates a flow; needs `decode`. */
  readonly metrics?: boolean
  /** Flows at the beginning that do not count. */
  readonly warmup: number
}

/** Without the warm-up. */
interface GoFigures {
  readonly flows: number
  /** Of the whole process, garbage collection included. */
  readonly cpuUsPerFlow: number
  readonly wallSeconds: number
}

interface GoPeers {
  /** `file`: GetFlowsResponse messages, each behind its length (4 bytes, big endian). */
  startServer(options: { file: string; loops: number }): Promise<GoServer>
  /** Reads one stream to its end. */
  consume(options: GoConsumerOptions): Promise<GoFigures>
}

/**
 * Go programs to be measured against, built into the test cache when first asked for. With two CPUs
 * or more the server keeps to the first and the consumer to the second. undefined: there is no Go.
 */
export async function bringGoPeers(): Promise<GoPeers | undefined> {
  if (pathOf('go') === undefined) return undefined
  const folder = join(cacheRoot(), 'bench-peers', hashOfFolder(MODULE))
  await fillOnce(folder, async (empty) => {
    const args = [
      'build',
      '-trimpath',
      '-buildvcs=false',
      '-ldflags=-s -w',
      '-o',
      `${empty}/`,
      './...',
    ]
    await runTool({ command: 'go', args, cwd: MODULE, env: { CGO_ENABLED: '0' } })
  })
  return {
    async startServer({ file, loops }) {
      const args = [`-file=${file}`, `-loops=${loops}`]
      const child = spawnChild(pinned(SERVER_CPU, join(folder, 'server'), args))
      let hello: JsonObject = {}
      child.onLine((line) => {
        if (line.startsWith('{')) hello = parseObject(line)
      })
      await untilReady('Go server', child, () => textAt(hello, 'address') !== '', READY_MS)
      const address = textAt(hello, 'address')
      const messages = Number(hello['messages'])
      return { address, pid: child.pid, messages, stop: () => child.stop() }
    },
    async consume({ address, decode, metrics = false, warmup }) {
      const flags = { address, decode, metrics, warmup }
      const args = Object.entries(flags).map(([name, value]) => `-${name}=${value}`)
      let last = ''
      await runTool(pinned(CONSUMER_CPU, join(folder, 'consumer'), args), (line) => {
        last = line
      })
      const { flows, cpu_us_per_flow, wall_seconds } = parseObject(last)
      return {
        flows: Number(flows),
        cpuUsPerFlow: Number(cpu_us_per_flow),
        wallSeconds: Number(wall_seconds),
      }
    },
  }
}

/** How to run a command on one CPU; as it is where there is only one, or no `taskset`. */
export function pinned(
  cpu: number,
  command: string,
  args: readonly string[],
): { command: string; args: readonly string[] } {
  const taskset = pathOf('taskset')
  if (taskset === undefined || availableParallelism() < 2) return { command, args }
  return { command: taskset, args: ['-c', String(cpu), command, ...args] }
}
