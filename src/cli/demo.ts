import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type App, createApp, createDemoCluster, observerService } from '../app.ts'
import { loadConfig } from '../config/load.ts'
import { appIo } from './app-io.ts'
import { DemoStory } from './demo-story.ts'
import type { CommonFlags } from './flags.ts'
import { type Io, print } from './io.ts'

export interface DemoFlags extends CommonFlags {
  /** ms. */
  readonly for?: number
}

/** Short enough that a limit's whole life, from finding to proof, fits into a minute. */
const STAGES = {
  armMs: 1_000,
  settleMs: 1_500,
  shadowMs: 5_000,
  judgeMs: [3_000, 6_000, 12_000],
  ttlMs: [300_000],
  minWriteIntervalMs: 2_000,
} as const

/**
 * A simulated cluster and Weir in one process. With `--for` it ends by itself: 0 where each finding
 * led to a limit that was proven and hit nobody else, else 1.
 */
export async function demo(io: Io, flags: DemoFlags): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), 'weir-demo-'))
  const limits = join(directory, 'limits')
  const manifests = join(directory, 'manifests.yaml')
  const story = new DemoStory((line) => {
    if (flags.json !== true) print(io.stdout, line)
  })
  const cluster = createDemoCluster({
    service: observerService(),
    cecDirectory: limits,
    onStory: (line) => story.told(line),
  })
  const stop = stopAfter(flags.for, io.stop)
  try {
    await writeFile(manifests, cluster.manifests)
    await cluster.start(stop)
    const { config } = loadConfig({
      // Nobody's own settings: a broker or a collector named there is not the demo's.
      file: flags.config ?? null,
      environment: {},
      overrides: {
        cluster: 'demo',
        hubble: { sources: [{ name: 'demo', relay: cluster.relayAddress, since: '1s' }] },
        identity: { manifests: [manifests] },
        exchange: { unansweredAfter: '5s' },
        respond: { mode: 'enforce', target: 'directory', directory: limits },
        console: { listen: '127.0.0.1:0' },
        stateDir: directory,
        log: { level: flags.logLevel ?? 'error' },
      },
    })
    const app: App = createApp(config, {
      ...appIo(io),
      stages: STAGES,
      onFlow: () => story.flow(),
      onCall: (call) => story.call(call),
      onFinding: (finding) => story.finding(finding),
      onLimit: (limit) => story.limit(limit),
      onListen: (address) =>
        story.opened({ console: address, relay: cluster.relayAddress, limits }),
      onStopping: () => story.ending(app.limits(), app.ledger),
    })
    await app.run(stop)
    if (flags.json === true) print(io.stdout, JSON.stringify(story.json()))
    else story.summary(cluster.summary().othersLimited)
    return flags.for === undefined || story.isProven() ? 0 : 1
  } finally {
    await cluster.stop(AbortSignal.timeout(2_000))
    await rm(directory, { recursive: true, force: true })
  }
}

function stopAfter(ms: number | undefined, stop: AbortSignal): AbortSignal {
  return ms === undefined ? stop : AbortSignal.any([stop, AbortSignal.timeout(ms)])
}
