import type { ApiCall } from '../model/api-call.ts'
import type { Finding } from '../model/finding.ts'
import type { Sink } from '../pipeline/contract.ts'

/** Index = outcome: every call is remembered. */
export const RECENT_OUTCOMES = ['kept'] as const

export interface RecentOptions {
  readonly callsMax: number
  readonly findingsMax: number
}

/** A remembered thing; `number` grows by one with each, and is never used again. */
export interface Numbered<T> {
  readonly number: number
  readonly item: T
}

/** The bounded memory behind the lists of calls and findings, whatever else becomes of them. */
export interface Recent extends Sink<ApiCall> {
  /** A finding that is told again (same id) replaces its earlier telling, and is the newest. */
  finding(finding: Finding): void
  /** Newest first; `before`: only those with a smaller number. */
  calls(before: number): Iterable<Numbered<ApiCall>>
  findings(before: number): Iterable<Numbered<Finding>>
  /** What the bounds cost so far: things that newer ones pushed out. */
  readonly overwritten: { readonly calls: number; readonly findings: number }
}

/** Remembers the last `callsMax` calls and `findingsMax` findings; the oldest leave first. */
export function createRecent({ callsMax, findingsMax }: RecentOptions): Recent {
  const calls = new Ring<ApiCall>(callsMax)
  const findings = new Map<string, Numbered<Finding>>()
  let findingNumber = 0
  let findingsOverwritten = 0
  return {
    accept(call) {
      calls.push(call)
      return 0
    },
    advance() {},
    finding(finding) {
      findings.delete(finding.id)
      findings.set(finding.id, { number: findingNumber++, item: finding })
      if (findings.size <= findingsMax) return
      for (const oldest of findings.keys()) {
        findings.delete(oldest)
        findingsOverwritten++
        break
      }
    },
    calls: (before) => calls.newestFirst(before),
    *findings(before) {
      for (const numbered of [...findings.values()].reverse()) {
        if (numbered.number < before) yield numbered
      }
    },
    get overwritten() {
      return { calls: calls.overwritten, findings: findingsOverwritten }
    },
  }
}

/** The last `max` items; a push is O(1) and allocates nothing. */
class Ring<T> {
  readonly #items: T[] = []
  readonly #max: number
  #pushed = 0

  constructor(max: number) {
    this.#max = max
  }

  get overwritten(): number {
    return this.#pushed - this.#items.length
  }

  push(item: T): void {
    if (this.#max > 0) this.#items[this.#pushed % this.#max] = item
    this.#pushed++
  }

  *newestFirst(before: number): Generator<Numbered<T>> {
    const oldest = this.#pushed - this.#items.length
    for (let number = Math.min(before, this.#pushed) - 1; number >= oldest; number--) {
      const item = this.#items[number % this.#max]
      if (item !== undefined) yield { number, item }
    }
  }
}
