#!/usr/bin/env node
import { runCli } from './cli/cli.ts'
import { describeError } from './errors.ts'

const INTERRUPTED = 130
const INTERNAL = 70

// A line to nobody: a pager that was closed must not look like a crash.
process.stdout.on('error', () => {})
process.stderr.on('error', () => {})

const stop = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    // The first one asks for an orderly end, the second one gets an end.
    if (stop.signal.aborted) process.exit(INTERRUPTED)
    stop.abort()
  })
}
process.on('uncaughtException', crash)

try {
  const code = await runCli({
    argv: process.argv.slice(2),
    environment: process.env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    nodeVersion: process.versions.node,
    stop: stop.signal,
  })
  await Promise.all([flushed(process.stdout), flushed(process.stderr)])
  // Said, not waited for: an export that was given up may hold its socket for many seconds.
  process.exit(code)
} catch (error) {
  crash(error)
}

function crash(error: unknown): never {
  const stack = error instanceof Error ? `\n${error.stack}` : ''
  process.stderr.write(`Internal error: ${describeError(error)}${stack}\n`)
  process.exit(INTERNAL)
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => stream.write('', () => resolve()))
}
