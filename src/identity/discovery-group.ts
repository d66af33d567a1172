import type { Api, Operation } from '../model/api.ts'
import { clientKeyOf } from '../model/api.ts'
import type { ApiCall } from '../model/api-call.ts'
import type { DiscoveryKind } from '../model/discovery.ts'
import type { CalledWorkload } from './learned-operations.ts'

/** Clients told apart; more of them are as good as these. */
const CLIENTS_MAX = 20

/** What calls are counted together for: what may become a discovery. */
export interface Subject {
  readonly kind: Exclude<DiscoveryKind, 'orphan'>
  readonly called: CalledWorkload
  readonly api: Api | null
  readonly operation: Operation | null
  /** Of a zombie: when its API was removed, Unix ms; else 0. */
  readonly removedMs: number
}

export interface EnoughEvidence {
  readonly requests: number
  readonly windows: number
}

/** The evidence for one subject. */
export class DiscoveryGroup {
  readonly id: string
  readonly subject: Subject
  firstMs: number
  lastMs: number
  /** When it was told last, Unix ms; 0: never. */
  toldMs = 0
  /** It would have been told, and found no room. */
  isShut = false
  requests = 0
  windows = 0
  succeeded = 0
  readonly clients = new Set<string>()
  #notFound = 0
  #refused = 0
  #failed = 0
  #unanswered = 0
  #firstWindow = Number.POSITIVE_INFINITY
  #lastWindow = Number.NEGATIVE_INFINITY

  constructor(id: string, subject: Subject, timeMs: number) {
    this.id = id
    this.subject = subject
    this.firstMs = timeMs
    this.lastMs = timeMs
  }

  /** True where it is the first call of a newer window. */
  add(call: ApiCall, timeMs: number, window: number): boolean {
    this.requests++
    this.#count(call.exchange.status)
    this.firstMs = Math.min(this.firstMs, timeMs)
    this.lastMs = Math.max(this.lastMs, timeMs)
    if (this.clients.size < CLIENTS_MAX) this.clients.add(clientKeyOf(call.client))
    const isNewer = window > this.#lastWindow
    if (isNewer || window < this.#firstWindow) this.windows++
    this.#firstWindow = Math.min(this.#firstWindow, window)
    this.#lastWindow = Math.max(this.#lastWindow, window)
    return isNewer
  }

  /** Something is there, and it is used: an answer that there is nothing is no evidence. */
  isEnough(least: EnoughEvidence): boolean {
    const seen = this.requests - this.#notFound
    return this.succeeded > 0 && seen >= least.requests && this.windows >= least.windows
  }

  counts(): { readonly [what: string]: number } {
    return {
      requests: this.requests,
      windows: this.windows,
      clients: this.clients.size,
      succeeded: this.succeeded,
      not_found: this.#notFound,
      refused: this.#refused,
      failed: this.#failed,
      unanswered: this.#unanswered,
    }
  }

  #count(status: number): void {
    if (status === 0) this.#unanswered++
    else if (status < 400) this.succeeded++
    else if (status === 404 || status === 405) this.#notFound++
    else if (status < 500) this.#refused++
    else this.#failed++
  }
}
