import { appendFileSync } from 'node:fs'
import { expect } from 'vitest'
import { isBrought, missingTools, serviceOf } from './catalogue.ts'
import { MISSING_FILE_VARIABLE, type Missing } from './missing.ts'

/**
 * Says whether tests that need these services must be skipped. To be called while a file is
 * collected: `describe.skipIf(need('hubble').skip)('…', …)`. A quick service is brought when first
 * started, so it is missing only if its tools are.
 * @throws {Error} instead, when `CI` is `true`: there a missing service fails the run.
 */
export function need(...names: readonly string[]): { readonly skip: boolean } {
  let skip = false
  for (const name of names) {
    const reason = reasonMissing(name)
    if (reason === undefined) continue
    if (process.env['CI'] === 'true') throw new Error(`Cannot test with ${name}: ${reason}`)
    note({ testFile: expect.getState().testPath ?? '', service: name, reason })
    skip = true
  }
  return { skip }
}

function note(missing: Missing): void {
  const file = process.env[MISSING_FILE_VARIABLE]
  if (file !== undefined) appendFileSync(file, `${JSON.stringify(missing)}\n`)
}

function reasonMissing(name: string): string | undefined {
  const { quick, version } = serviceOf(name)
  if (!quick) return isBrought(name) ? undefined : `version ${version} is not built yet`
  const tools = missingTools(name)
  return tools.length === 0 ? undefined : `${tools.join(', ')} not on the PATH`
}
