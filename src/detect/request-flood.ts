import type { ApiCall } from '../model/api-call.ts'
import type { Baseline, LimitSuggestion, Severity } from '../model/finding.ts'
import type { ApiState } from './api-table.ts'
import { type CrowdMember, newMember } from './crowd.ts'
import { FloodEpisode } from './flood-episode.ts'
import { FloodPopulation } from './flood-population.ts'
import { OwnMaxima } from './own-maxima.ts'
import { PastTotals } from './past-totals.ts'
import { addSample, rankOf, whereOf, whoOf } from './reporter.ts'
import { PIN_MS, type Rule, type RuleContext, SAMPLE_EPOCH_MS, SAMPLES_A_CLIENT } from './rule.ts'
import type { FloodThresholds, RuleDescription } from './rule-catalogue.ts'
import { SlidingCounters } from './sliding-counters.ts'
import type { Subject } from './subject-table.ts'

/** From this share of its limit on, evidence is collected on a client; below the other, it is dropped. */
const NEAR = 0.5
const CALM = 0.25
/** Samples are spread over the calls from near to the limit. */
const SAMPLES_TO_LIMIT = 20

/**
 * Counts each (client, API)'s requests in a sliding window, so that it fires as soon as the count
 * passes, and compares with the API's population and with the client's own past. Whole minutes are
 * what both baselines are made of.
 */
export class RequestFlood implements Rule {
  readonly description: RuleDescription
  readonly #t: FloodThresholds
  readonly #context: RuleContext
  /** Thresholds are a minute, counts a window. */
  readonly #windowShare: number
  readonly #counters: SlidingCounters
  readonly #populations: (FloodPopulation | undefined)[] = []
  readonly #members: (CrowdMember | undefined)[] = []
  readonly #episodes = new Map<number, FloodEpisode>()
  /** Who called in a minute that is not over: their samples are taken when it is. */
  readonly #active = new Map<number, Subject[]>()
  readonly #minutes: Float64Array
  readonly #minuteCounts: Uint32Array
  readonly #ownMaxima: OwnMaxima
  /** All requests of the client, but those of abuses: its share of the API's. */
  readonly #ownTotals: PastTotals
  readonly #epochs: Float64Array
  readonly #samplesTaken: Uint8Array

  constructor(description: RuleDescription, thresholds: FloodThresholds, context: RuleContext) {
    this.description = description
    this.#t = thresholds
    this.#context = context
    const windowSeconds = Math.round(thresholds.windowSeconds)
    this.#windowShare = windowSeconds / 60
    const { statesMax } = context
    this.#counters = new SlidingCounters(statesMax, windowSeconds)
    this.#minutes = new Float64Array(statesMax)
    this.#minuteCounts = new Uint32Array(statesMax)
    this.#ownMaxima = new OwnMaxima(statesMax)
    this.#ownTotals = new PastTotals(statesMax)
    this.#epochs = new Float64Array(statesMax)
    this.#samplesTaken = new Uint8Array(statesMax)
  }

  observe(call: ApiCall, subject: Subject, timeMs: number, late: boolean): void {
    const { slot } = subject
    const count = this.#counters.add(slot, Math.floor(timeMs / 1_000))
    if (late) return
    const population = this.#populationOf(subject.api)
    const minute = Math.floor(timeMs / 60_000)
    if (minute > (this.#minutes[slot] ?? 0)) this.#openMinute(subject, population, minute, timeMs)
    this.#minuteCounts[slot] = (this.#minuteCounts[slot] ?? 0) + 1
    const limit = this.#limitOf(slot, population)
    if (count < limit * NEAR) {
      if (this.#episodes.size > 0) this.#calmDown(slot, count < limit * CALM)
      return
    }
    let episode = this.#episodes.get(slot)
    if (episode === undefined) {
      episode = new FloodEpisode(this.#counters.oldestSecond(slot) * 1_000)
      this.#episodes.set(slot, episode)
    }
    episode.record(call, timeMs, Math.max(1, Math.floor(limit / SAMPLES_TO_LIMIT)))
    population.crowd.strike(this.#memberOf(slot), timeMs)
    if (count >= limit) this.#decide(call, subject, population, episode, count, limit, timeMs)
  }

  closeBefore(minute: number): void {
    for (const [active, subjects] of this.#active) {
      if (active >= minute) continue
      this.#active.delete(active)
      for (const subject of subjects) {
        if (subject.slot >= 0 && this.#minutes[subject.slot] === active) this.#closeMinute(subject)
      }
    }
    const timeMs = minute * 60_000
    for (const population of this.#populations) {
      population?.refresh(timeMs, this.#context.warmUp, this.#t)
    }
    for (const [slot, episode] of this.#episodes) {
      const isOver = timeMs - episode.lastMs > this.#t.windowSeconds * 1_000
      if (isOver && !this.#context.reporter.isOngoing(episode.told, timeMs)) {
        this.#episodes.delete(slot)
      }
    }
  }

  suspicionOf(slot: number): number {
    const episode = this.#episodes.get(slot)
    if (episode === undefined) return 0
    return episode.told === null && episode.overSinceMs === 0 ? NEAR : 1
  }

  forgetSubject(slot: number): void {
    this.#counters.clear(slot)
    this.#members[slot] = undefined
    this.#episodes.delete(slot)
    this.#minutes[slot] = 0
    this.#minuteCounts[slot] = 0
    this.#ownMaxima.clear(slot)
    this.#ownTotals.clear(slot)
    this.#epochs[slot] = 0
  }

  forgetApi(state: ApiState): void {
    this.#populations[state.index] = undefined
  }

  #openMinute(subject: Subject, population: FloodPopulation, minute: number, timeMs: number): void {
    const { slot } = subject
    this.#closeMinute(subject)
    this.#minutes[slot] = minute
    this.#ownMaxima.moveTo(slot, minute)
    const active = this.#active.get(minute)
    if (active === undefined) this.#active.set(minute, [subject])
    // Those who came and were evicted within the minute stay listed: so the list has a bound of its own.
    else if (active.length < this.#context.statesMax) active.push(subject)
    population.crowd.see(this.#memberOf(slot), timeMs, false)
  }

  /** Learns the client's minute, unless it is a suspect or the API is down; nobody teaches much alone. */
  #closeMinute({ slot, api }: Subject): void {
    const requests = this.#minuteCounts[slot] ?? 0
    const minute = this.#minutes[slot] ?? 0
    this.#minuteCounts[slot] = 0
    if (requests === 0 || api.isFrozen(minute)) return
    const timeMs = minute * 60_000
    const episode = this.#episodes.get(slot)
    if (this.#context.reporter.isOngoing(episode?.told ?? null, timeMs)) return
    const population = this.#populationOf(api)
    population.totals.add(0, minute, requests)
    this.#ownTotals.add(slot, minute, requests)
    // A few minutes of a flood would raise the percentile, and with it the threshold, above the flood.
    if (episode?.isDoubted === true) return
    if (requests < population.limitPerMinute) this.#ownMaxima.learn(slot, minute, requests)
    const epoch = Math.floor(timeMs / SAMPLE_EPOCH_MS)
    if (epoch > (this.#epochs[slot] ?? 0)) {
      this.#epochs[slot] = epoch
      this.#samplesTaken[slot] = 0
    }
    const taken = this.#samplesTaken[slot] ?? 0
    if (taken >= SAMPLES_A_CLIENT) return
    this.#samplesTaken[slot] = taken + 1
    population.learn(requests, timeMs)
  }

  #calmDown(slot: number, isCalm: boolean): void {
    const episode = this.#episodes.get(slot)
    if (episode === undefined) return
    if (isCalm) this.#episodes.delete(slot)
    episode.overSinceMs = 0
    episode.isDoubted = false
  }

  /** Requests a window from which on this client is a flood. */
  #limitOf(slot: number, population: FloodPopulation): number {
    const own = this.#ownMaxima.maximumOf(slot) * this.#t.ownMaxFactor
    return Math.max(population.limitPerMinute, own) * this.#windowShare
  }

  #decide(
    call: ApiCall,
    subject: Subject,
    population: FloodPopulation,
    episode: FloodEpisode,
    count: number,
    limit: number,
    timeMs: number,
  ): void {
    const { reporter, pin } = this.#context
    if (episode.overSinceMs === 0) {
      episode.overSinceMs = timeMs
      pin(subject, timeMs + PIN_MS)
    }
    const severity = this.#severityOf(count / limit)
    const { told } = episode
    if (reporter.isOngoing(told, timeMs)) {
      told.lastMs = Math.max(told.lastMs, timeMs)
      if (told.rank >= rankOf(severity)) return
    } else if (!this.#isBelievable(call, subject, population, episode, timeMs)) {
      return
    }
    if (population.crowd.isIncident()) {
      this.#tellIncident(call, subject.api, population, timeMs)
      return
    }
    this.#tell(call, subject, population, episode, severity, count, limit, timeMs)
  }

  #severityOf(ratio: number): Severity {
    if (ratio >= this.#t.criticalFactor) return 'critical'
    return ratio >= this.#t.highFactor ? 'high' : 'medium'
  }

  /** Behind one address or workload may stand a gateway with everybody; and batch jobs burst. */
  #isBelievable(
    call: ApiCall,
    { slot }: Subject,
    population: FloodPopulation,
    episode: FloodEpisode,
    timeMs: number,
  ): boolean {
    const isInside = isInCluster(call)
    const mayBeGateway = isInside || (call.client.kind === 'ip' && population.isWarm)
    episode.isDoubted = false
    if (mayBeGateway && this.#isDominant(slot, population, Math.floor(timeMs / 60_000)))
      return false
    episode.isDoubted =
      isInside &&
      timeMs - episode.overSinceMs < this.#t.workloadSustainSeconds * 1_000 &&
      episode.serverErrors <= this.#t.harmShare * episode.requests
    return !episode.isDoubted
  }

  /** By the past, so that a flood does not look like a gateway because it is a great one; while there is none, by what there is. */
  #isDominant(slot: number, { totals }: FloodPopulation, minute: number): boolean {
    const { dominantShare } = this.#t
    if (dominantShare >= 1) return false
    totals.moveTo(0, minute)
    this.#ownTotals.moveTo(slot, minute)
    const past = totals.pastOf(0)
    if (past > 0) return this.#ownTotals.pastOf(slot) > dominantShare * past
    return this.#ownTotals.allOf(slot) > dominantShare * totals.allOf(0)
  }

  #tell(
    call: ApiCall,
    subject: Subject,
    population: FloodPopulation,
    episode: FloodEpisode,
    severity: Severity,
    count: number,
    limit: number,
    timeMs: number,
  ): void {
    addSample(episode.samples, call)
    this.#ownMaxima.dropRecent(subject.slot)
    population.totals.takeRecent(0, this.#ownTotals.dropRecent(subject.slot))
    const { slot, api } = subject
    const { windowSeconds, operationShare } = this.#t
    const ownMax = this.#ownMaxima.maximumOf(slot)
    const seconds = Math.floor(timeMs / 1_000) - this.#counters.oldestSecond(slot) + 1
    const isOneOperation = episode.shareOf(call.operation) >= operationShare
    const against = population.isWarm
      ? `99 % of its clients' minutes have at most ${population.p99}, this client's own had at most ${ownMax}`
      : 'no baseline yet'
    episode.told = this.#context.reporter.tell({
      rule: this.description,
      call,
      api,
      part: '',
      severity,
      firstMs: episode.firstMs,
      lastMs: timeMs,
      score: count,
      threshold: limit,
      baseline: this.#baselineOf(population, ownMax),
      counts: {
        ...Object.fromEntries(episode.counts),
        requests: count,
        recorded: episode.requests,
      },
      samples: [...episode.samples],
      sentence: `Client ${whoOf(call)} sent ${count} requests within ${seconds} s to ${whereOf(
        api,
      )}, against a threshold of ${Math.ceil(limit)} in ${windowSeconds} s; ${against}.`,
      limit: this.#suggestionOf(population, isOneOperation),
      incident: false,
      onOperation: isOneOperation,
    })
  }

  #tellIncident(call: ApiCall, api: ApiState, population: FloodPopulation, timeMs: number): void {
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
      part: '',
      severity: 'medium',
      firstMs: timeMs,
      lastMs: timeMs,
      score: struck / seen,
      threshold: incident.share,
      baseline: this.#baselineOf(population, 0),
      counts: { clients: seen, rising: struck },
      samples: [call.exchange.id],
      sentence: `${struck} of ${seen} clients of ${whereOf(api)} send far more than usual within ${
        incident.windowMs / 60_000
      } min: an incident or a rush, not an attack by one of them.`,
      limit: null,
      incident: true,
      onOperation: false,
    })
  }

  #baselineOf(population: FloodPopulation, ownMax: number): Baseline {
    const floor =
      population.samples >= this.#t.samplesMin && population.isWarm
        ? this.#t.floorPerMinute
        : this.#t.warmFloorPerMinute
    if (!population.isWarm) return { source: 'none', floor, ownMax }
    const { p50, p99 } = population
    return { source: 'population', n: Math.round(population.samples), p50, p99, ownMax, floor }
  }

  #suggestionOf(population: FloodPopulation, isOneOperation: boolean): LimitSuggestion {
    const perMinute = population.isWarm
      ? this.#t.suggestedFactor * population.p99
      : this.#t.warmFloorPerMinute
    const rate = Math.max(1, Math.ceil(perMinute / 60))
    return { rate, per: '1s', burst: rate, scope: isOneOperation ? 'operation' : 'api' }
  }

  #memberOf(slot: number): CrowdMember {
    const known = this.#members[slot]
    if (known !== undefined) return known
    const member = newMember()
    this.#members[slot] = member
    return member
  }

  #populationOf(api: ApiState): FloodPopulation {
    const known = this.#populations[api.index]
    if (known !== undefined) return known
    const population = new FloodPopulation(api, this.#context.incident, this.#t)
    this.#populations[api.index] = population
    return population
  }
}

/** A workload, or traffic that a node or Cilium's own gateway hands on under its address. */
function isInCluster({ client, exchange }: ApiCall): boolean {
  if (client.kind === 'workload') return true
  const { reserved } = exchange.report.source
  return client.kind === 'ip' && reserved !== '' && !reserved.startsWith('world')
}
