import type { Api, Confidence, Operation } from '../model/api.ts'
import type { ApiCall } from '../model/api-call.ts'
import { workloadOf } from '../model/endpoint.ts'
import type { Finding } from '../model/finding.ts'
import { FlowKind, type FlowView, L7Type } from '../model/flow-view.ts'
import type { SourceNotice } from '../pipeline/contract.ts'
import type { StageAccount } from '../pipeline/ledger.ts'

const GROUPS_MAX = 10_000
const DURATIONS_MAX = 16_384

interface Group {
  readonly api: Api | null
  readonly workload: string | null
  readonly operation: Operation | null
  readonly confidence: Confidence
  readonly status: Map<string, number>
  readonly durations: Durations
  calls: number
}

/** The JSON of `replay`. */
export interface ReplayJson {
  readonly flows: number
  readonly requests: number
  readonly responses: number
  readonly calls: number
  readonly paired: number
  readonly estimated: number
  readonly unanswered: number
  /** Answers whose request is not in what was read; calls of their own. */
  readonly unrequested: number
  readonly duplicates: number
  readonly lost: number
  readonly rejected: { readonly [reason: string]: number }
  readonly unaccounted: number
  readonly apis: readonly {
    readonly api: Api | null
    readonly workload: string | null
    readonly operation: Operation | null
    readonly confidence: Confidence
    readonly calls: number
    readonly status: { readonly [code: string]: number }
    readonly p50_ms: number | null
    readonly p95_ms: number | null
  }[]
  readonly findings: readonly Finding[]
}

/** Counts what a replay brought, by API, operation and workload (10,000 of them; the rest is one). */
export class ReplaySummary {
  readonly findings = new Map<string, Finding>()
  #flows = 0
  #requests = 0
  #responses = 0
  #calls = 0
  #estimated = 0
  #unanswered = 0
  #answered = 0
  #duplicates = 0
  #lost = 0
  readonly #rejected = new Map<string, number>()
  readonly #groups = new Map<string, Group>()

  flow(view: FlowView): void {
    this.#flows++
    if (view.kind !== FlowKind.http) return
    if (view.l7Type === L7Type.request) this.#requests++
    if (view.l7Type === L7Type.response) this.#responses++
  }

  notice(notice: SourceNotice): void {
    if (notice.kind === 'lost') this.#lost += notice.count
    if (notice.kind !== 'rejected') return
    if (notice.reason === 'duplicate') this.#duplicates += notice.count
    else add(this.#rejected, notice.reason, notice.count)
  }

  accept(call: ApiCall): void {
    const { report, revises } = call.exchange
    if (revises) return
    this.#calls++
    if (report.estimated) this.#estimated++
    if (call.outcome === 'unanswered') this.#unanswered++
    if (report.status > 0) this.#answered++
    const group = this.#groupOf(call)
    group.calls++
    add(group.status, report.status === 0 ? 'none' : String(report.status), 1)
    if (report.durationMs >= 0) group.durations.add(report.durationMs)
  }

  json(accounts: readonly StageAccount[]): ReplayJson {
    const exchange = accounts.find(({ stage }) => stage === 'exchange')
    const paired = exchange?.ended['joined'] ?? 0
    const groups = [...this.#groups.values()].toSorted((a, b) => b.calls - a.calls)
    return {
      flows: this.#flows,
      requests: this.#requests,
      responses: this.#responses,
      calls: this.#calls,
      paired,
      estimated: this.#estimated,
      unanswered: this.#unanswered,
      unrequested: Math.max(0, this.#answered - paired),
      duplicates: this.#duplicates,
      lost: this.#lost,
      rejected: Object.fromEntries(this.#rejected),
      unaccounted: accounts.reduce((sum, { unaccounted }) => sum + Math.abs(unaccounted), 0),
      apis: groups.map(({ durations, status, ...group }) => ({
        ...group,
        status: Object.fromEntries([...status].toSorted(([a], [b]) => a.localeCompare(b))),
        p50_ms: durations.quantile(0.5),
        p95_ms: durations.quantile(0.95),
      })),
      findings: [...this.findings.values()],
    }
  }

  #groupOf(call: ApiCall): Group {
    const workload = workloadOf(call.exchange.report.destination)
    const operation = call.operation
    const named = operation === null ? '' : `${operation.method} ${operation.template}`
    const key = [call.api?.id, call.api?.environment, named, call.confidence, workload].join('\n')
    const known = this.#groups.get(key)
    if (known !== undefined) return known
    if (this.#groups.size >= GROUPS_MAX) {
      return this.#open('', { api: null, workload: null, operation: null, confidence: 'none' })
    }
    const { api, confidence } = call
    return this.#open(key, { api, workload: workload || null, operation, confidence })
  }

  #open(key: string, what: Pick<Group, 'api' | 'workload' | 'operation' | 'confidence'>): Group {
    const known = this.#groups.get(key)
    if (known !== undefined) return known
    const group = { ...what, status: new Map(), durations: new Durations(), calls: 0 }
    this.#groups.set(key, group)
    return group
  }
}

/** Keeps every n-th duration, n doubling whenever 16,384 are held: bounded, and the same in each run. */
class Durations {
  #kept: number[] = []
  #every = 1
  #seen = 0

  add(ms: number): void {
    if (this.#seen++ % this.#every !== 0) return
    this.#kept.push(ms)
    if (this.#kept.length < DURATIONS_MAX) return
    this.#kept = this.#kept.filter((_, i) => i % 2 === 0)
    this.#every *= 2
  }

  /** Nearest rank, in ms to three places; null without any. */
  quantile(q: number): number | null {
    const sorted = this.#kept.toSorted((a, b) => a - b)
    const value = sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]
    return value === undefined ? null : Math.round(value * 1_000) / 1_000
  }
}

function add(counts: Map<string, number>, key: string, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count)
}
