import { fileURLToPath } from 'node:url'
import { spawnChild } from '../test/services/child.ts'
import { startHubbleNode, startRelay } from '../test/services/hubble.ts'
import { type JsonObject, parseObject } from '../test/services/json-object.ts'

/**
 * Two real rings make RATE flows a second together for SECONDS, behind a real Relay that is killed
 * and started anew every EVERY seconds: `node bench/soak.ts RATE SECONDS EVERY`.
 */
const RATE = Number(process.argv[2] ?? 20_000)
const SECONDS = Number(process.argv[3] ?? 60)
const EVERY = Number(process.argv[4] ?? 30)
const FLOWS_A_NODE = (RATE / 2) * SECONDS
const DOWN_MS = 500
const SETTLE_MS = 5_000
const READY_MS = 15_000

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const rings = { ringCapacity: 65_535, queueCapacity: 16_384 }
const first = await startHubbleNode({ name: 'node-1', ...rings })
const second = await startHubbleNode({ name: 'node-2', ...rings })
await first.command({ do: 'peers', added: [second.peer] })
const relay = await startRelay({ peerAddress: first.address, nodes: 2 })
const weir = spawnChild({
  command: process.execPath,
  args: [
    '--disable-warning=ExperimentalWarning',
    fileURLToPath(new URL('soak-weir.ts', import.meta.url)),
    relay.address,
    String(FLOWS_A_NODE),
  ],
})
let last: JsonObject = {}
weir.onLine((line) => {
  process.stdout.write(`${line}\n`)
  if (line.startsWith('{"')) last = parseObject(line)
})
const giveUpAt = Date.now() + READY_MS
while (last['listening'] === undefined && Date.now() < giveUpAt) await sleep(50)

const command = { do: 'generate', n: FLOWS_A_NODE, rate: RATE / 2, kind: 'http' } as const
let isMaking = true
const making = Promise.all([first.command(command), second.command(command)])
const breaking = (async () => {
  let restarts = 0
  for (let at = EVERY; at < SECONDS; at += EVERY) {
    await sleep(EVERY * 1_000 - DOWN_MS)
    if (!isMaking) break
    await relay.kill()
    await sleep(DOWN_MS)
    await relay.restart()
    restarts++
  }
  return restarts
})()
await making
isMaking = false
const restarts = await breaking
await sleep(SETTLE_MS)
await weir.stop()
const missing = Object.values((last['missing'] ?? {}) as Record<string, number>)
const lost = Number(last['lost'])
const isWhole =
  last['done'] === true &&
  missing.length === 2 &&
  missing.reduce((sum, count) => sum + count, 0) <= lost &&
  last['doubles'] === 0 &&
  last['unaccounted'] === 0
const cores = Math.round((Number(last['cpuSeconds']) / SECONDS) * 100) / 100
process.stdout.write(
  `${JSON.stringify({ rate: RATE, seconds: SECONDS, restarts, cores, isWhole })}\n`,
)
await Promise.all([relay.stop(), first.stop(), second.stop()])
process.exitCode = isWhole ? 0 : 1
