import { ownText } from '../runtime/kept-text.ts'

export interface Scanner {
  /** `KIND:VALUE` of the client. */
  readonly client: string
  /** Requests for paths that nobody has. */
  readonly requests: number
  /** Unix ms. */
  readonly lastMs: number
}

/**
 * Counts by client what was asked for in vain, whatever the path. Holds `clientsMax`; beyond it the
 * one that came least recently leaves (`evicted` counts).
 */
export class ScanBucket {
  evicted = 0
  requests = 0
  readonly #clientsMax: number
  readonly #byClient = new Map<string, { requests: number; lastMs: number }>()

  constructor(clientsMax: number) {
    this.#clientsMax = clientsMax
  }

  add(client: string, timeMs: number): void {
    this.requests++
    const known = this.#byClient.get(client)
    if (known === undefined) {
      if (this.#byClient.size >= this.#clientsMax) this.#evictOldest()
      this.#byClient.set(ownText(client), { requests: 1, lastMs: timeMs })
      return
    }
    known.requests++
    known.lastMs = Math.max(known.lastMs, timeMs)
    this.#byClient.delete(client)
    this.#byClient.set(client, known)
  }

  /** Those who asked most often first, at most `max`. */
  busiest(max: number): readonly Scanner[] {
    return [...this.#byClient]
      .map(([client, { requests, lastMs }]) => ({ client, requests, lastMs }))
      .sort((a, b) => b.requests - a.requests)
      .slice(0, max)
  }

  #evictOldest(): void {
    for (const client of this.#byClient.keys()) {
      this.#byClient.delete(client)
      this.evicted++
      return
    }
  }
}
