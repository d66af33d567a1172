import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { describeError } from '../errors.ts'
import type { Component } from '../runtime/lifecycle.ts'

export interface CecDirectoryOptions {
  readonly directory: string
  /** Wait between two looks, in ms. */
  readonly everyMs: number
  /** All CiliumEnvoyConfigs that stand there now; called at the first look and after each change. */
  readonly onChange: (cecs: readonly unknown[]) => void
  /** A file that cannot be read; told once for as long as it stays so. */
  readonly onProblem: (problem: string) => void
}

const FILES_MAX = 256
const FILE_NAME = /^[^.].*\.(?:ya?ml|json)$/

/**
 * The demo's API server for CiliumEnvoyConfigs: a directory of YAML or JSON files, looked at again
 * and again. A file that cannot be read, or is half written, leaves in force what it said before. A
 * directory that is not there is an empty one.
 */
export function createCecDirectory(options: CecDirectoryOptions): Component {
  /** Last text that could be read of each file, and what it held. */
  let known = new Map<string, { readonly text: string; readonly cecs: readonly unknown[] }>()
  let problems = new Set<string>()
  let told = ''
  let running: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let stopped = false

  async function look(): Promise<void> {
    const files = await readdir(options.directory).catch((): string[] => [])
    const now: typeof known = new Map()
    const problemsNow = new Set<string>()
    for (const file of files
      .filter((name) => FILE_NAME.test(name))
      .toSorted()
      .slice(0, FILES_MAX)) {
      const before = known.get(file)
      try {
        const text = await readFile(join(options.directory, file), 'utf8')
        now.set(file, text === before?.text ? before : { text, cecs: cecsOf(text) })
      } catch (error) {
        if (before !== undefined) now.set(file, before)
        problemsNow.add(`Cannot read ${file}: ${describeError(error)}`)
      }
    }
    if (stopped) return
    for (const problem of problemsNow) if (!problems.has(problem)) options.onProblem(problem)
    problems = problemsNow
    known = now
    const all = [...now].map(([file, { text }]) => `${file}\n${text}`).join('\n')
    if (all === told) return
    told = all
    options.onChange([...now.values()].flatMap(({ cecs }) => cecs))
  }

  function again(): void {
    if (stopped) return
    timer = setTimeout(() => {
      running = look().finally(again)
    }, options.everyMs)
    timer.unref()
  }

  return {
    name: 'demo-cec-directory',
    async start() {
      running = look().finally(again)
      await running
    },
    async stop() {
      stopped = true
      clearTimeout(timer)
      await running
    },
  }
}

/** @throws {Error} when the text is neither YAML nor JSON. */
function cecsOf(text: string): unknown[] {
  const cecs: unknown[] = []
  for (const document of parseAllDocuments(text)) {
    const [error] = document.errors
    if (error !== undefined) throw error
    const value: unknown = document.toJS()
    const kind = (value as { kind?: unknown } | null)?.kind
    if (kind === 'CiliumEnvoyConfig') cecs.push(value)
  }
  return cecs
}
