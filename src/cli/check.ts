import { checkRules, openCatalogue } from '../app.ts'
import { loadConfig } from '../config/load.ts'
import { ConfigError, describeError } from '../errors.ts'
import type { CommonFlags } from './flags.ts'
import { type Io, print } from './io.ts'

export interface CheckFlags extends CommonFlags {
  readonly manifests?: string[]
}

const CONFIGURATION = 78

/** Every problem at once: 78 for the configuration, 1 for manifests. */
export async function check(io: Io, flags: CheckFlags): Promise<number> {
  try {
    return await checked(io, flags)
  } catch (error) {
    if (flags.json !== true || !(error instanceof ConfigError)) throw error
    print(io.stdout, JSON.stringify({ ok: false, problems: problemsOf(error) }))
    return CONFIGURATION
  }
}

/** A message with a list is a problem a line, below a headline. */
function problemsOf(error: ConfigError): string[] {
  const [headline = '', ...lines] = describeError(error).split('\n')
  return lines.length === 0 ? [headline] : lines.map((line) => line.replace(/^\s*- /, ''))
}

async function checked(io: Io, flags: CheckFlags): Promise<number> {
  const { config, warnings } = loadConfig({
    file: flags.config,
    environment: io.environment,
    overrides: flags.manifests === undefined ? {} : { identity: { manifests: flags.manifests } },
  })
  checkRules(config)
  const { catalogue, problems, ignored } = await openCatalogue(
    config.identity.manifests,
    config.identity,
  )
  if (flags.json === true) {
    const apis = catalogue.apis.length
    print(
      io.stdout,
      JSON.stringify({ ok: problems.length === 0, apis, problems, warnings, ignored }),
    )
    return problems.length === 0 ? 0 : 1
  }
  for (const warning of warnings) print(io.stdout, `Warning: ${warning}`)
  for (const problem of problems) print(io.stdout, `Problem: ${problem}`)
  for (const [kind, count] of Object.entries(ignored)) {
    print(io.stdout, `Not read: ${count} × ${kind}`)
  }
  print(
    io.stdout,
    `Configuration: right. Manifests: ${catalogue.apis.length} APIs, ${problems.length} problems.`,
  )
  return problems.length === 0 ? 0 : 1
}
