import type { Api, Client, Operation } from './api.ts'

export type Severity = 'low' | 'medium' | 'high' | 'critical'

/** What a limit should be, as a rule proposes it; `scope` api: that API's operations and no others. */
export interface LimitSuggestion {
  readonly rate: number
  /** A duration such as `1s`. */
  readonly per: string
  readonly burst: number
  readonly scope: 'operation' | 'api'
}

/** What a rule compared with: where there is no baseline yet, `source` says so and `floor` was used. */
export interface Baseline {
  readonly source: 'population' | 'none'
  readonly [measure: string]: number | string
}

/**
 * One abuse, told with the numbers that were compared. Times are RFC 3339. The same abuse told again
 * (more severe, or going on) keeps its `id`. Its JSON is FINDING of the public face.
 */
export interface Finding {
  /** Deterministic: rule, client or target, API and the first time. */
  readonly id: string
  readonly rule: string
  readonly ruleVersion: number
  readonly kind: string
  readonly severity: Severity
  /** null for distributed attacks, which have a `target`. */
  readonly client: Client | null
  readonly target: { readonly [field: string]: string } | null
  readonly api: Api | null
  readonly operation: Operation | null
  readonly first: string
  readonly last: string
  readonly score: number
  readonly threshold: number
  readonly baseline: Baseline
  /** The share of reality that the window saw, 0 … 1. */
  readonly coverage: number
  readonly counts: { readonly [what: string]: number }
  /** Ids of calls, at most ten. */
  readonly samples: readonly string[]
  readonly sentence: string
  readonly suggestion: { readonly limit: LimitSuggestion } | null
}
