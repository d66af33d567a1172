import { createApp } from '../app.ts'
import { loadConfig } from '../config/load.ts'
import { ConfigError, UsageError } from '../errors.ts'
import { appIo } from './app-io.ts'
import type { CommonFlags } from './flags.ts'
import { type Io, print } from './io.ts'

export interface RunFlags extends CommonFlags {
  readonly relay?: string
  readonly file?: string
  /** Unix ms. */
  readonly since?: number
  /** Unix ms. */
  readonly until?: number
  readonly manifests?: string[]
  readonly kafka?: string
  readonly otlp?: string
  readonly listen?: string
  readonly mode?: string
}

/** The service. Ends with its input where that is bounded, else when it is told to. */
export async function run(io: Io, flags: RunFlags): Promise<number> {
  const { config, warnings } = loadConfig({
    file: flags.config,
    environment: io.environment,
    overrides: overridesOf(flags),
  })
  if (config.hubble.sources.length === 0) {
    throw new ConfigError(
      'Cannot use the configuration:\n  - hubble.sources: needs at least one; or use --relay or --file',
    )
  }
  for (const warning of warnings) print(io.stderr, `Warning: ${warning}`)
  const app = createApp(config, { ...appIo(io), sinceMs: flags.since, untilMs: flags.until })
  await app.run(io.stop)
  return 0
}

/** The shortcuts, in the shape of the configuration. */
function overridesOf(flags: RunFlags): Record<string, unknown> {
  const { relay, file, kafka } = flags
  if (relay !== undefined && file !== undefined) {
    throw new UsageError('Cannot use the flags: --relay and --file exclude each other')
  }
  const source = relay !== undefined ? { relay } : file !== undefined ? { file } : undefined
  return {
    ...(source === undefined ? {} : { hubble: { sources: [source] } }),
    ...(flags.manifests === undefined ? {} : { identity: { manifests: flags.manifests } }),
    ...(kafka === undefined
      ? {}
      : { events: { publisher: 'kafka', kafka: { brokers: kafka.split(',') } } }),
    ...(flags.otlp === undefined ? {} : { traces: { endpoint: flags.otlp } }),
    ...(flags.listen === undefined ? {} : { console: { listen: flags.listen } }),
    ...(flags.mode === undefined ? {} : { respond: { mode: flags.mode } }),
    ...(flags.logLevel === undefined ? {} : { log: { level: flags.logLevel } }),
  }
}
