import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const LISTEN_TIMEOUT_MS = 20_000

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export type Environment = Readonly<Record<string, string>>

/** Runs a verb to its end, in an environment without WEIR_* but for what `environment` adds. */
export async function runWeir(
  args: readonly string[],
  stdin = '',
  cwd?: string,
  environment?: Environment,
): Promise<Ended> {
  const child = spawnWeir(args, cwd, environment)
  child.stdin?.end(stdin)
  return endOf(child)
}

export interface Running {
  /** `http://HOST:PORT` of the console. */
  readonly url: string
  /** SIGTERM, and what came of it. */
  stop(): Promise<Ended>
  readonly ended: Promise<Ended>
  readonly child: ChildProcess
}

/** Starts `run` (or another verb that listens) and waits until its console does. */
export async function startWeir(
  args: readonly string[],
  cwd?: string,
  environment?: Environment,
): Promise<Running> {
  const child = spawnWeir([...args, '--listen', '127.0.0.1:0'], cwd, environment)
  child.stdin?.end()
  const ended = endOf(child)
  const url = await new Promise<string>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('Weir does not listen')), LISTEN_TIMEOUT_MS)
    let seen = ''
    child.stderr?.on('data', (chunk: Buffer) => {
      seen += chunk.toString()
      const address = /"address":"([^"]+)","msg":"Console listens"/.exec(seen)?.[1]
      if (address === undefined) return
      clearTimeout(timer)
      resolve(`http://${address}`)
    })
    void ended.then(({ code, stderr }) => reject(new Error(`Weir ended with ${code}: ${stderr}`)))
  })
  return {
    url,
    child,
    ended,
    stop: () => {
      child.kill('SIGTERM')
      return ended
    },
  }
}

/** Its streams are the caller's. */
export function spawnWeir(
  args: readonly string[],
  cwd?: string,
  environment: Environment = {},
): ChildProcess {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('WEIR_'))
  const env = { ...Object.fromEntries(inherited), ...environment }
  const options = { env, ...(cwd === undefined ? {} : { cwd }) }
  const child = spawn(process.execPath, [MAIN, ...args], options)
  onTestFinished(() => void child.kill('SIGKILL'))
  return child
}

async function endOf(child: ChildProcess): Promise<Ended> {
  const [stdout, stderr, [code]] = await Promise.all([
    child.stdout === null ? '' : text(child.stdout),
    child.stderr === null ? '' : text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ])
  return { code, stdout, stderr }
}

/** Asks until `enough` takes the answer, for at most `timeoutMs`; then gives the last one. */
export async function poll<T>(
  ask: () => Promise<T>,
  enough: (answer: T) => boolean,
  timeoutMs = 20_000,
): Promise<T> {
  const endMs = Date.now() + timeoutMs
  for (;;) {
    const answer = await ask()
    if (enough(answer) || Date.now() > endMs) return answer
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
