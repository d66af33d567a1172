import { existsSync } from 'node:fs'
import { mkdir, rename, rm, stat, utimes } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const POLL_MS = 200
const HEARTBEAT_MS = 2_000
/** A lock whose owner has not touched it for so long is taken over. */
const STALE_MS = 30_000

/** Outside the work tree, so that it outlives a clean checkout. */
export function cacheRoot(): string {
  return process.env['WEIR_TEST_CACHE'] ?? join(homedir(), '.cache', 'weir-test')
}

/**
 * Fills `folder` once, whoever asks and however many at a time: `fill` gets an empty folder beside
 * it, which is renamed when done. A failure leaves nothing behind, and the next one to ask tries.
 *
 * One process fills, others wait for its lock. A lock taken over while its owner still lives costs
 * double work and no more, since the first rename wins.
 */
export async function fillOnce(
  folder: string,
  fill: (folder: string) => Promise<void>,
): Promise<void> {
  const lock = `${folder}.lock`
  await mkdir(dirname(folder), { recursive: true })
  while (!existsSync(folder)) {
    if (await tryLock(lock)) {
      await fillLocked(folder, lock, fill)
      return
    }
    if (await isStale(lock)) await rm(lock, { recursive: true, force: true })
    else await sleep(POLL_MS)
  }
}

async function fillLocked(
  folder: string,
  lock: string,
  fill: (folder: string) => Promise<void>,
): Promise<void> {
  const aside = `${folder}.${process.pid}.tmp`
  const heartbeat = setInterval(() => {
    const now = new Date()
    utimes(lock, now, now).catch(() => {}) // Taken over: the first rename wins.
  }, HEARTBEAT_MS)
  try {
    if (existsSync(folder)) return // Filled between our look and our lock.
    await mkdir(aside)
    await fill(aside)
    await rename(aside, folder).catch((error: unknown) => {
      if (!existsSync(folder)) throw error
    })
  } finally {
    clearInterval(heartbeat)
    await rm(aside, { recursive: true, force: true })
    await rm(lock, { recursive: true, force: true })
  }
}

async function tryLock(lock: string): Promise<boolean> {
  try {
    await mkdir(lock)
    return true
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    throw error
  }
}

async function isStale(lock: string): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(lock)
    return Date.now() - mtimeMs > STALE_MS
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false // Released: the next attempt may get it.
    throw error
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
