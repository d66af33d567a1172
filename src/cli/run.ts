import { createApp } from '../app.ts'
import { loadConfig } from '../config/load.ts'
import { ConfigError } from '../errors.ts'
import { appIo } from './app-io.ts'
import type { CommonFlags } from './flags.ts'
import { type Io, print } from './io.ts'

export interface RunFlags extends CommonFlags {
  readonly relay?: string
  readonly file?: string
  readonly since?: string
  readonly until?: string
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
  const app = createApp(config, { ...appIo(io), until: flags.until })
  await app.run(io.stop)
  return 0
}

/** The shortcuts, in the shape of the configuration. */
function overridesOf(flags: RunFlags): Record<string, unknown> {
  const { relay, file, since, until, kafka } = flags
  if (relay !== undefined && file !== undefined) {
    throw new ConfigError('Cannot use the flags: --relay and --file exclude each other')
  }
  if ((since ?? until) !== undefined && relay === undefined && file === undefined) {
    throw new ConfigError('Cannot use the flags: --since and --until go with --relay or --file')
  }
  const source = relay !== undefined ? { relay } : file !== undefined ? { file } : undefined
  const sources = source === undefined ? undefined : [{ ...source, ...(since && { since }) }]
  return {
    ...(sources === undefined ? {} : { hubble: { sources } }),
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
