import { hash } from 'node:crypto'
import { clientKeyOf } from '../model/api.ts'
import type { ApiCall } from '../model/api-call.ts'
import type { Baseline, Finding, LimitSuggestion, Severity } from '../model/finding.ts'
import type { ApiState } from './api-table.ts'
import type { RuleDescription } from './rule-catalogue.ts'

export const SAMPLES_MAX = 10
/** Abuses remembered for their cool-down; beyond it the one told first is forgotten (`forgotten` counts), and may be told as a new one. */
const TOLD_MAX = 10_000
const SEVERITIES: readonly Severity[] = ['low', 'medium', 'high', 'critical']

/** One abuse that was told. Rules keep it with their evidence, and hold `lastMs` up to date while it goes on. */
export interface Told {
  readonly id: string
  readonly firstMs: number
  lastMs: number
  /** Index of its severity: only a higher one is told again. */
  rank: number
}

/** What a rule has to say when it fires. Times in Unix ms. */
export interface Trip {
  readonly rule: RuleDescription
  /** The call that made it fire: who, and which operation. */
  readonly call: ApiCall
  readonly api: ApiState
  /** Tells apart abuses of one client at one API, where the rule does; ''. */
  readonly part: string
  readonly severity: Severity
  readonly firstMs: number
  readonly lastMs: number
  readonly score: number
  readonly threshold: number
  readonly baseline: Baseline
  readonly counts: { readonly [what: string]: number }
  readonly samples: readonly string[]
  readonly sentence: string
  readonly limit: LimitSuggestion | null
  /** Many clients at once: no client's doing, so nobody is named and nothing is suggested. */
  readonly incident: boolean
  /** The finding names the operation of `call`. */
  readonly onOperation: boolean
}

export function rankOf(severity: Severity): number {
  return SEVERITIES.indexOf(severity)
}

/** Times are the calls' own; a score with more digits than this would say more than it knows. */
const rounded = (value: number): number => Math.round(value * 1_000) / 1_000

/**
 * Turns trips into findings. An abuse is told once, and again only when it has become more severe:
 * same id, present numbers. It is over when `coolDownMs` passed without any sign of it; what comes
 * later is a new one.
 */
export class Reporter {
  forgotten = 0
  readonly #coolDownMs: number
  readonly #coverage: () => number
  readonly #onFinding: (finding: Finding) => void
  readonly #told = new Map<string, Told>()

  constructor(options: {
    coolDownMs: number
    coverage: () => number
    onFinding: (finding: Finding) => void
  }) {
    this.#coolDownMs = options.coolDownMs
    this.#coverage = options.coverage
    this.#onFinding = options.onFinding
  }

  /** Whether the abuse is not over yet at `timeMs`. */
  isOngoing(told: Told | null, timeMs: number): told is Told {
    return told !== null && timeMs - told.lastMs <= this.#coolDownMs
  }

  tell(trip: Trip): Told {
    const who = trip.incident ? '' : clientKeyOf(trip.call.client)
    const key = `${trip.rule.id}\n${who}\n${trip.api.key}\n${trip.part}`
    const rank = rankOf(trip.severity)
    const before = this.#told.get(key) ?? null
    if (this.isOngoing(before, trip.lastMs)) {
      before.lastMs = Math.max(before.lastMs, trip.lastMs)
      if (rank <= before.rank) return before
      before.rank = rank
      this.#emit(trip, before)
      return before
    }
    const firstMs = Math.floor(trip.firstMs)
    const id = hash('sha256', `${key}\n${firstMs}`, 'hex').slice(0, 32)
    const told: Told = { id, firstMs, lastMs: trip.lastMs, rank }
    this.#told.delete(key)
    this.#told.set(key, told)
    if (this.#told.size > TOLD_MAX) {
      for (const oldest of this.#told.keys()) {
        this.#told.delete(oldest)
        this.forgotten++
        break
      }
    }
    this.#emit(trip, told)
    return told
  }

  #emit(trip: Trip, told: Told): void {
    const { rule, call, api, incident } = trip
    this.#onFinding({
      id: told.id,
      rule: rule.id,
      ruleVersion: rule.version,
      kind: incident ? 'incident' : rule.kind,
      severity: trip.severity,
      client: incident ? null : call.client,
      target: targetOf(api, incident, trip.onOperation ? trip.part : ''),
      api: api.api === null ? null : call.api,
      operation: trip.onOperation ? call.operation : null,
      first: new Date(told.firstMs).toISOString(),
      last: new Date(Math.floor(trip.lastMs)).toISOString(),
      score: rounded(trip.score),
      threshold: rounded(trip.threshold),
      baseline: trip.baseline,
      coverage: rounded(Math.min(1, Math.max(0, this.#coverage()))),
      counts: trip.counts,
      samples: trip.samples,
      sentence: trip.sentence,
      suggestion: trip.limit === null ? null : { limit: trip.limit },
    })
  }
}

function targetOf(
  api: ApiState,
  incident: boolean,
  operation: string,
): { readonly [field: string]: string } | null {
  if (api.api === null) {
    const workload = clean(api.workload)
    return operation === '' ? { workload } : { workload, operation: clean(operation) }
  }
  if (!incident) return null
  const { namespace, name, version } = api.api
  return operation === ''
    ? { namespace, api: name, version }
    : { namespace, api: name, version, operation: clean(operation) }
}

/** Adds the call's id to at most ten samples; later ones push out the last, so that the first stay. */
export function addSample(samples: string[], call: ApiCall): void {
  const { id } = call.exchange
  if (samples.includes(id)) return
  if (samples.length >= SAMPLES_MAX) samples.pop()
  samples.push(id)
}

/** Counts under a status; text of an unanswered call is `unanswered`. Bounded: further statuses are `other`. */
export function countStatus(counts: Map<string, number>, status: number): void {
  const name = status === 0 ? 'unanswered' : String(status)
  const key = counts.has(name) || counts.size < STATUSES_MAX ? name : 'other'
  counts.set(key, (counts.get(key) ?? 0) + 1)
}

const STATUSES_MAX = 16
const TEXT_MAX = 80

/** Text from flows is chosen by whoever sent them: without control characters, and short, it fits a sentence. */
function clean(text: string): string {
  const printable = text.slice(0, TEXT_MAX).replace(/[\p{C}\p{Z}]/gu, ' ')
  return text.length > TEXT_MAX ? `${printable}…` : printable
}

/** The client as a sentence names it. */
export function whoOf(call: ApiCall): string {
  return `${call.client.kind} ${clean(call.client.value)}`
}

/** The API, or the workload, as a sentence names it. */
export function whereOf(api: ApiState): string {
  if (api.api === null) return `workload ${clean(api.workload)}`
  return clean(api.api.version === '' ? api.api.name : `${api.api.name} ${api.api.version}`)
}
