import type { Logger } from 'pino'
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { describeError, type EnforceError } from '../errors.ts'
import type { Finding } from '../model/finding.ts'
import type { FlowView } from '../model/flow-view.ts'
import { LabelBudget } from '../model/label-budget.ts'
import type { Limit, LimitEffect, LimitState } from '../model/limit.ts'
import { MetricCells } from '../model/metric-cells.ts'
import { labelNamesOf, METRICS, type MetricDefinition } from '../model/metric-definitions.ts'
import { coverageRatio, type NodeCoverage, type SourceNotice } from '../pipeline/contract.ts'
import type { Ledger } from '../pipeline/ledger.ts'
import { SourceMetrics } from './source-metrics.ts'

/** Nodes told apart in labels; Kubernetes is tested with 5,000. */
const NODES_MAX = 5_000
const APIS_MAX = 1_000
/** Different texts logged of one kind, of one source. */
const TEXTS_LOGGED_MAX = 10
const LIMIT_STATES: readonly LimitState[] = [
  'proposed',
  'shadow',
  'enforced',
  'expired',
  'reverted',
  'refused',
]
const PROBLEMS_LOGGED_MAX = 20
/** More than the responder remembers: a limit beyond them may have its verdict counted twice. */
const LIMITS_MAX = 10_000

interface SourceCoverage {
  readonly source: string
  readonly nodes: readonly NodeCoverage[]
}

export interface TelemetryOptions {
  readonly log: Logger
  readonly version: string
  readonly nodeVersion: string
  readonly configHash: string
  /** The cluster of each source, by their names. Metrics tell it where there is more than one. */
  readonly sourceClusters?: ReadonlyMap<string, string>
  readonly now: () => number
}

/**
 * What Weir says about itself: one function for each thing that happens, so that log and counter
 * cannot drift apart. Labels take few values; identities go to the log line. No function throws.
 */
export class Telemetry {
  /** Of what is updated for every flow or call; the rooms put theirs in as well. */
  readonly cells = new MetricCells()
  readonly log: Logger
  readonly #registry = new Registry()
  readonly #clusters: ReadonlyMap<string, string>
  readonly #withCluster: boolean
  readonly #apis = new LabelBudget(APIS_MAX, () => this.labelOverflow('api'))
  readonly #nodes = new LabelBudget(NODES_MAX, () => this.labelOverflow('node'))
  readonly #sources: SourceMetrics
  readonly #sourceConnected: Gauge
  readonly #sourceReopened: Counter
  readonly #sourceNodeStates: Counter
  readonly #events: Counter
  readonly #eventsPruned: Counter
  readonly #spans: Counter
  readonly #findings: Counter
  readonly #limitEffect: Counter
  readonly #limitRequests: Counter
  readonly #labelOverflow: Counter
  /** What was logged of a source, since it went away or was reopened: retries say the same again and again. */
  readonly #away = new Map<string, Set<string>>()
  readonly #nodeStates = new Map<string, Set<string>>()
  readonly #refusals = new Map<string, Set<string>>()
  /** By limit id; what the responder forgets is forgotten here at the next scrape. */
  readonly #effects = new Map<string, LimitEffect>()
  readonly #evidence = new Map<string, Limit['evidence']>()

  constructor(options: TelemetryOptions) {
    this.log = options.log
    this.#clusters = options.sourceClusters ?? new Map()
    this.#withCluster = new Set(this.#clusters.values()).size > 1
    this.#sources = new SourceMetrics(this.cells, {
      withCluster: this.#withCluster,
      labelsOf: (source) => Object.values(this.#labelsOf(source)),
      nodeOf: (node) => this.#nodes.valueOf(node),
      nodesMax: NODES_MAX,
      onFull: () => this.labelOverflow('series'),
      now: options.now,
    })
    collectDefaultMetrics({ register: this.#registry })
    this.#sourceConnected = this.#gauge(METRICS.sourceConnected)
    this.#sourceReopened = this.#counter(METRICS.sourceReopened)
    this.#sourceNodeStates = this.#counter(METRICS.sourceNodeStates)
    this.#events = this.#counter(METRICS.events)
    this.#eventsPruned = this.#counter(METRICS.eventsPruned)
    this.#spans = this.#counter(METRICS.spans)
    this.#findings = this.#counter(METRICS.findings)
    this.#limitEffect = this.#counter(METRICS.limitEffect)
    this.#limitRequests = this.#counter(METRICS.limitRequests)
    this.#labelOverflow = this.#counter(METRICS.labelOverflow)
    const build = { version: options.version, node: options.nodeVersion }
    this.#gauge(METRICS.buildInfo).set(build, 1)
    this.#gauge(METRICS.configInfo).set({ hash: options.configHash }, 1)
  }

  /** All metrics of Weir, in the text format of Prometheus. */
  async metrics(): Promise<{ readonly contentType: string; readonly body: string }> {
    this.#sources.forgetSilentNodes()
    const body = `${await this.#registry.metrics()}\n${await this.cells.metrics()}`
    return { contentType: this.#registry.contentType, body }
  }

  /** A flow that a source kept: its kind, and of a live source how old it was. */
  flowReceived(source: string, view: FlowView, isLive: boolean): void {
    this.#sources.received(source, view, isLive)
  }

  sourceNotice(source: string, notice: SourceNotice): void {
    switch (notice.kind) {
      case 'connected':
        if (notice.nodes === 0) {
          this.#sourceAway(source, 'no node is connected')
          return
        }
        this.#sourceConnected.set(this.#labelsOf(source), 1)
        if (this.#away.delete(source)) {
          this.log.info({ source, nodes: notice.nodes }, 'Source is back')
        }
        return
      case 'interrupted':
        this.#sourceAway(source, notice.reason)
        return
      case 'refused':
        if (isNew(this.#refusals, source, notice.reason)) {
          this.log.error({ source, reason: notice.reason }, 'Source refuses what is asked of it')
        }
        return
      case 'reopened':
        this.#sourceReopened.inc({ ...this.#labelsOf(source), reason: notice.reason })
        if (notice.reason === 'schedule') this.#nodeStates.delete(source)
        return
      case 'rejected':
        this.#sources.rejected(source, notice.reason, notice.count)
        return
      case 'lost':
        this.#sources.lost(source, notice.node, notice.reason, notice.count)
        return
      case 'nodes': {
        const { state, count, names, message } = notice
        this.#sourceNodeStates.inc({ ...this.#labelsOf(source), state }, count)
        const text = `${state} ${names.join()} ${message}`
        if (state !== 'connected' && isNew(this.#nodeStates, source, text)) {
          this.log.warn({ source, state, count, names, message }, 'Nodes changed')
        }
        return
      }
      default:
        notice satisfies never
    }
  }

  /** The labels that tell a source, in order. */
  #labelsOf(source: string): Record<string, string> {
    if (!this.#withCluster) return { source }
    return { cluster: this.#clusters.get(source) ?? '', source }
  }

  /** One line when it goes, and one for each new reason; the retries are in the counters. */
  #sourceAway(source: string, reason: string): void {
    this.#sourceConnected.set(this.#labelsOf(source), 0)
    if (isNew(this.#away, source, reason)) {
      this.log.warn({ source, reason }, 'Source is away, trying again')
    }
  }

  eventsDone(publisher: string, topic: string, outcome: string, count: number): void {
    this.#events.inc({ publisher, topic, outcome }, count)
  }

  /** Data loss, so an operator must act; told in sums, never once an event. */
  eventsLost(
    publisher: string,
    topic: string,
    outcome: string,
    count: number,
    reason: string,
  ): void {
    this.log.error({ publisher, topic, count, outcome, reason }, 'Events not delivered')
  }

  eventsPruned(count: number): void {
    this.#eventsPruned.inc(count)
  }

  spansDone(outcome: string, count: number): void {
    this.#spans.inc({ outcome }, count)
  }

  /** A sink, exporter or target went away or came back. */
  degraded(what: string, reason: string | null): void {
    if (reason === null) this.log.info({ what }, 'Well again')
    else this.log.warn({ what, reason }, 'Degraded')
  }

  finding(finding: Finding): void {
    const { rule, severity, id, sentence } = finding
    this.#findings.inc({ rule, api: this.#apis.valueOf(finding.api?.name ?? ''), severity })
    this.log.warn({ rule, severity, id }, sentence)
  }

  limit(limit: Limit): void {
    const { id, state, reason, effect, revision } = limit
    this.log.info({ id, state, effect, revision, reason }, 'Limit changed')
    // Undecided is a verdict only at the end of a limit that stood.
    const hasEnded = state === 'expired' || state === 'reverted'
    if (this.#effects.get(id) === effect || (effect === 'undecided' && !hasEnded)) return
    this.#effects.set(id, effect)
    this.#limitEffect.inc({ effect })
    const [oldest] = this.#effects.keys()
    if (this.#effects.size > LIMITS_MAX && oldest !== undefined) this.#effects.delete(oldest)
  }

  /** A write to the target failed, or a plan was refused by our own validator. */
  limitError(error: EnforceError): void {
    this.log.error(
      { reason: describeError(error), retryable: error.retryable },
      'Limit not written',
    )
  }

  catalogueLoaded(apis: number, problems: readonly string[]): void {
    this.log.info({ apis, problems: problems.length }, 'Catalogue loaded')
    for (const problem of problems.slice(0, PROBLEMS_LOGGED_MAX))
      this.log.warn({ problem }, 'Manifest')
  }

  labelOverflow(label: string): void {
    this.#labelOverflow.inc({ label })
  }

  /** Reads at each scrape what is counted elsewhere. */
  observe(sources: {
    readonly ledger: Ledger
    readonly limits: () => readonly Limit[]
    readonly apis: () => number
    /** What full tables cost, by table. */
    readonly evictions: () => Readonly<Record<string, number>>
    readonly coverage: () => readonly SourceCoverage[]
    /** What is discovered and goes on, by kind. */
    readonly discoveries: () => Readonly<Record<string, number>>
  }): void {
    this.#gauge(METRICS.discoveries, (gauge) => {
      for (const [kind, count] of Object.entries(sources.discoveries())) gauge.set({ kind }, count)
    })
    this.#gauge(METRICS.sourceCoverage, (gauge) => {
      gauge.reset()
      for (const { source, nodes } of sources.coverage()) {
        for (const of of nodes) {
          const labels = { ...this.#labelsOf(source), node: this.#nodes.valueOf(of.node) }
          gauge.set(labels, coverageRatio([of]))
        }
      }
    })
    this.#counter(METRICS.pipelineItems, (counter) => {
      counter.reset()
      for (const { stage, in: taken, out, ended } of sources.ledger.accounts()) {
        counter.inc({ stage, outcome: 'in', reason: '' }, taken)
        counter.inc({ stage, outcome: 'out', reason: '' }, out)
        for (const [key, count] of Object.entries(ended)) {
          const [outcome = '', reason = ''] = key.split(':')
          counter.inc({ stage, outcome, reason }, count)
        }
      }
    })
    this.#gauge(METRICS.pipelineInFlight, (gauge) => {
      for (const { stage, inFlight } of sources.ledger.accounts()) gauge.set({ stage }, inFlight)
    })
    this.#gauge(METRICS.pipelineUnaccounted, (gauge) => {
      for (const { stage, unaccounted } of sources.ledger.accounts()) {
        gauge.set({ stage }, unaccounted)
      }
    })
    this.#gauge(METRICS.limits, (gauge) => {
      const byState = new Map<LimitState, number>(LIMIT_STATES.map((state) => [state, 0]))
      for (const { state } of sources.limits()) byState.set(state, (byState.get(state) ?? 0) + 1)
      gauge.reset()
      for (const [state, count] of byState) gauge.set({ state }, count)
      this.#countEvidence(sources.limits())
    })
    this.#counter(METRICS.evicted, (counter) => {
      counter.reset()
      for (const [what, count] of Object.entries(sources.evictions())) counter.inc({ what }, count)
    })
    this.#gauge(METRICS.catalogueApis, (gauge) => gauge.set(sources.apis()))
  }

  /** What was limited and what passed since the last scrape, limit by limit. */
  #countEvidence(limits: readonly Limit[]): void {
    const ids = new Set(limits.map(({ id }) => id))
    for (const { id, api, evidence } of limits) {
      const before = this.#evidence.get(id)
      const name = this.#apis.valueOf(api?.name ?? '')
      const limited = evidence.limited - (before?.limited ?? 0)
      const passed = evidence.passed - (before?.passed ?? 0)
      if (limited > 0) this.#limitRequests.inc({ api: name, outcome: 'limited' }, limited)
      if (passed > 0) this.#limitRequests.inc({ api: name, outcome: 'passed' }, passed)
      this.#evidence.set(id, evidence)
    }
    for (const id of this.#evidence.keys()) if (!ids.has(id)) this.#evidence.delete(id)
    for (const id of this.#effects.keys()) if (!ids.has(id)) this.#effects.delete(id)
  }

  #counter(definition: MetricDefinition, collect?: (counter: Counter) => void): Counter {
    return new Counter(this.#configurationOf(definition, collect))
  }

  #gauge(definition: MetricDefinition, collect?: (gauge: Gauge) => void): Gauge {
    return new Gauge(this.#configurationOf(definition, collect))
  }

  #configurationOf<T>(definition: MetricDefinition, collect?: (metric: T) => void) {
    const { name, help } = definition
    return {
      name,
      help,
      labelNames: [...labelNamesOf(definition, this.#withCluster)],
      registers: [this.#registry],
      ...(collect === undefined ? {} : { collect: collecting(collect) }),
    }
  }
}

/** Whether `text` was not logged yet; false for all after the first few. */
function isNew(logged: Map<string, Set<string>>, source: string, text: string): boolean {
  const texts = logged.get(source) ?? new Set()
  logged.set(source, texts)
  if (texts.has(text) || texts.size >= TEXTS_LOGGED_MAX) return false
  texts.add(text)
  return true
}

/** prom-client calls `collect` with the metric as `this`. */
function collecting<T>(collect: (metric: T) => void): (this: T) => void {
  return function (this: T) {
    collect(this)
  }
}
