#!/usr/bin/env node
import { runCli } from './cli/cli.ts'

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

try {
  process.exitCode = await runCli({
    argv: process.argv.slice(2),
    environment: process.env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    nodeVersion: process.versions.node,
    stop: stop.signal,
  })
} catch (error) {
  process.stderr.write(`Internal error: ${error instanceof Error ? error.stack : 'unknown'}\n`)
  process.exitCode = INTERNAL
}
