import type { LimitSuggestion } from '../model/finding.ts'

/** A token bucket as Envoy takes it. It starts full and is refilled continuously. */
export interface Bucket {
  readonly maxTokens: number
  readonly tokensPerFill: number
  readonly fillIntervalMs: number
}

/** What a suggestion becomes: never slower than one call a minute, never a burst above one second's worth. */
export interface Rate {
  readonly rate: number
  readonly per: string
  readonly burst: number
  readonly bucket: Bucket
}

/** Floor: one call a minute. A limit slows a client down; blocking is not what it is for. */
const PER_SECOND_MIN = 1 / 60
/** Above this nothing is limited in practice, and the numbers near what Envoy's 32 bits hold. */
const PER_SECOND_MAX = 100_000
const UNITS: { readonly [unit: string]: number } = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/** `1s`, `500ms`, `5m` in ms; undefined for anything else and for zero. */
function durationMsOf(text: string): number | undefined {
  const [, amount = '', unit = ''] = /^(\d{1,9})(ms|s|m|h)$/.exec(text) ?? []
  const ms = Number(amount) * (UNITS[unit] ?? 0)
  return ms > 0 ? ms : undefined
}

/**
 * The bucket of a suggested rate. Each write of a RouteConfiguration refills all its buckets, so
 * `maxTokens` is at most one second's worth of the rate (at least 1): bursts above are cut, and a
 * rate below one call a minute is raised to it. Undefined where the numbers make no limit.
 */
export function rateOf(limit: Omit<LimitSuggestion, 'scope'>): Rate | undefined {
  const perMs = durationMsOf(limit.per)
  if (perMs === undefined || !Number.isFinite(limit.rate) || limit.rate <= 0) return undefined
  if (!Number.isFinite(limit.burst)) return undefined
  const asked = (limit.rate * 1_000) / perMs
  if (asked > PER_SECOND_MAX) return undefined
  const floored = asked < PER_SECOND_MIN
  const perSecond = floored ? PER_SECOND_MIN : asked
  const tokensPerFill = Math.max(1, Math.floor(perSecond))
  // Rounded before ceil: 1000 · 3 / 3 must not become 1001 ms.
  const exactMs = Math.round((tokensPerFill * 1e9) / perSecond) / 1e6
  const fillIntervalMs = Math.ceil(exactMs)
  const maxTokens = Math.min(Math.max(1, Math.floor(limit.burst)), tokensPerFill)
  const { rate, per } = floored ? { rate: 1, per: '1m' } : limit
  return { rate, per, burst: maxTokens, bucket: { maxTokens, tokensPerFill, fillIntervalMs } }
}

/** Tokens a second. */
export function perSecondOf(bucket: Bucket): number {
  return (bucket.tokensPerFill * 1_000) / bucket.fillIntervalMs
}

/** Below 0: `a` is the stricter one. */
export function compareStrictness(a: Bucket, b: Bucket): number {
  return perSecondOf(a) - perSecondOf(b) || a.maxTokens - b.maxTokens
}

/** Seconds for a `retry-after` that fits all of them: at least 5, or the time to the slowest one's next token. */
export function retryAfterOf(buckets: readonly Bucket[]): number {
  return buckets.reduce((most, bucket) => Math.max(most, Math.ceil(1 / perSecondOf(bucket))), 5)
}
