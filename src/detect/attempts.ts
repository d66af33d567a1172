import type { ApiCall } from '../model/api-call.ts'
import { type CrowdMember, newMember } from './crowd.ts'
import { addSample, countStatus, type Told } from './reporter.ts'
import { BASELINE_HALF_LIFE_MS, SAMPLE_EPOCH_MS, SAMPLES_A_CLIENT } from './rule.ts'
import type { BruteforceThresholds } from './rule-catalogue.ts'

/** Evidence so small is none: what comes after it begins anew. */
const LLR_FORGOTTEN = 0.5
/** Room is left for the calls that make the finding fire, and fire again. */
const SAMPLES_BEFORE_FIRING = 7

/** What one client did at one auth operation: the state of a sequential probability ratio test, and its evidence. */
export class Attempts {
  readonly name: string
  readonly member: CrowdMember = newMember()
  llr = 0
  /** Of the present run, which began with the failure at `firstMs`. */
  failures = 0
  successes = 0
  firstMs = 0
  /** Failures since the last success. */
  streak = 0
  told: Told | null = null
  readonly counts = new Map<string, number>()
  readonly samples: string[] = []
  #lastMs: number
  #goodWeight = 0
  #tryWeight = 0
  #epoch = -1
  #learned = 0

  constructor(name: string, timeMs: number) {
    this.name = name
    this.#lastMs = timeMs
  }

  /** Successes, of which those of a day ago count half. */
  get goodWeight(): number {
    return this.#goodWeight
  }

  /** A client that has done well often, and mostly: many people behind one address, for example. */
  isKnownGood(successesMin: number): boolean {
    return this.#goodWeight >= successesMin && this.#goodWeight >= this.#tryWeight / 2
  }

  /** The log-likelihood ratio, as what it is still worth at `timeMs`. */
  llrAt(timeMs: number, halfLifeMinutes: number): number {
    return this.llr * 2 ** (-Math.max(0, timeMs - this.#lastMs) / (halfLifeMinutes * 60_000))
  }

  /** Takes one answered try. `isOngoing`: the run was told and is not over, whatever the test says. */
  record(
    call: ApiCall,
    failed: boolean,
    p0: number,
    t: BruteforceThresholds,
    timeMs: number,
    isOngoing: boolean,
  ): void {
    const llr = this.llrAt(timeMs, t.halfLifeMinutes)
    const elapsedMs = Math.max(0, timeMs - this.#lastMs)
    const isPause = this.streak === 0 || elapsedMs > t.halfLifeMinutes * 60_000
    const isOver = this.told !== null || (llr < LLR_FORGOTTEN && isPause)
    if (isOver && !isOngoing) this.#forgetRun()
    const aged = 2 ** (-elapsedMs / BASELINE_HALF_LIFE_MS)
    this.#goodWeight = this.#goodWeight * aged + (failed ? 0 : 1)
    this.#tryWeight = this.#tryWeight * aged + 1
    this.#lastMs = Math.max(this.#lastMs, timeMs)
    this.streak = failed ? this.streak + 1 : 0
    const step = failed ? Math.log(t.p1 / p0) : Math.log((1 - t.p1) / (1 - p0))
    this.llr = Math.max(t.llrMin, llr + step)
    if (failed && this.failures++ === 0) this.firstMs = timeMs
    if (this.failures === 0) return
    if (!failed) this.successes++
    countStatus(this.counts, call.exchange.status)
    if (failed && this.samples.length < SAMPLES_BEFORE_FIRING) addSample(this.samples, call)
  }

  /** Whether the population may learn one more try of this client. */
  takeSample(timeMs: number): boolean {
    const epoch = Math.floor(timeMs / SAMPLE_EPOCH_MS)
    if (epoch > this.#epoch) {
      this.#epoch = epoch
      this.#learned = 0
    }
    if (this.#learned >= SAMPLES_A_CLIENT) return false
    this.#learned++
    return true
  }

  #forgetRun(): void {
    this.told = null
    this.failures = 0
    this.successes = 0
    this.streak = 0
    this.counts.clear()
    this.samples.length = 0
  }
}
