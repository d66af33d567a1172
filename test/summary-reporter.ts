import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Reporter, TestModule, TestRunEndReason, TestSuite } from 'vitest/node'
import { MISSING_FILE_VARIABLE, type Missing } from './services/missing.ts'

/**
 * Ends the output with `N passed, N failed`, over all projects. What failed to load counts as a
 * failure, and so does an error outside of any test. Before it: what was skipped, for want of which
 * service, and how to bring that.
 */
export default class SummaryReporter implements Reporter {
  readonly #folder = mkdtempSync(join(tmpdir(), 'weir-test-run-'))
  readonly #missingFile = join(this.#folder, 'missing.jsonl')
  #lines: readonly string[] = []

  /** Workers inherit the variable, and note there what they miss. */
  onInit(): void {
    process.env[MISSING_FILE_VARIABLE] = this.#missingFile
    process.once('exit', () => rmSync(this.#folder, { recursive: true, force: true }))
  }

  /** Other reporters may write until the very end, so ours comes with the end of the process. */
  onTestRunEnd(
    modules: readonly TestModule[],
    unhandledErrors: readonly unknown[],
    reason: TestRunEndReason,
  ): void {
    if (this.#lines.length === 0) process.once('exit', () => this.#print())
    const counts = countOf(modules)
    const failed = counts.failed + unhandledErrors.length
    this.#lines = [
      ...skippedLines(modules, this.#readMissing()),
      ...(counts.unfinished > 0 ? [`${counts.unfinished} not run to the end`] : []),
      // A run that failed for a reason of its own, such as no test found, is not 0 failures.
      `${counts.passed} passed, ${failed === 0 && reason === 'failed' ? 1 : failed} failed`,
    ]
  }

  #print(): void {
    process.stdout.write(`${this.#lines.join('\n')}\n`)
  }

  #readMissing(): Missing[] {
    if (!existsSync(this.#missingFile)) return []
    const lines = readFileSync(this.#missingFile, 'utf8').trim().split('\n')
    return lines.map((line): Missing => JSON.parse(line))
  }
}

interface Counts {
  passed: number
  failed: number
  unfinished: number
}

function countOf(modules: readonly TestModule[]): Counts {
  const counts: Counts = { passed: 0, failed: 0, unfinished: 0 }
  for (const module of modules) {
    for (const test of module.children.allTests()) {
      const { state } = test.result()
      if (state === 'passed') counts.passed++
      if (state === 'failed') counts.failed++
      if (state === 'pending') counts.unfinished++
    }
    const suites: (TestModule | TestSuite)[] = [module, ...module.children.allSuites()]
    counts.failed += suites.filter((suite) => suite.errors().length > 0).length
  }
  return counts
}

/** A test counts as skipped for want of a service if its file asked for one that is missing. */
function skippedLines(modules: readonly TestModule[], missing: readonly Missing[]): string[] {
  const skippedIn = new Map<string, number>()
  for (const module of modules) {
    const skipped = [...module.children.allTests('skipped')].length
    skippedIn.set(module.moduleId, (skippedIn.get(module.moduleId) ?? 0) + skipped)
  }
  const all = sum(skippedIn.values())
  if (all === 0) return []
  const filesOf = new Map<string, Set<string>>()
  for (const { service, reason, testFile } of missing) {
    const why = `${service}: ${reason}`
    filesOf.set(why, (filesOf.get(why) ?? new Set()).add(testFile))
  }
  const countIn = (files: Iterable<string>): number =>
    sum([...files].map((file) => skippedIn.get(file) ?? 0))
  const wanting = countIn(new Set(missing.map(({ testFile }) => testFile)))
  if (wanting === 0) return [`${all} skipped`]
  return [
    `${all} skipped, ${wanting} of them for want of a service:`,
    ...[...filesOf].map(([why, files]) => `  ${why} (${countIn(files)})`),
    'To bring what is missing: npm run services',
  ]
}

function sum(numbers: Iterable<number>): number {
  return [...numbers].reduce((total, number) => total + number, 0)
}
