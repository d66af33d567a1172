import { type ChildProcess, spawn } from 'node:child_process'
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathOf } from './catalogue.ts'

const LOG_LINES_MAX = 200
const READY_POLL_MS = 10

export interface ChildOptions {
  readonly command: string
  readonly args: readonly string[]
  readonly cwd?: string
  /** Added to our own environment. */
  readonly env?: Readonly<Record<string, string>>
}

/** A process of ours. It ends with us, however we end. */
export interface Child {
  readonly pid: number
  readonly ended: boolean
  /** The last lines that it wrote, stdout and stderr together. */
  log(): string
  /** Calls back with each line of stdout and stderr from now on. */
  onLine(listener: (line: string) => void): void
  /** Calls back once it is gone. */
  onEnd(listener: () => void): void
  write(line: string): void
  /** SIGTERM, then SIGKILL after `graceMs`. Resolves when it is gone; safe twice. */
  stop(graceMs?: number): Promise<void>
  /** SIGKILL. Resolves when it is gone. */
  kill(): Promise<void>
}

const living = new Set<ChildProcess>()
const scratch = new Set<string>()
process.on('exit', () => {
  for (const child of living) child.kill('SIGKILL')
  for (const folder of scratch) rmSync(folder, { recursive: true, force: true })
})

/** Removes `folder` when this process ends, unless it is gone by then. */
export function removeAtExit(folder: string): void {
  scratch.add(folder)
}

/**
 * Starts a process and does not wait for it to be ready.
 * An exit handler does not run when we are killed, so where `setpriv` exists (Linux) the kernel is
 * told to kill the child with us.
 */
export function spawnChild({ command, args, cwd, env }: ChildOptions): Child {
  const setpriv = process.platform === 'linux' ? pathOf('setpriv') : undefined
  const [file, argv] =
    setpriv === undefined
      ? [command, args]
      : [setpriv, ['--pdeathsig', 'KILL', '--', command, ...args]]
  const child = spawn(file, argv, {
    ...(cwd === undefined ? {} : { cwd }),
    env: { ...process.env, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  living.add(child)
  const lines: string[] = []
  const listeners = new Set<(line: string) => void>()
  const take = (line: string): void => {
    if (lines.push(line) > LOG_LINES_MAX) lines.shift()
    for (const listener of listeners) listener(line)
  }
  for (const stream of [child.stdout, child.stderr]) createInterface(stream).on('line', take)
  child.stdin.on('error', () => {}) // It ended while we wrote: `exit` tells.
  let ended = false
  const gone = new Promise<void>((resolve) => {
    const end = (): void => {
      ended = true
      living.delete(child)
      resolve()
    }
    child.once('exit', end)
    child.once('error', (error) => {
      take(String(error))
      end()
    })
  })
  const kill = async (): Promise<void> => {
    if (!ended) child.kill('SIGKILL')
    await gone
  }
  return {
    pid: child.pid ?? -1,
    get ended() {
      return ended
    },
    log: () => lines.join('\n'),
    onLine: (listener) => void listeners.add(listener),
    onEnd: (listener) => void gone.then(listener),
    write: (line) => void child.stdin.write(`${line}\n`),
    kill,
    async stop(graceMs = 5_000) {
      if (ended) return
      child.kill('SIGCONT') // A test may have frozen it.
      child.kill('SIGTERM')
      const patience = new AbortController()
      const late = sleep(graceMs, 'late', { signal: patience.signal }).catch(() => 'gone')
      if ((await Promise.race([gone, late])) === 'late') child.kill('SIGKILL')
      patience.abort()
      await gone
    },
  }
}

/**
 * Polls `isReady` until it says yes. What it throws counts as no.
 * @throws {Error} with the child's last lines if it ends first, or after `timeoutMs`; it is killed.
 */
export async function untilReady(
  name: string,
  child: Child,
  isReady: () => boolean | Promise<boolean>,
  timeoutMs: number,
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  let reason = ''
  while (!child.ended && Date.now() < deadline) {
    try {
      if (await isReady()) return
    } catch (error) {
      reason = ` (${String(error)})`
    }
    await sleep(READY_POLL_MS)
  }
  const what = child.ended ? 'it ended' : `it was not ready within ${timeoutMs} ms${reason}`
  await child.kill()
  throw new Error(`Cannot start ${name}: ${what}\n${child.log()}`)
}

/** Runs a tool to its end, with each line that it writes to `onLine`. @throws {Error} if it fails. */
export async function runTool(
  options: ChildOptions,
  onLine: (line: string) => void = () => {},
): Promise<void> {
  const child = spawn(options.command, options.args, {
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  living.add(child)
  const tail: string[] = []
  for (const stream of [child.stdout, child.stderr]) {
    createInterface(stream).on('line', (line) => {
      if (tail.push(line) > 40) tail.shift()
      onLine(line)
    })
  }
  const code = await new Promise<number | null>((resolve) => {
    child.once('close', resolve)
    child.once('error', (error) => {
      tail.push(String(error))
      resolve(null)
    })
  })
  living.delete(child)
  if (code === 0) return
  throw new Error(`Cannot run ${options.command} ${options.args.join(' ')}:\n${tail.join('\n')}`)
}
