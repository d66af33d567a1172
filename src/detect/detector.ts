import type { ApiCall } from '../model/api-call.ts'
import type { Finding } from '../model/finding.ts'
import type { Outcome, Sink } from '../pipeline/contract.ts'
import { type AllowEntry, AllowList } from './allow-list.ts'
import { ApiTable } from './api-table.ts'
import { AuthBruteforce } from './auth-bruteforce.ts'
import { AUTH_WORDS, AuthOperations } from './auth-operation.ts'
import { EventClock } from './event-clock.ts'
import { Reporter } from './reporter.ts'
import { RequestFlood } from './request-flood.ts'
import type { Rule, RuleContext } from './rule.ts'
import { DETECT_RULES, type RuleOptions, rulesOf } from './rule-catalogue.ts'
import { SubjectTable } from './subject-table.ts'

/** Index = outcome. 0: the rules saw it, or it is held until a leap in time is sure. */
export const DETECT_OUTCOMES = [
  'seen',
  'filtered:limited_by_weir',
  'filtered:revision',
  'filtered:late',
  'filtered:untimed',
  'filtered:allowed',
] as const
const SEEN = 0
const LIMITED = 1
const REVISION = 2
const LATE = 3
const UNTIMED = 4
const ALLOWED = 5

/** So many calls in a row must be ahead before time is believed to have leapt. */
const LEAP_CONFIRMED_BY = 4

/** All have defaults. */
export interface DetectorOptions {
  /** Rules that differ from their defaults; the others run with them. */
  readonly rules?: readonly RuleOptions[] | undefined
  readonly allow?: readonly AllowEntry[] | undefined
  /** Words that make a path one of sign-in; replaces {@link AUTH_WORDS}. */
  readonly authWords?: readonly string[] | undefined
  /** How much older than the newest call a call may be, to be decided on. Default 10 000. */
  readonly latenessMs?: number | undefined
  /** An abuse is over so long after its last sign. Default 600 000. */
  readonly coolDownMs?: number | undefined
  /** Bound of (client, API) pairs in memory. Default 100 000. */
  readonly statesMax?: number | undefined
  /** Bound of APIs, and workloads called without one. Default 2 000. */
  readonly apisMax?: number | undefined
  /** A baseline counts from so many client-windows (50) and so long after an API's first call (1 200 000 ms) on. */
  readonly warmUp?: { readonly clientWindows: number; readonly ms: number } | undefined
  /** So large a share (0.3) of an API's clients in trouble within `windowMs` (600 000), and so many (5), is an incident. */
  readonly incident?:
    | { readonly windowMs: number; readonly share: number; readonly clientsMin: number }
    | undefined
  /** The share of reality that the source sees now, 0 … 1; asked at each finding. Default: 1. */
  readonly coverage?: (() => number) | undefined
}

/** Takes calls, hands out findings; what its bounds cost can be read. */
export interface Detector extends Sink<ApiCall> {
  /** (client, API) pairs in memory. */
  readonly states: number
  /** Pairs that left because memory was full. */
  readonly evicted: number
  /** Calls that no window could take any more. */
  readonly lateDropped: number
  /** Calls by a clock that was minutes ahead of all others. */
  readonly aheadDropped: number
  /** Calls to APIs beyond the bound, which share one baseline. */
  readonly apisOverflowed: number
  /** Abuses forgotten within their cool-down; what goes on may be told anew. */
  readonly abusesForgotten: number
}

/**
 * Runs the rules over calls, in the order in which they come. Its only time is that of the calls, so
 * the same calls give the same findings, byte for byte. Holds what `statesMax` and `apisMax` allow,
 * whatever is sent. `onFinding` is called synchronously, inside `accept` or `advance`.
 *
 * @throws {ConfigError} for rules, thresholds or allow-list entries that are wrong.
 */
export function createDetector(
  options: DetectorOptions,
  onFinding: (finding: Finding) => void,
): Detector {
  const statesMax = options.statesMax ?? 100_000
  const coolDownMs = options.coolDownMs ?? 600_000
  const settings = rulesOf(options.rules ?? [])
  const ruleIds = DETECT_RULES.map((rule) => rule.id)
  const allowList = new AllowList(options.allow ?? [], ruleIds)
  const clock = new EventClock(
    options.latenessMs ?? 10_000,
    (settings.flood?.windowSeconds ?? 0) * 1_000,
  )
  const subjects = new SubjectTable({
    statesMax,
    suspicionOf: (slot, timeMs) => {
      let most = 0
      for (const rule of rules) most = Math.max(most, rule?.suspicionOf(slot, timeMs) ?? 0)
      return most
    },
    onForget: (slot) => {
      for (const rule of rules) rule?.forgetSubject(slot)
    },
  })
  const apis = new ApiTable(options.apisMax ?? 2_000, (state) => {
    for (const rule of rules) rule?.forgetApi(state)
  })
  const context: RuleContext = {
    statesMax,
    reporter: new Reporter({ coolDownMs, coverage: options.coverage ?? (() => 1), onFinding }),
    warmUp: options.warmUp ?? { clientWindows: 50, ms: 1_200_000 },
    incident: options.incident ?? { windowMs: 600_000, share: 0.3, clientsMin: 5 },
    pin: (subject, untilMs) => subjects.pin(subject, untilMs),
  }
  const operations = new AuthOperations(options.authWords ?? AUTH_WORDS)
  /** By the rule's place in DETECT_RULES; null: switched off. */
  const rules: readonly (Rule | null)[] = DETECT_RULES.map((description) => {
    if (description.id === 'auth-bruteforce') {
      const { bruteforce } = settings
      return bruteforce && new AuthBruteforce(description, bruteforce, operations, context)
    }
    const { flood } = settings
    return flood && new RequestFlood(description, flood, context)
  })
  let held: ApiCall[] = []
  let lateDropped = 0
  let aheadDropped = 0
  let closedMinute = 0

  function observe(call: ApiCall, timeMs: number, late: boolean): Outcome {
    const minute = Math.floor(clock.watermarkMs / 60_000)
    if (minute > closedMinute) {
      closedMinute = minute
      for (const rule of rules) rule?.closeBefore(minute)
      subjects.sweep(clock.watermarkMs)
    }
    const api = apis.stateOf(call, timeMs)
    if (!late) api.note(timeMs, call.exchange.status)
    const subject = subjects.subjectOf(api, call.client, timeMs)
    if (subject === undefined) return SEEN
    const allowed = allowList.allowedFor(subject, call, timeMs)
    if (allowed === allowList.everyRule) return ALLOWED
    for (let i = 0; i < rules.length; i++) {
      if ((allowed & (1 << i)) === 0) rules[i]?.observe(call, subject, timeMs, late)
    }
    return SEEN
  }

  /** Time leapt: to the earliest of the held calls, and no further than it says. */
  function release(): void {
    const calls = held
    held = []
    clock.leap(Math.min(...calls.map(({ exchange }) => exchange.endMs)))
    for (const call of calls) {
      const timing = clock.judge(call.exchange.endMs)
      if (timing === 'ahead') held.push(call)
      else observe(call, call.exchange.endMs, timing !== 'on_time')
    }
  }

  function accept(call: ApiCall): Outcome {
    if (call.exchange.revises) return REVISION
    if (call.limitedBy === 'weir') return LIMITED
    const timeMs = call.exchange.endMs
    const timing = clock.judge(timeMs)
    switch (timing) {
      case 'on_time':
        aheadDropped += held.length
        if (held.length > 0) held = []
        return observe(call, timeMs, false)
      case 'late':
        return observe(call, timeMs, true)
      case 'ahead':
        if (held.push(call) >= LEAP_CONFIRMED_BY) release()
        return SEEN
      case 'untimed':
        return UNTIMED
      case 'expired':
        lateDropped++
        return LATE
    }
  }

  return {
    accept,
    advance(eventMs) {
      while (eventMs === Number.POSITIVE_INFINITY && held.length > 0) release()
    },
    get states() {
      return subjects.size
    },
    get evicted() {
      return subjects.evicted
    },
    get lateDropped() {
      return lateDropped
    },
    get aheadDropped() {
      return aheadDropped
    },
    get apisOverflowed() {
      return apis.overflowed
    },
    get abusesForgotten() {
      return context.reporter.forgotten
    },
  }
}
