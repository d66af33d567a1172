import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks'
import { createApp } from '../src/app.ts'
import { loadConfig } from '../src/config/load.ts'
import { type FlowView, L7Type } from '../src/model/flow-view.ts'

/**
 * A whole Weir that reads a Relay until SIGTERM, and checks the number that the test bed gave each
 * flow: `node soak-weir.ts RELAY FLOWS-A-NODE`. Prints a line now and then, and a summary at the end.
 */
const [, , relay = '', flowsText = '0'] = process.argv
const FLOWS = Number(flowsText)
const TELL_EVERY_MS = 5_000
const TICK_MS = 10

const { config } = loadConfig({
  file: undefined,
  environment: {},
  overrides: {
    hubble: { sources: [{ name: 'soak', relay, since: '5s' }] },
    events: { publisher: 'none' },
    console: { listen: '127.0.0.1:0' },
    log: { level: 'warn' },
  },
})
const seen = new Map<string, Uint8Array>()
const lost = new Map<string, number>()
let flows = 0
let doubles = 0
let duplicates = 0
let notCovered = 0
let rssMb = 0
const delay = monitorEventLoopDelay({ resolution: 5 })
let longestGcMs = 0
const collections = new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) longestGcMs = Math.max(longestGcMs, duration)
})
/** The longest time between two ticks that the process itself took, and not its neighbours. */
let longestOwnPauseMs = 0
let tickMs = performance.now()
let tickCpu = process.cpuUsage()

function tick(): void {
  const nowMs = performance.now()
  const { user, system } = process.cpuUsage(tickCpu)
  const ownMs = Math.min(nowMs - tickMs - TICK_MS, (user + system) / 1_000)
  longestOwnPauseMs = Math.max(longestOwnPauseMs, ownMs)
  tickMs = nowMs
  tickCpu = process.cpuUsage()
}

function check(view: FlowView): void {
  const number = numberOf(view)
  const node = view.nodeName()
  let numbers = seen.get(node)
  if (numbers === undefined) {
    numbers = new Uint8Array(FLOWS)
    seen.set(node, numbers)
  }
  if (numbers[number] === 1) doubles++
  numbers[number] = 1
  flows++
}

/** Two a call, which the x-request-id tells: generated-NODE-CALL. */
function numberOf(view: FlowView): number {
  const id = view.httpHeader('x-request-id')
  const call = Number(id.slice(id.lastIndexOf('-') + 1))
  return call * 2 + (view.l7Type === L7Type.response ? 1 : 0)
}

const app = createApp(config, {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  version: 'soak',
  nodeVersion: process.version,
  onFlow: check,
  onNotice: (notice) => {
    if (notice.kind === 'lost') {
      lost.set(notice.node, (lost.get(notice.node) ?? 0) + notice.count)
    } else if (notice.kind === 'rejected' && notice.reason === 'duplicate') duplicates++
    else if (notice.kind === 'reopened' && notice.reason === 'since_not_covered') notCovered++
  },
  onListen: (address) => tell({ listening: address }),
})

function tell(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`)
}

function state() {
  rssMb = Math.max(rssMb, Math.round(process.memoryUsage.rss() / 1e6))
  const { user, system } = process.cpuUsage()
  return {
    flows,
    doubles,
    duplicates,
    lost: [...lost.values()].reduce((sum, count) => sum + count, 0),
    notCovered,
    rssMb: Math.round(process.memoryUsage.rss() / 1e6),
    heapMb: Math.round(process.memoryUsage().heapUsed / 1e6),
    cpuSeconds: Math.round((user + system) / 1e4) / 100,
    longestPauseMs: Math.round(delay.max / 1e6),
    longestOwnPauseMs: Math.round(longestOwnPauseMs),
    longestGcMs: Math.round(longestGcMs),
    p99PauseMs: Math.round(delay.percentile(99) / 1e6),
  }
}

const stop = new AbortController()
process.once('SIGTERM', () => stop.abort())
// What starting costs is no pause of the work.
setTimeout(() => {
  delay.enable()
  tickMs = performance.now()
  tickCpu = process.cpuUsage()
  setInterval(tick, TICK_MS).unref()
  collections.observe({ entryTypes: ['gc'] })
}, 2_000)
const timer = setInterval(() => tell(state()), TELL_EVERY_MS)
await app.run(stop.signal)
clearInterval(timer)
const missing = Object.fromEntries(
  [...seen].map(([node, numbers]) => [node, numbers.filter((count) => count === 0).length]),
)
tell({ ...state(), rssMb, missing, unaccounted: app.ledger.unaccounted(), done: true })
