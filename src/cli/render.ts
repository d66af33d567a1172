import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { openCatalogue, renderLimits } from '../app.ts'
import { UsageError } from '../errors.ts'
import type { CommonFlags } from './flags.ts'
import { type Io, print } from './io.ts'

export interface RenderFlags extends CommonFlags {
  readonly manifests: string[]
  readonly mode: 'shadow' | 'enforce'
}

/** The CEC that a finding would cause, as YAML. A refusal: exit 1, the reason on standard error. */
export async function render(
  io: Io,
  file: string | undefined,
  flags: RenderFlags,
): Promise<number> {
  const { catalogue, problems } = await openCatalogue(flags.manifests)
  for (const problem of problems) print(io.stderr, `Warning: ${problem}`)
  const answer = renderLimits(catalogue, await readFinding(io, file), flags.mode)
  if ('refusal' in answer) {
    print(io.stderr, answer.refusal)
    return 1
  }
  for (const warning of answer.warnings) print(io.stderr, `Warning: ${warning}`)
  io.stdout.write(answer.documents)
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
