import { hash } from 'node:crypto'
import type { Exchange } from '../model/exchange.ts'
import { Direction } from '../model/flow-view.ts'
import { traceParentOf } from '../model/trace-parent.ts'

/** Where a call stands in a trace: hex ids, as W3C Trace Context writes them. */
export interface TracePlace {
  readonly traceId: string
  /** Span of whoever sent the request; '' where the call is the root. */
  readonly parentId: string
}

/**
 * The trace of a call: the one its `traceparent` names, else one made of the call's id, so that the
 * same call has the same ids in each replay.
 */
export function tracePlaceOf(exchange: Exchange): TracePlace {
  const named = traceParentOf(exchange.traceParent)
  if (named !== undefined) return named
  return { traceId: hash('sha256', exchange.id, 'hex').slice(0, 32), parentId: '' }
}

/** The span of one proxy's report of a call: 8 bytes, in hex, of SHA-256 over call id and direction. */
export function spanIdOf(callId: string, direction: Direction): string {
  const side = direction === Direction.egress ? 'egress' : 'ingress'
  return hash('sha256', `${callId}\n${side}`, 'hex').slice(0, 16)
}

/**
 * Whether a trace is among the share `ratio` (0 … 1) that is kept. Decided by the trace id's last 56
 * bits, which its maker chose at random: whole traces are kept or left, whoever decides by that rule.
 * Source: OpenTelemetry, "TraceState: Probability Sampling", randomness from the trace id.
 */
export function isSampled(traceId: string, ratio: number): boolean {
  if (ratio >= 1) return true
  // 52 of the 56 bits: what a number holds exactly.
  return Number.parseInt(traceId.slice(18, 31), 16) / 2 ** 52 >= 1 - ratio
}
