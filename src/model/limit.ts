import type { Api, Client, Operation } from './api.ts'

export type LimitState = 'proposed' | 'shadow' | 'enforced' | 'expired' | 'reverted' | 'refused'
export type LimitEffect = 'effective' | 'ineffective' | 'collateral' | 'not_needed' | 'undecided'

/** One limit and its life so far. Times are RFC 3339. Its JSON is LIMIT of the public face. */
export interface Limit {
  readonly id: string
  /** Id of the finding that caused it. */
  readonly finding: string
  readonly client: Client
  readonly api: Api | null
  readonly operation: Operation | null
  readonly rate: number
  readonly per: string
  readonly burst: number
  readonly scope: 'operation' | 'api'
  readonly mode: 'shadow' | 'enforce'
  readonly state: LimitState
  /** Why it is in this state, in a sentence. */
  readonly reason: string
  readonly since: string
  /** When it ends by itself; null once it has ended. */
  readonly until: string | null
  /** First 8 hex digits of SHA-256 of the canonical plan; null where none was written. */
  readonly revision: string | null
  readonly effect: LimitEffect
  readonly evidence: {
    readonly limited: number
    readonly passed: number
    readonly others_limited: number
  }
}

/**
 * What stands in the cluster now, as the rooms that only read it need it. Immutable; replaced whole.
 * A value that is not in here is not evidence: clients can send any header.
 */
export interface LimitsInForce {
  /** The `r=` values of `x-weir` that our plans in force carry. */
  readonly revisions: ReadonlySet<string>
  /** The `r=` values of `x-weir-would-limit` that our shadow plans carry. */
  readonly nonces: ReadonlySet<string>
}

export const NO_LIMITS: LimitsInForce = { revisions: new Set(), nonces: new Set() }
