import { hash } from 'node:crypto'
import type { Readable, Writable } from 'node:stream'
import { ApiKnowledge } from './app/api-knowledge.ts'
import { callJson, createEventOutlet, type EventOutlet } from './app/event-outlet.ts'
import { laterSink } from './app/later-sink.ts'
import { limitFacts } from './app/limit-facts.ts'
import { accessOf } from './app/live-catalogue.ts'
import { respondOptions } from './app/respond-options.ts'
import {
  checkFilters,
  createSources,
  evictionsOf,
  sourceClustersOf,
  worstNodesOf,
} from './app/sources.ts'
import { timeTextOf } from './app/time-text.ts'
import { createTrafficMetrics } from './app/traffic-metrics.ts'
import type { Config } from './config/schema.ts'
import { partsOfHostPort } from './config/values.ts'
import { type Console, createConsole } from './console/console.ts'
import { createRecent, RECENT_OUTCOMES } from './console/recent.ts'
import { createDetector, DETECT_OUTCOMES } from './detect/detector.ts'
import { createExchangeStage, EXCHANGE_OUTCOMES } from './exchange/exchange-stage.ts'
import { identityHash } from './exchange/identity-hash.ts'
import { createClaimReader } from './identity/api-claim.ts'
import { ClientNamer } from './identity/client.ts'
import { DISCOVERY_OUTCOMES } from './identity/discovery.ts'
import { createIdentityStage, IDENTITY_OUTCOMES } from './identity/identity-stage.ts'
import type { ApiCall } from './model/api-call.ts'
import { EndpointTable } from './model/endpoint.ts'
import type { Finding } from './model/finding.ts'
import type { FlowView } from './model/flow-view.ts'
import type { Limit } from './model/limit.ts'
import { coverageRatio, type Sink, type Source, type SourceNotice } from './pipeline/contract.ts'
import { Ledger } from './pipeline/ledger.ts'
import { Pipeline } from './pipeline/pipeline.ts'
import {
  createResponder,
  RESPOND_OUTCOMES,
  type Responder,
  type ResponderOptions,
} from './respond/responder.ts'
import { type Component, Lifecycle } from './runtime/lifecycle.ts'
import { Health } from './telemetry/health.ts'
import { createLogger } from './telemetry/logger.ts'
import { Telemetry } from './telemetry/telemetry.ts'
import { createSpanSink, type SpanSink, TRACES_OUTCOMES } from './traces/span-sink.ts'

export interface AppOptions {
  readonly stdin: Readable
  readonly stdout: Writable
  /** For logs. */
  readonly stderr: Writable
  readonly version: string
  readonly nodeVersion: string
  /** In place of what the sources say, Unix ms. */
  readonly sinceMs?: number | undefined
  /** Makes every relay a bounded read, Unix ms. */
  readonly untilMs?: number | undefined
  /** Read instead of the configured sources, merged by time. */
  readonly captures?: readonly string[]
  /** Nothing listens, nothing is published or written: only the hooks hear of what happens. */
  readonly headless?: boolean
  /** Stages of a limit's life other than the configuration's; for short demonstrations. */
  readonly stages?: Partial<ResponderOptions>
  readonly onFlow?: (view: FlowView) => void
  readonly onNotice?: (notice: SourceNotice) => void
  readonly onCall?: (call: ApiCall) => void
  readonly onFinding?: (finding: Finding) => void
  readonly onLimit?: (limit: Limit) => void
  readonly onProblem?: (problem: string) => void
  /** The console's HOST:PORT, once it listens. */
  readonly onListen?: (address: string) => void
  /** The sources have ended; limits stand as they are, and are taken back next. */
  readonly onStopping?: () => void
}

export interface App {
  /** Starts everything, runs until the sources end or `stop` aborts, flushes, and ends. */
  run(stop: AbortSignal): Promise<void>
  readonly ledger: Ledger
  limits(): readonly Limit[]
}

const TICK_MS = 250
const NODES_SHOWN_MAX = 20
const RECENT = { callsMax: 5_000, findingsMax: 500 }
const SPANS = { queueMax: 16_384, batchMax: 512 }
const EVENTS_OUTCOMES = ['kept'] as const

/** Puts the rooms together: the only place that knows all of them. Follow `pipeline` from here. */
export function createApp(config: Config, options: AppOptions): App {
  return new Weir(config, options)
}

class Weir implements App {
  readonly ledger = new Ledger()
  readonly #config: Config
  readonly #options: AppOptions
  readonly #telemetry: Telemetry
  readonly #endpoints = new EndpointTable()
  readonly #recent = createRecent(RECENT)
  readonly #health = new Health()
  readonly #apis: ApiKnowledge
  readonly #sources: readonly Source[]
  readonly #events: EventOutlet | undefined
  readonly #spans: SpanSink | undefined
  readonly #responder: Responder
  #target: Component | undefined
  readonly #pipeline: Pipeline
  readonly #console: Console | undefined
  /** What the bounds of each table cost so far. */
  #evictions: () => Readonly<Record<string, number>> = () => ({})

  constructor(config: Config, options: AppOptions) {
    this.#config = config
    this.#options = options
    this.#telemetry = new Telemetry({
      log: createLogger(config.log.level, options.stderr),
      version: options.version,
      nodeVersion: options.nodeVersion,
      configHash: hash('sha256', JSON.stringify(config), 'hex').slice(0, 8),
      sourceClusters: sourceClustersOf(config),
      now: Date.now,
    })
    this.#sources = createSources(config, { ...options, endpoints: this.#endpoints })
    for (const { name } of this.#sources) this.#health.expect(name)
    this.#apis = this.#createKnowledge()
    this.#responder = this.#createResponder()
    this.#pipeline = this.#createPipeline()
    this.#events = options.headless === true ? undefined : this.#createEvents()
    this.#spans = this.#createSpans()
    this.#console = options.headless === true ? undefined : this.#createConsole()
    this.#telemetry.observe({
      ledger: this.ledger,
      limits: () => this.limits(),
      apis: () => this.#apis.current.apis.length,
      discoveries: () => this.#apis.discovery.open(),
      evictions: () => this.#evictions(),
      coverage: () => this.#sources.map((s) => ({ source: s.name, nodes: s.coverage() })),
    })
  }

  limits(): readonly Limit[] {
    return this.#responder.limits()
  }

  async run(stop: AbortSignal): Promise<void> {
    const { log } = this.#telemetry
    const lifecycle = new Lifecycle()
    const { version } = this.#options
    const sources = this.#sources.map(({ name }) => name)
    log.info({ version, mode: this.#config.respond.mode, sources }, 'Weir starts')
    // In the order of the data; the console is first to start and last to stop, for the probes.
    const components = [
      ...this.#sources,
      this.#responder,
      this.#target,
      this.#apis.catalogue,
      this.#events?.delivery,
      this.#spans,
      this.#console,
    ]
    const isLive = this.#sources.some((source) => !source.paced)
    let ticker: NodeJS.Timeout | undefined
    try {
      await lifecycle.start(
        components.filter((c) => c !== undefined),
        stop,
      )
      if (this.#console !== undefined) {
        log.info({ address: this.#console.address }, 'Console listens')
        this.#options.onListen?.(this.#console.address)
      }
      // Without a live source the flows carry the time, so that a replay is the same every time.
      if (isLive) {
        this.#advance()
        ticker = setInterval(() => this.#advance(), TICK_MS)
      }
      await Promise.all(this.#sources.map((source) => this.#runSource(source, isLive, stop)))
    } catch (error) {
      if (!stop.aborted) throw error
    } finally {
      clearInterval(ticker)
      this.#pipeline.drain()
      this.#options.onStopping?.()
      await lifecycle.stop(AbortSignal.timeout(this.#config.shutdownTimeout))
      log.info({ unaccounted: this.ledger.unaccounted() }, 'Stopped')
    }
  }

  #advance(): void {
    this.#pipeline.advance(Date.now())
  }

  async #runSource(source: Source, isLive: boolean, stop: AbortSignal): Promise<void> {
    const { name, paced } = source
    const port = this.#pipeline.port(name, paced && !isLive, (view) => {
      this.#telemetry.flowReceived(name, view, !paced)
      this.#options.onFlow?.(view)
    })
    await source.run(port, stop)
  }

  #createKnowledge(): ApiKnowledge {
    return new ApiKnowledge({
      config: this.#config,
      telemetry: this.#telemetry,
      coverage: () => this.#coverage(),
      onDiscovery: (discovery) => this.#events?.discovery(discovery),
      onLoaded: () => this.#health.catalogueLoaded(),
      onDegraded: (what, reason) => this.#degraded(what, reason),
      onProblem: (problem) => this.#options.onProblem?.(problem),
    })
  }

  #coverage(): number {
    return coverageRatio(this.#sources.flatMap((source) => source.coverage()))
  }

  #createPipeline(): Pipeline {
    const { exchange, identity } = this.#config
    const metrics = createTrafficMetrics(this.#config, this.#telemetry, this.#endpoints)
    const detector = createDetector(
      { ...this.#config.detect, coverage: () => this.#coverage() },
      (finding) => this.#found(finding),
    )
    const exchanges = createExchangeStage({
      unansweredAfterMs: exchange.unansweredAfter,
      mergeWindowMs: exchange.mergeWindow,
      pendingMax: exchange.pendingMax,
      identityHeaders: identity.client.headers.map((header) => header.toLowerCase()),
      claimOf: createClaimReader(identity),
    })
    const clients = new ClientNamer(identity.client)
    const names = createIdentityStage({
      catalogue: (timeMs) => this.#apis.catalogue.history.at(timeMs),
      complete: (resolution, exchange) => this.#apis.learned.complete(resolution, exchange),
      limits: () => this.#responder.inForce(),
      clients,
      hashIdentity: identityHash,
    })
    this.#evictions = () => ({
      calls: exchanges.evicted,
      matches: exchanges.forgotten,
      endpoints: this.#endpoints.evicted,
      clients: clients.evicted,
      suspects: detector.evicted,
      apis: detector.apisOverflowed,
      abuses: detector.abusesForgotten,
      ...evictionsOf(this.#sources),
      ...this.#apis.evictions(),
      ...names.evictions(),
      ...this.#responder.counts().evictions,
    })
    return new Pipeline({
      ledger: this.ledger,
      exchange: exchanges,
      exchangeOutcomes: EXCHANGE_OUTCOMES,
      identity: names,
      identityOutcomes: IDENTITY_OUTCOMES,
      flowSinks: [metrics.network],
      callSinks: [
        metrics.api,
        { name: 'traces', sink: laterSink(() => this.#spans), outcomes: TRACES_OUTCOMES },
        { name: 'events', sink: this.#eventsSink(), outcomes: EVENTS_OUTCOMES },
        { name: 'recent', sink: this.#recent, outcomes: RECENT_OUTCOMES },
        // What acts comes before what finds: a limit's own client is judged by the calls after it.
        { name: 'respond', sink: this.#responder.sink, outcomes: RESPOND_OUTCOMES },
        { name: 'detect', sink: detector, outcomes: DETECT_OUTCOMES },
        { name: 'discovery', sink: this.#apis.discovery, outcomes: DISCOVERY_OUTCOMES },
      ],
      ready: () => this.#events?.delivery.ready() ?? this.#spans?.ready(),
      onNotice: (source, notice) => this.#noticed(source, notice),
    })
  }

  #eventsSink(): Sink<ApiCall> {
    return {
      accept: (call) => {
        this.#options.onCall?.(call)
        return this.#events?.call(call) ?? 0
      },
      advance: () => {},
    }
  }

  #createEvents(): EventOutlet | undefined {
    return createEventOutlet({
      config: this.#config,
      stdout: this.#options.stdout,
      ledger: this.ledger,
      telemetry: this.#telemetry,
      paced: this.#sources.every((source) => source.paced),
      onDegraded: (reason) => this.#degraded('events', reason),
    })
  }

  #createSpans(): SpanSink | undefined {
    const { endpoint, headers, sample } = this.#config.traces
    if (endpoint === undefined || this.#options.headless === true) return undefined
    return createSpanSink({
      endpoint,
      headers,
      sampleRatio: sample,
      serviceName: 'weir',
      cluster: this.#config.cluster,
      ...SPANS,
      onOutcome: (outcome, count) => this.#telemetry.spansDone(outcome, count),
      onError: (text) => this.#degraded('traces', text),
      onRecovered: () => this.#degraded('traces', null),
    })
  }

  #createResponder(): Responder {
    const watchOnly = this.#options.headless === true
    const { respond, identity } = this.#config
    const wanted: Config['respond'] = watchOnly ? { ...respond, mode: 'observe' } : respond
    const { targetComponent, ...options } = respondOptions(wanted, accessOf(identity))
    this.#target = targetComponent
    return createResponder({
      ...options,
      ...(watchOnly ? { target: null } : {}),
      ...this.#options.stages,
      ...limitFacts(() => this.#apis.current),
      onLimit: (limit) => {
        this.#telemetry.limit(limit)
        this.#events?.limit(limit, this.#pipeline.eventMs)
        this.#options.onLimit?.(limit)
      },
      onError: (error) => this.#telemetry.limitError(error),
    })
  }

  #createConsole(): Console {
    const { host, port } = partsOfHostPort(this.#config.console.listen) ?? { host: '', port: 0 }
    const { log } = this.#telemetry
    return createConsole({
      host,
      port,
      // What it tells at info is told already.
      logger: log.child({}, { level: log.isLevelEnabled('warn') ? 'warn' : log.level }),
      ready: () => this.#health.state(),
      metrics: () => this.#telemetry.metrics(),
      status: () => ({
        version: this.#options.version,
        cluster: this.#config.cluster,
        mode: this.#config.respond.mode,
        ...this.#health.state(),
        sources: this.#health.sources(),
        coverage: this.#coverage(),
        nodes: worstNodesOf(this.#sources, NODES_SHOWN_MAX),
        newest_flow: timeTextOf(this.#pipeline.eventMs),
        unaccounted: this.ledger.unaccounted(),
        evicted: this.#evictions(),
      }),
      apis: () => this.#apis.current.apis,
      discoveries: () => this.#apis.discovery.list(),
      limits: () => this.limits(),
      ledger: () => this.ledger.accounts(),
      recent: this.#recent,
      encodeCall: callJson,
    })
  }

  #found(finding: Finding): void {
    this.#telemetry.finding(finding)
    this.#recent.finding(finding)
    this.#events?.finding(finding)
    this.#options.onFinding?.(finding)
    this.#responder.finding(finding)
  }

  #noticed(source: string, notice: SourceNotice): void {
    this.#telemetry.sourceNotice(source, notice)
    this.#health.noticed(source, notice)
    this.#options.onNotice?.(notice)
  }

  #degraded(what: string, reason: string | null): void {
    this.#telemetry.degraded(what, reason)
    this.#health.degraded(what, reason)
  }
}

/** @throws {ConfigError} for rules, thresholds, allow-list entries or flow filters that are wrong. */
export function checkRules(config: Config): void {
  createDetector(config.detect, () => {})
  checkFilters(config)
}

export { renderLimits } from './app/limit-facts.ts'
export { createDemoCluster } from './demo/demo-cluster.ts'
export { observerService } from './hubble/proto.ts'
export { openCatalogue } from './identity/open-catalogue.ts'
export { resolveRequest } from './identity/resolve-request.ts'
