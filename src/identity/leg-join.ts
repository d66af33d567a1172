import type { Exchange } from '../model/exchange.ts'
import type { Resolution } from './resolution.ts'

export interface LegJoinOptions {
  /** Calls into gateways that are remembered; beyond it the oldest leaves. */
  readonly legsMax?: number
  /** How long one is remembered, in ms of flow time. */
  readonly keepMs?: number
}

interface Leg {
  readonly startMs: number
  readonly endMs: number
  readonly resolution: Resolution
}

const LEGS_MAX = 20_000
const KEEP_MS = 60_000
/** Clients choose their ids, and may use one for many calls. */
const ALIKE_MAX = 4
/** A call without an answer may have been going on for this long. */
const UNANSWERED_MS = 30_000
/** Nodes' clocks differ. */
const SKEW_MS = 1_000

/**
 * Remembers which API the calls into a gateway were made to, by x-request-id: the gateway hands the
 * id on, so that the call which it makes to a backend is known, too. Time is the flows' own.
 */
export class LegJoin {
  /** Calls that left before their time. */
  evicted = 0
  readonly #legsMax: number
  readonly #keepMs: number
  readonly #byId = new Map<string, Leg[]>()
  #newestMs = Number.NEGATIVE_INFINITY

  constructor(options: LegJoinOptions = {}) {
    this.#legsMax = options.legsMax ?? LEGS_MAX
    this.#keepMs = options.keepMs ?? KEEP_MS
  }

  get size(): number {
    return this.#byId.size
  }

  /** Whether ways into a gateway are seen at all: with TLS up to the gateway none ever is. */
  isOfUse(eventMs: number): boolean {
    return eventMs - this.#newestMs <= this.#keepMs
  }

  add(exchange: Exchange, resolution: Resolution): void {
    const { requestId, report } = exchange
    if (requestId === '') return
    const { startMs } = report
    this.#newestMs = Math.max(this.#newestMs, startMs)
    const endMs = report.status === 0 ? startMs + UNANSWERED_MS : exchange.endMs
    const leg = { startMs, endMs, resolution }
    const known = this.#byId.get(requestId)
    if (known !== undefined) {
      if (known.length < ALIKE_MAX) known.push(leg)
      return
    }
    const [oldest] = this.#byId.size >= this.#legsMax ? this.#byId.keys() : []
    if (oldest !== undefined && this.#byId.delete(oldest)) this.evicted++
    this.#byId.set(requestId, [leg])
  }

  /** What the call into the gateway was made to; undefined where none is known, or several do not agree. */
  find({ requestId, report }: Exchange): Resolution | undefined {
    const legs = requestId === '' ? undefined : this.#byId.get(requestId)
    const fitting = legs?.filter(
      ({ startMs, endMs }) =>
        report.startMs >= startMs - SKEW_MS && report.startMs <= endMs + SKEW_MS,
    )
    const [first, ...others] = fitting ?? []
    if (first === undefined || legs?.length === ALIKE_MAX) return undefined
    const agree = others.every(({ resolution }) => resolution.api === first.resolution.api)
    return agree ? first.resolution : undefined
  }

  forgetBefore(eventMs: number): void {
    for (const [id, legs] of this.#byId) {
      const last = legs.at(-1)
      if (last !== undefined && eventMs - last.endMs < this.#keepMs) return
      this.#byId.delete(id)
    }
  }
}
