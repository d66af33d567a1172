import type { Resolution } from './resolution.ts'

/** A power of two: entries of all backends and hosts together. */
const ENTRIES_MAX = 131_072
/** Entries of one backend or host: whoever makes up paths pushes out none but those of the same. */
const REGION = 256
/** Longer paths are looked up each time: whoever writes them must not fill the memory. */
const PATH_MAX = 256
/** What tells paths apart is mostly at their end. */
const HASHED_CHARS = 24

interface Entry {
  readonly owner: number
  readonly method: string
  readonly path: string
  readonly host: string
  readonly port: number
  readonly source: string
  readonly resolution: Resolution
}

/**
 * Remembers what requests resolved to, for one snapshot. Each owner (a backend, or a host) has a
 * region of its own; a request has two places in it, and takes the one that was looked at longer ago.
 */
export class ResolutionCache {
  hits = 0
  misses = 0
  /** Entries that had to make room. */
  replaced = 0
  readonly #entries: (Entry | undefined)[] = []
  /** Of each two places, which was looked at last. */
  readonly #newer = new Uint8Array(ENTRIES_MAX / 2)
  #owners = 0

  /** A number for a new owner; regions are shared where there are more owners than regions. */
  newOwner(): number {
    return this.#owners++
  }

  clear(): void {
    this.#entries.fill(undefined)
  }

  get(
    owner: number,
    method: string,
    path: string,
    host: string,
    port: number,
    source: string,
  ): Resolution | undefined {
    const place = placeOf(owner, method, path)
    for (let i = place; ; i ^= 1) {
      const entry = this.#entries[i]
      const isSame =
        entry !== undefined &&
        entry.owner === owner &&
        entry.port === port &&
        entry.path === path &&
        entry.method === method &&
        entry.host === host &&
        entry.source === source
      if (isSame) {
        this.hits++
        // Whoever comes next takes the other place.
        this.#newer[i >> 1] = i & 1
        return entry.resolution
      }
      if (i !== place) break
    }
    this.misses++
    return undefined
  }

  set(
    owner: number,
    method: string,
    path: string,
    host: string,
    port: number,
    source: string,
    resolution: Resolution,
  ): void {
    if (path.length > PATH_MAX) return
    // Filled from its start, so that the engine keeps it a plain array.
    while (this.#entries.length < ENTRIES_MAX) this.#entries.push(undefined)
    const pair = placeOf(owner, method, path) >> 1
    const side = 1 - (this.#newer[pair] ?? 0)
    const place = pair * 2 + side
    if (this.#entries[place] !== undefined) this.replaced++
    this.#entries[place] = { owner, method, path, host, port, source, resolution }
    this.#newer[pair] = side
  }
}

function placeOf(owner: number, method: string, path: string): number {
  let hash = path.length * 31 + method.length * 7 + (method.charCodeAt(0) || 0)
  for (let i = Math.max(0, path.length - HASHED_CHARS); i < path.length; i++) {
    hash = (Math.imul(hash, 33) ^ path.charCodeAt(i)) | 0
  }
  hash ^= hash >>> 15
  return (owner * REGION + (hash & (REGION - 1))) & (ENTRIES_MAX - 1)
}
