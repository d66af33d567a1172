import type { Readable, Writable } from 'node:stream'
import type { Environment } from '../config/load.ts'

/** The process as the verbs see it; `main.ts` hands the real one in. */
export interface Io {
  /** Without the interpreter and the script. */
  readonly argv: readonly string[]
  readonly environment: Environment
  readonly stdin: Readable
  readonly stdout: Writable
  /** Logs and messages; standard output belongs to the verbs' results. */
  readonly stderr: Writable
  readonly nodeVersion: string
  /** Aborts at the first SIGTERM or SIGINT. */
  readonly stop: AbortSignal
}

/** Writes a line of many: a slow reader holds the writer back, not the memory. */
export async function printPaced(stream: Writable, line: string): Promise<void> {
  if (stream.write(`${line}\n`)) return
  // Unlike `drain`, this comes even where the reader has gone.
  await new Promise<void>((done) => stream.write('', () => done()))
}

export function print(stream: Writable, line: string): void {
  stream.write(`${line}\n`)
}
