import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { UsageError } from '../errors.ts'
import type { CommonFlags } from './flags.ts'
import { type Io, print } from './io.ts'

/** Flags of the verbs that know the cluster from manifests alone. */
export interface ManifestFlags extends CommonFlags {
  readonly manifests?: string[]
}

/**
 * The configuration, `--manifests` in place of its own.
 *
 * @throws {UsageError} where neither names any.
 */
export function configWithManifests(io: Io, flags: ManifestFlags): Config {
  const { manifests } = flags
  const { config, warnings } = loadConfig({
    file: flags.config,
    environment: io.environment,
    overrides: manifests === undefined ? {} : { identity: { manifests } },
  })
  for (const warning of warnings) print(io.stderr, `Warning: ${warning}`)
  const { overlay, manifests: own } = config.identity
  if (own.length === 0 && overlay === undefined) {
    throw new UsageError('Cannot name APIs: use --manifests, or identity.manifests')
  }
  return config
}
