import type { Api } from '../model/api.ts'
import type { ApiCall } from '../model/api-call.ts'
import { workloadOf } from '../model/endpoint.ts'
import type { Finding } from '../model/finding.ts'
import type { Limit } from '../model/limit.ts'
import type { Ledger } from '../pipeline/ledger.ts'

interface ApiCounts {
  readonly api: Api
  calls: number
  errors: number
}

/** A line about the traffic this often, in ms. */
const TRAFFIC_EVERY_MS = 10_000
const CALLERS_SHOWN = 4
const ERROR_FROM = 400

/** Tells what happens in the demo as it happens, and sums it up at the end. */
export class DemoStory {
  readonly #print: (line: string) => void
  readonly #startMs = performance.now()
  readonly #apis = new Map<Api, ApiCounts>()
  readonly #findings = new Map<string, Finding>()
  readonly #callers = new Map<string, number>()
  #limits: readonly Limit[] = []
  #unaccounted = 0
  #flows = 0
  #calls = 0
  #trafficAtMs = TRAFFIC_EVERY_MS / 2
  #callsThen = 0
  #seconds = 0
  readonly #limitLines = new Map<string, string>()

  constructor(print: (line: string) => void) {
    this.#print = print
  }

  opened(where: { console: string; relay: string; limits: string }): void {
    this.#print(
      'A small shop runs in a simulated cluster; Weir reads its flows from a Hubble Relay.',
    )
    this.#print('')
    this.#print(`  Metrics       http://${where.console}/metrics`)
    this.#print(`  Calls         http://${where.console}/api/v1/calls`)
    this.#print(`  Findings      http://${where.console}/api/v1/findings`)
    this.#print(`  Limits        http://${where.console}/api/v1/limits, files in ${where.limits}`)
    this.#print(`  Hubble Relay  ${where.relay} (hubble observe --server ${where.relay} -f)`)
    this.#print('')
  }

  /** Something happened in the cluster. */
  told(line: string): void {
    this.#line('cluster', line)
  }

  flow(): void {
    this.#flows++
  }

  call(call: ApiCall): void {
    if (call.exchange.revises) return
    this.#calls++
    const { api } = call
    if (api !== null) {
      const counts = this.#apis.get(api) ?? { api, calls: 0, errors: 0 }
      counts.calls++
      if (call.exchange.status >= ERROR_FROM || call.outcome === 'unanswered') counts.errors++
      this.#apis.set(api, counts)
    }
    const caller = workloadOf(call.exchange.report.source)
    const name = `${caller} → ${api?.name ?? 'no API'}`
    this.#callers.set(name, (this.#callers.get(name) ?? 0) + 1)
    this.#tellTraffic()
  }

  finding(finding: Finding): void {
    this.#findings.set(finding.id, finding)
    this.#line('finding', `${finding.sentence} (${finding.severity})`)
  }

  limit(limit: Limit): void {
    const { evidence, state, effect, reason } = limit
    const told = `${state}${effect}${reason}`
    if (this.#limitLines.get(limit.id) === told) return
    this.#limitLines.set(limit.id, told)
    const verdict = effect === 'undecided' ? state : `${state}, ${effect}`
    const others = effect === 'undecided' ? '' : `; others hit: ${evidence.others_limited}`
    this.#line('limit', `${nameOf(limit)} [${verdict}] ${reason}${others}`)
  }

  /** The limits as they stand before the end takes them back. */
  ending(limits: readonly Limit[], ledger: Ledger): void {
    this.#limits = limits
    this.#unaccounted = ledger.unaccounted()
    this.#seconds = Math.round((performance.now() - this.#startMs) / 1_000)
  }

  /** Each finding led to a limit that was proven, and nobody else was hit. */
  isProven(): boolean {
    const limits = this.#limits
    const covered = [...this.#findings.values()].every(({ id }) =>
      limits.some(({ finding }) => finding === id),
    )
    const good = (limit: Limit) =>
      limit.effect === 'effective' && limit.evidence.others_limited === 0
    return limits.length > 0 && covered && limits.every(good)
  }

  json(): object {
    return {
      seconds: this.#seconds,
      flows: this.#flows,
      calls: this.#calls,
      unaccounted: this.#unaccounted,
      apis: [...this.#apis.values()],
      findings: [...this.#findings.values()],
      limits: this.#limits.map((limit) => ({ ...limit, ...limit.evidence })),
    }
  }

  /** `othersLimited`: refusals of callers who behave, as the cluster itself counted them. */
  summary(othersLimited: number): void {
    this.#print('')
    this.#print(
      `${this.#seconds} s: ${this.#flows} flows, ${this.#calls} calls, ${this.#unaccounted} unaccounted`,
    )
    for (const { api, calls, errors } of [...this.#apis.values()].toSorted(
      (a, b) => b.calls - a.calls,
    )) {
      this.#print(`  ${`${api.name} ${api.version}`.padEnd(24)} ${calls} calls, ${errors} errors`)
    }
    for (const finding of this.#findings.values()) {
      this.#print(`Finding ${finding.rule} (${finding.severity}): ${finding.sentence}`)
    }
    for (const limit of this.#limits) {
      const { limited, passed } = limit.evidence
      this.#print(
        `Limit on ${nameOf(limit)}: ${limit.state}, ${limit.effect}; ${limited} ${limit.state === 'shadow' ? 'marked' : 'refused'}, ${passed} passed`,
      )
    }
    this.#print(
      othersLimited === 0
        ? 'Nobody else was limited.'
        : `${othersLimited} calls of others were limited!`,
    )
  }

  #tellTraffic(): void {
    const nowMs = performance.now() - this.#startMs
    if (nowMs < this.#trafficAtMs) return
    const top = [...this.#callers].toSorted((a, b) => b[1] - a[1]).slice(0, CALLERS_SHOWN)
    const text = top.map(([name, count]) => `${name} ${count}`).join(', ')
    this.#line(
      'traffic',
      `${this.#calls - this.#callsThen} calls since the last look; most: ${text}`,
    )
    this.#callers.clear()
    this.#callsThen = this.#calls
    this.#trafficAtMs = nowMs + TRAFFIC_EVERY_MS
  }

  #line(what: string, text: string): void {
    const seconds = ((performance.now() - this.#startMs) / 1_000).toFixed(1)
    this.#print(`${seconds.padStart(6)}s  ${what.padEnd(8)} ${text}`)
  }
}

function nameOf({ client, api, operation, rate, per }: Limit): string {
  const what = operation === null ? 'every operation' : `${operation.method} ${operation.template}`
  return `${client.value}, ${rate} per ${per} at ${what} of ${api?.name ?? 'no API'}`
}
