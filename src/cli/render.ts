import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { parseAllDocuments } from 'yaml'
import { openCatalogue, renderLimits } from '../app.ts'
import { UsageError } from '../errors.ts'
import { type Io, print } from './io.ts'
import { configWithManifests, type ManifestFlags } from './manifest-flags.ts'

export interface RenderFlags extends ManifestFlags {
  readonly mode: 'shadow' | 'enforce'
}

/** The CEC that a finding would cause: YAML, or with `--json` a line each. A refusal: exit 1, the reason on standard error. */
export async function render(
  io: Io,
  file: string | undefined,
  flags: RenderFlags,
): Promise<number> {
  const { identity, respond } = configWithManifests(io, flags)
  const { catalogue, problems } = await openCatalogue(identity.manifests, identity)
  for (const problem of problems) print(io.stderr, `Warning: ${problem}`)
  const { mode } = flags
  const { protect } = respond
  const answer = renderLimits(catalogue, await readFinding(io, file), { mode, protect })
  if ('refusal' in answer) {
    print(io.stderr, answer.refusal)
    return 1
  }
  for (const warning of answer.warnings) print(io.stderr, `Warning: ${warning}`)
  if (flags.json !== true) io.stdout.write(answer.documents)
  else for (const cec of parseAllDocuments(answer.documents)) print(io.stdout, JSON.stringify(cec))
  return 0
}

async function readFinding(io: Io, file: string | undefined): Promise<unknown> {
  const from = file ?? '-'
  try {
    const json = from === '-' ? await text(io.stdin) : await readFile(from, 'utf8')
    return JSON.parse(json)
  } catch (cause) {
    const what = cause instanceof SyntaxError ? 'it is not JSON' : 'it cannot be opened'
    throw new UsageError(`Cannot read the finding ${from}: ${what}`, { cause })
  }
}
