import { readFileSync } from 'node:fs'
import { binaryOf, isBrought } from '../test/services/catalogue.ts'
import { runTool } from '../test/services/child.ts'
import { startHubbleNode, startRelay } from '../test/services/hubble.ts'
import { pinned } from './peers/go-peers.ts'

/** Of /proc: clock ticks a second, as Linux has it on every machine of today. */
const TICKS = 100

/** CPU seconds, user and system, of a running process. */
function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS
}

/** CPU µs a flow of `hubble observe`, which reads all that the server at `address` has and prints it. */
export async function observe(address: string, flows: number): Promise<number> {
  const hubble = binaryOf('hubble', 'hubble')
  const script = `'${hubble}' observe --server ${address} --all -o compact --config /dev/null >/dev/null; times`
  let seconds = 0
  await runTool(pinned(1, 'bash', ['-c', script]), (line) => {
    // The last line is that of the children: 0m1.393s 0m0.652s
    const times = [...line.matchAll(/(\d+)m([\d.]+)s/g)]
    if (times.length === 2) {
      seconds = times.reduce((sum, [, m, s]) => sum + Number(m) * 60 + Number(s), 0)
    }
  })
  return (seconds * 1e6) / flows
}

/** A real Relay before a real ring that holds the flows of `file`; undefined where they are not installed. */
export async function startLoadedRelay(file: string, flows: number) {
  if (!isBrought('hubble')) return undefined
  const node = await startHubbleNode({ name: 'node-1', ringCapacity: 65_535 })
  await node.command({ do: 'load', file, n: flows })
  const relay = await startRelay({ peerAddress: node.address })
  return {
    address: relay.address,
    /** CPU µs that Relay spends on each of `flows` flows while `read` reads them. */
    async costOf(read: () => Promise<unknown>): Promise<number> {
      const before = cpuSecondsOf(relay.pid)
      await read()
      return ((cpuSecondsOf(relay.pid) - before) * 1e6) / flows
    },
    async stop() {
      await relay.stop()
      await node.stop()
    },
  }
}
