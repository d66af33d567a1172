import type { ApiCall } from '../model/api-call.ts'
import type { ApiState } from './api-table.ts'
import type { Reporter } from './reporter.ts'
import type { RuleDescription } from './rule-catalogue.ts'
import type { Subject } from './subject-table.ts'

/**
 * One rule in the engine. What it knows of a client hangs on the subject's slot, what it knows of an
 * API on the state's index; both are used again, so `forget…` must leave nothing. All times are the
 * calls' own, in Unix ms.
 */
export interface Rule {
  readonly description: RuleDescription
  /**
   * Takes one call, not limited by us and not allowed. `late`: older than the watermark; it may
   * complete a window that is still open, and decides nothing.
   */
  observe(call: ApiCall, subject: Subject, timeMs: number, late: boolean): void
  /** All minutes before `minute` (Unix minutes) are over. Once a minute. */
  closeBefore(minute: number): void
  /** How near a finding the slot is: 0 nothing, 1 fires. */
  suspicionOf(slot: number, timeMs: number): number
  forgetSubject(slot: number): void
  forgetApi(state: ApiState): void
}

/** What all rules share. */
export interface RuleContext {
  readonly statesMax: number
  readonly reporter: Reporter
  /** A baseline counts from this many client-windows and this age of the API's state on. */
  readonly warmUp: { readonly clientWindows: number; readonly ms: number }
  readonly incident: {
    readonly windowMs: number
    readonly share: number
    readonly clientsMin: number
  }
  /** Keeps the subject in memory until `untilMs`, if it can. */
  readonly pin: (subject: Subject, untilMs: number) => void
}

/** Population baselines halve in a day: they follow a working day, and outlast a night. */
export const BASELINE_HALF_LIFE_MS = 86_400_000
/** So many samples may one client add to a baseline in an hour: nobody raises it alone. */
export const SAMPLES_A_CLIENT = 8
export const SAMPLE_EPOCH_MS = 3_600_000
/** A suspect stays in memory so long after its last sign. */
export const PIN_MS = 3_600_000
