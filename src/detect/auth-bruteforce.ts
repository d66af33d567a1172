import type { ApiCall } from '../model/api-call.ts'
import type { Baseline, Severity } from '../model/finding.ts'
import type { ApiState } from './api-table.ts'
import { Attempts } from './attempts.ts'
import type { AuthOperations } from './auth-operation.ts'
import { Crowd } from './crowd.ts'
import { FailureRate } from './failure-rate.ts'
import { addSample, rankOf, type Told, whereOf, whoOf } from './reporter.ts'
import { BASELINE_HALF_LIFE_MS, PIN_MS, type Rule, type RuleContext } from './rule.ts'
import type { BruteforceThresholds, RuleDescription } from './rule-catalogue.ts'
import type { Subject } from './subject-table.ts'

/** Auth operations of one API, and of one client there, that are told apart; all further ones are one. */
const OPERATIONS_MAX = 64
const OPERATIONS_A_CLIENT = 8
const NAME_MAX = 256
const OVERFLOW = '…'
/** Failures in a row that make a client one of those in trouble: one may be a typing error. */
const TROUBLE_STREAK = 2

/** What clients of one auth operation do together. */
interface Population {
  readonly name: string
  readonly failures: FailureRate
  readonly crowd: Crowd
  firstMs: number
  incident: Told | null
}

/**
 * Sequential probability ratio test for each (client, auth operation): a failure (401, 403, and 400
 * or 422, which sign-ins answer to wrong input) speaks for an attack, a success against it. 5xx, 429
 * and refusals by policy say nothing about the client.
 */
export class AuthBruteforce implements Rule {
  readonly description: RuleDescription
  readonly #t: BruteforceThresholds
  readonly #context: RuleContext
  readonly #operations: AuthOperations
  readonly #populations: (Map<string, Population> | undefined)[] = []
  readonly #attempts = new Map<number, Attempts[]>()

  constructor(
    description: RuleDescription,
    thresholds: BruteforceThresholds,
    operations: AuthOperations,
    context: RuleContext,
  ) {
    this.description = description
    this.#t = thresholds
    this.#operations = operations
    this.#context = context
  }

  observe(call: ApiCall, subject: Subject, timeMs: number, late: boolean): void {
    if (late || call.outcome !== 'answered') return
    const { status } = call.exchange
    const failed = isFailure(status)
    if (!failed && !(status >= 200 && status < 400)) return
    const name = this.#operations.nameOf(call)
    if (name === null) return
    const population = this.#populationOf(subject.api, name, timeMs)
    const attempts = this.#attemptsOf(subject.slot, population.name, timeMs)
    this.#learn(population, attempts, subject, failed, timeMs)
    const p0 = this.#p0Of(population, timeMs)
    const isOngoing = this.#context.reporter.isOngoing(attempts.told, timeMs)
    attempts.record(call, failed, p0, this.#t, timeMs, isOngoing)
    population.crowd.see(attempts.member, timeMs, attempts.goodWeight > 0)
    if (attempts.streak >= TROUBLE_STREAK) population.crowd.strike(attempts.member, timeMs)
    this.#decide(call, subject, population, attempts, failed, p0, timeMs)
  }

  closeBefore(): void {}

  suspicionOf(slot: number, timeMs: number): number {
    let most = 0
    for (const attempts of this.#attempts.get(slot) ?? []) {
      most = Math.max(most, Math.abs(attempts.llrAt(timeMs, this.#t.halfLifeMinutes)) / this.#t.llr)
    }
    return most
  }

  forgetSubject(slot: number): void {
    this.#attempts.delete(slot)
  }

  forgetApi(state: ApiState): void {
    this.#populations[state.index] = undefined
  }

  #decide(
    call: ApiCall,
    subject: Subject,
    population: Population,
    attempts: Attempts,
    failed: boolean,
    p0: number,
    timeMs: number,
  ): void {
    const { reporter, pin } = this.#context
    const ongoing = reporter.isOngoing(attempts.told, timeMs)
    if (!failed) {
      // The test falls with the success; what fired before it stands, and has now got in.
      if (!ongoing || attempts.told === null || attempts.told.rank >= rankOf('high')) return
      this.#tell(call, subject, population, attempts, 'high', p0, timeMs, true)
      return
    }
    const isKnownGood = attempts.isKnownGood(this.#t.knownSuccesses)
    const failuresMin = isKnownGood ? this.#t.knownFailuresMin : this.#t.failuresMin
    if (attempts.llr <= this.#t.llr || attempts.failures < failuresMin) return
    pin(subject, timeMs + PIN_MS)
    const severity: Severity = attempts.failures >= this.#t.highFailures ? 'high' : 'low'
    if (ongoing && attempts.told !== null) {
      attempts.told.lastMs = Math.max(attempts.told.lastMs, timeMs)
      if (attempts.told.rank >= rankOf(severity)) return
    }
    if (population.crowd.isIncident()) {
      this.#tellIncident(call, subject, population, p0, timeMs)
      return
    }
    this.#tell(call, subject, population, attempts, severity, p0, timeMs, false)
  }

  #tell(
    call: ApiCall,
    { api }: Subject,
    population: Population,
    attempts: Attempts,
    severity: Severity,
    p0: number,
    timeMs: number,
    gotIn: boolean,
  ): void {
    addSample(attempts.samples, call)
    const { failures, successes, firstMs } = attempts
    const seconds = Math.max(1, Math.round((timeMs - firstMs) / 1_000))
    const share = `${Math.round(p0 * 100)} %`
    const against = this.#isWarm(population, timeMs)
      ? `clients of this operation fail ${Math.round(population.failures.rate * 100)} % (taken as ${share})`
      : `no baseline yet, ${share} taken as usual`
    attempts.told = this.#context.reporter.tell({
      rule: this.description,
      call,
      api,
      part: population.name,
      severity,
      firstMs,
      lastMs: timeMs,
      score: gotIn ? Math.max(attempts.llr, this.#t.llr) : attempts.llr,
      threshold: this.#t.llr,
      baseline: this.#baselineOf(population, p0, timeMs),
      counts: { ...Object.fromEntries(attempts.counts), failures, successes },
      samples: [...attempts.samples],
      sentence: `Client ${whoOf(call)} failed ${failures} of ${failures + successes} sign-ins at ${
        population.name
      } of ${whereOf(api)} within ${seconds} s${gotIn ? ' and then got in' : ''}; ${against}.`,
      limit: {
        rate: this.#t.suggestedPerSecond,
        per: '1s',
        burst: this.#t.suggestedPerSecond,
        scope: 'operation',
      },
      incident: false,
      onOperation: true,
    })
  }

  #tellIncident(
    call: ApiCall,
    { api }: Subject,
    population: Population,
    p0: number,
    timeMs: number,
  ): void {
    const { reporter, incident } = this.#context
    if (reporter.isOngoing(population.incident, timeMs)) {
      population.incident.lastMs = Math.max(population.incident.lastMs, timeMs)
      return
    }
    const { struck, seen } = population.crowd
    population.incident = reporter.tell({
      rule: this.description,
      call,
      api,
      part: population.name,
      severity: 'medium',
      firstMs: timeMs,
      lastMs: timeMs,
      score: struck / seen,
      threshold: incident.share,
      baseline: this.#baselineOf(population, p0, timeMs),
      counts: { clients: seen, failing: struck },
      samples: [call.exchange.id],
      sentence: `${struck} of ${seen} clients fail at ${population.name} of ${whereOf(api)} within ${
        incident.windowMs / 60_000
      } min: an incident of the API, not an attack by one of them.`,
      limit: null,
      incident: true,
      onOperation: true,
    })
  }

  #baselineOf(population: Population, p0: number, timeMs: number): Baseline {
    const { p1 } = this.#t
    if (!this.#isWarm(population, timeMs)) {
      return { source: 'none', floor: this.#t.failuresMin, p0, p1 }
    }
    const n = Math.round(population.failures.tries)
    const rate = Math.round(population.failures.rate * 1e4) / 1e4
    return { source: 'population', n, failureRate: rate, p0: Math.round(p0 * 1e4) / 1e4, p1 }
  }

  #isWarm({ failures, firstMs }: Population, timeMs: number): boolean {
    const { warmUp } = this.#context
    return failures.tries >= warmUp.clientWindows && timeMs - firstMs >= warmUp.ms
  }

  #p0Of(population: Population, timeMs: number): number {
    const { p0Min, p0Max, populationFactor } = this.#t
    if (!this.#isWarm(population, timeMs)) return p0Max
    return Math.min(p0Max, Math.max(p0Min, populationFactor * population.failures.rate))
  }

  /** Suspects teach nothing, nor does an API that is down; and nobody teaches much alone. */
  #learn(
    { failures }: Population,
    attempts: Attempts,
    { api }: Subject,
    failed: boolean,
    timeMs: number,
  ): void {
    if (attempts.llrAt(timeMs, this.#t.halfLifeMinutes) > this.#t.llr / 2) return
    if (api.isFrozen(Math.floor(timeMs / 60_000)) || !attempts.takeSample(timeMs)) return
    failures.learn(failed, timeMs)
  }

  #populationOf(api: ApiState, name: string, timeMs: number): Population {
    let ofApi = this.#populations[api.index]
    if (ofApi === undefined) {
      ofApi = new Map()
      this.#populations[api.index] = ofApi
    }
    const known = ofApi.get(name)
    if (known !== undefined) return known
    const fits = name.length <= NAME_MAX && ofApi.size < OPERATIONS_MAX
    const shared = fits ? undefined : ofApi.get(OVERFLOW)
    if (shared !== undefined) return shared
    const population: Population = {
      name: fits ? name : OVERFLOW,
      failures: new FailureRate(BASELINE_HALF_LIFE_MS),
      crowd: new Crowd(this.#context.incident),
      firstMs: timeMs,
      incident: null,
    }
    ofApi.set(population.name, population)
    return population
  }

  #attemptsOf(slot: number, name: string, timeMs: number): Attempts {
    let ofClient = this.#attempts.get(slot)
    if (ofClient === undefined) {
      ofClient = []
      this.#attempts.set(slot, ofClient)
    }
    for (const attempts of ofClient) if (attempts.name === name) return attempts
    const last = ofClient[OPERATIONS_A_CLIENT - 1]
    if (last !== undefined) return last
    const isFull = ofClient.length === OPERATIONS_A_CLIENT - 1
    const attempts = new Attempts(isFull ? OVERFLOW : name, timeMs)
    ofClient.push(attempts)
    return attempts
  }
}

function isFailure(status: number): boolean {
  return status === 401 || status === 403 || status === 400 || status === 422
}
