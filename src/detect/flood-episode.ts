import type { Operation } from '../model/api.ts'
import type { ApiCall } from '../model/api-call.ts'
import { addSample, countStatus, SAMPLES_MAX, type Told } from './reporter.ts'

const OPERATIONS_MAX = 16

/** Evidence on one client near its limit at one API, from the call on that made its window half full. */
export class FloodEpisode {
  /** Start of the window in which it began, Unix ms. */
  readonly firstMs: number
  lastMs: number
  /** Since when it is over its limit; 0: it is not. */
  overSinceMs = 0
  /** It is over its limit, and it is too early to call it an abuse. */
  isDoubted = false
  requests = 0
  serverErrors = 0
  told: Told | null = null
  readonly counts = new Map<string, number>()
  readonly samples: string[] = []
  readonly #operations = new Map<string, number>()

  constructor(firstMs: number) {
    this.firstMs = firstMs
    this.lastMs = firstMs
  }

  /** Takes one call; each `stride`-th of them is a sample. */
  record(call: ApiCall, timeMs: number, stride: number): void {
    const { status } = call.exchange
    this.lastMs = Math.max(this.lastMs, timeMs)
    countStatus(this.counts, status)
    if (status >= 500) this.serverErrors++
    if (this.samples.length < SAMPLES_MAX && this.requests % stride === 0) {
      addSample(this.samples, call)
    }
    this.requests++
    if (call.operation === null) return
    const key = keyOf(call.operation)
    const count = this.#operations.get(key)
    if (count !== undefined || this.#operations.size < OPERATIONS_MAX) {
      this.#operations.set(key, (count ?? 0) + 1)
    }
  }

  /** The share of its calls that were on the operation, 0 … 1. */
  shareOf(operation: Operation | null): number {
    if (operation === null || this.requests === 0) return 0
    return (this.#operations.get(keyOf(operation)) ?? 0) / this.requests
  }
}

function keyOf({ method, template }: Operation): string {
  return `${method} ${template}`
}
