import type { ApiState } from './api-table.ts'
import { Crowd } from './crowd.ts'
import { DecayedQuantiles } from './decayed-quantiles.ts'
import { PastTotals } from './past-totals.ts'
import type { Told } from './reporter.ts'
import { BASELINE_HALF_LIFE_MS, type RuleContext } from './rule.ts'
import type { FloodThresholds } from './rule-catalogue.ts'

/** How many requests a minute the clients of one API send. */
export class FloodPopulation {
  readonly api: ApiState
  readonly crowd: Crowd
  incident: Told | null = null
  /** Requests of all client-minutes but those of abuses, in slot 0. */
  readonly totals = new PastTotals(1)
  /** Quantiles of a client's minute, as of the last minute that ended; 0 before there are any. */
  p50 = 0
  p99 = 0
  isWarm = false
  /** What a client without a past may send in a minute. */
  limitPerMinute: number
  readonly #quantiles = new DecayedQuantiles(BASELINE_HALF_LIFE_MS)
  #isDirty = false

  constructor(api: ApiState, incident: RuleContext['incident'], t: FloodThresholds) {
    this.api = api
    this.crowd = new Crowd(incident)
    this.limitPerMinute = t.warmFloorPerMinute
  }

  get samples(): number {
    return this.#quantiles.samples
  }

  learn(requests: number, timeMs: number): void {
    this.#quantiles.add(requests, timeMs)
    this.#isDirty = true
  }

  /** Works out the limit for the minutes from `timeMs` on. */
  refresh(timeMs: number, warmUp: RuleContext['warmUp'], t: FloodThresholds): void {
    if (!this.#isDirty && this.isWarm) return
    this.#isDirty = false
    this.p50 = this.#quantiles.quantile(0.5)
    this.p99 = this.#quantiles.quantile(0.99)
    this.isWarm = this.samples >= warmUp.clientWindows && timeMs - this.api.firstMs >= warmUp.ms
    this.limitPerMinute = Math.max(
      this.samples >= t.samplesMin && this.isWarm ? t.floorPerMinute : t.warmFloorPerMinute,
      this.isWarm ? t.p99Factor * this.p99 : 0,
    )
  }
}
