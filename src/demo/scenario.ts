import { startBackground } from './background.ts'
import { BATCH, CALLS_PER_SECOND, HABITS, PROBES } from './callers.ts'
import type { EventQueue } from './event-queue.ts'
import type { Random } from './random.ts'
import { allServices, FLOODER, PASSWORD_GUESSER, workload } from './shop.ts'
import { OPERATIONS } from './shop-operations.ts'
import type { Traffic } from './traffic.ts'

export interface ScenarioOptions {
  readonly random: Random
  readonly queue: EventQueue
  readonly traffic: Traffic
  /** Calls a second of those who behave, about. */
  readonly callsPerSecond: number
  readonly onStory: (line: string) => void
}

const BRUTE_FORCE_AFTER_MS = 8_000
const BRUTE_FORCE_PER_SECOND = 3.6
const FLOOD_AFTER_MS = 14_000
const FLOOD_PER_SECOND = 30
/** How far the gaps of machines stray from their mean. */
const JITTER = 0.2

/** Puts the whole play on the stage: who calls what from `startMs` on, and who goes wrong when. */
export function startScenario(options: ScenarioOptions, startMs: number): void {
  const { random, queue, traffic, onStory } = options
  const scale = options.callsPerSecond / CALLS_PER_SECOND
  const repeat = (fromMs: number, gapMs: () => number, run: (atMs: number) => void): void => {
    queue.at(fromMs + gapMs(), (atMs) => {
      run(atMs)
      repeat(atMs, gapMs, run)
    })
  }
  const machine = (perSecond: number) => () =>
    (1_000 / perSecond) * (1 - JITTER + 2 * JITTER * random.next())

  startBackground({ random, queue, traffic }, startMs)
  for (const habit of HABITS) {
    const from = workload(habit.from)
    const operation = OPERATIONS[habit.operation]
    const meanMs = 1_000 / (habit.perSecond * scale)
    repeat(
      startMs,
      () => random.gap(meanMs),
      (atMs) => traffic.call({ from, operation }, atMs),
    )
  }
  repeat(
    startMs,
    () => BATCH.everyMs,
    (burstMs) => {
      const from = workload(BATCH.from)
      for (let i = 0; i < Math.round(BATCH.calls * scale); i++) {
        for (const name of BATCH.operations) {
          queue.at(burstMs + i * 80, (atMs) =>
            traffic.call({ from, operation: OPERATIONS[name] }, atMs),
          )
        }
      }
    },
  )
  for (const { from, path, everyMs } of PROBES) {
    for (const { name, workload: owner } of allServices()) {
      const operation = {
        ...OPERATIONS.listProducts,
        service: name,
        path: () => path,
        latencyMs: 2,
      }
      owner.pods.forEach((backend) => {
        const offsetMs = random.next() * everyMs
        repeat(
          startMs + offsetMs - everyMs,
          () => everyMs,
          (atMs) => traffic.call({ from: workload(from), operation, backend, status: 200 }, atMs),
        )
      })
    }
  }
  queue.at(startMs + BRUTE_FORCE_AFTER_MS, (sinceMs) => {
    const [namespace = ''] = PASSWORD_GUESSER.split('/')
    onStory(`A job in \`${namespace}\` starts guessing passwords at POST /login.`)
    const plan = { from: workload(PASSWORD_GUESSER), operation: OPERATIONS.login, status: 401 }
    repeat(sinceMs, machine(BRUTE_FORCE_PER_SECOND), (atMs) => traffic.call(plan, atMs))
  })
  queue.at(startMs + FLOOD_AFTER_MS, (sinceMs) => {
    onStory(
      `\`${FLOODER}\` runs wild and starts to flood GET /products: more than the catalog can serve.`,
    )
    const plan = { from: workload(FLOODER), operation: OPERATIONS.listProducts }
    repeat(sinceMs, machine(FLOOD_PER_SECOND), (atMs) => traffic.call(plan, atMs))
  })
}
