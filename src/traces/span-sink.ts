import { diag } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import { BatchSpanProcessor } from '@opentelemetry/sdk-trace'
import { ConfigError } from '../errors.ts'
import type { ApiCall } from '../model/api-call.ts'
import type { Report } from '../model/exchange.ts'
import { Direction } from '../model/flow-view.ts'
import type { Sink } from '../pipeline/contract.ts'
import { backoffMs } from '../runtime/backoff.ts'
import type { Component } from '../runtime/lifecycle.ts'
import { CallSpan } from './call-span.ts'
import { PatientExporter } from './patient-exporter.ts'
import { isSampled, spanIdOf, type TracePlace, tracePlaceOf } from './span-ids.ts'
import { SpanResources } from './span-resources.ts'

/** Index = outcome of a call: 0, its spans wait for export. */
export const TRACES_OUTCOMES = ['kept', 'filtered:sampled_out', 'shed:queue_full'] as const
const KEPT = 0
const SAMPLED_OUT = 1
const QUEUE_FULL = 2

/** Values of the `outcome` label of `weir_spans_total`. */
type SpanOutcome = 'exported' | 'sampled_out' | 'dropped'

export interface SpanSinkOptions {
  /** OTLP/HTTP base URL, or the full one that ends in `/v1/traces`. */
  readonly endpoint: string
  /** Sent with each export; may hold secrets. */
  readonly headers?: Readonly<Record<string, string>>
  /** Share of traces that is kept, 0 … 1. */
  readonly sampleRatio: number
  /** Weir's own name; also of spans whose workload is not known. */
  readonly serviceName: string
  /** Of Weir itself. */
  readonly cluster: string
  /** Spans that may wait, those on their way included. A waiting span holds its call: about 1 KB. */
  readonly queueMax: number
  /** Spans of one export. Encoding one takes about 20 µs, and nothing else runs meanwhile. */
  readonly batchMax: number
  /** How long spans may wait for a batch to fill, in ms. */
  readonly delayMs?: number
  /** Time of one export, the exporter's own retries in it included, in ms. */
  readonly timeoutMs?: number
  /** Delay before attempt number `attempt` at a batch that could not be delivered, in ms. */
  readonly backoffMs?: (attempt: number) => number
  /** `count` spans ended so. `exported`: the endpoint took them. */
  readonly onOutcome: (outcome: SpanOutcome, count: number) => void
  /** The endpoint does not take spans any more; called once until it does again. */
  readonly onError: (text: string) => void
  readonly onRecovered?: () => void
}

export interface SpanSink extends Sink<ApiCall>, Component {
  /** The endpoint is away or refuses; spans wait, and are dropped beyond `queueMax`. */
  readonly degraded: boolean
  /** Spans that wait or are on their way. */
  readonly waiting: number
  /** For paced sources. Undefined: there is room, or waiting would not help since the endpoint is away. */
  ready(): Promise<void> | undefined
}

/** Time for a last attempt at a stop when the endpoint is away: others need the deadline's rest. */
const LAST_CHANCE_MS = 2_000
/** The processor's own timeout must not cut a batch off that is being retried; Node's timers end here. */
const NEVER_MS = 2 ** 31 - 1

/**
 * Tells each call as spans over OTLP: one for each proxy's report of it, SERVER or CLIENT; the CLIENT
 * span is the parent of its twin, and itself the child of what `traceparent` names.
 *
 * Ids follow from the call, so replays and corrections (`revises`) send the same ids again: a backend
 * that keeps spans by id holds one, the latest; others show both, told apart by `weir.revises`.
 * Sampling is by trace id, before anything is built; calls that were limited, denied or unanswered,
 * and those that ended with 5xx, are always kept. The sender's own `sampled` flag is not asked.
 *
 * Holds at most `queueMax` spans, and drops the newest beyond. The endpoint may come and go.
 * The exporter itself honours `OTEL_EXPORTER_OTLP_*` for what is not an option here (certificates,
 * compression, further headers).
 *
 * @throws {ConfigError} if `endpoint` is not an HTTP URL.
 */
export function createSpanSink(options: SpanSinkOptions): SpanSink {
  return new OtlpSpanSink(options)
}

class OtlpSpanSink implements SpanSink {
  readonly name = 'traces'
  readonly #options: SpanSinkOptions
  readonly #resources: SpanResources
  readonly #exporter: PatientExporter
  readonly #processor: BatchSpanProcessor
  #sdk: { shutdown(): Promise<void> } | undefined
  #waiting = 0
  #stopped = false
  #room: PromiseWithResolvers<void> | undefined

  constructor(options: SpanSinkOptions) {
    const { queueMax, timeoutMs = 10_000 } = options
    // Two batches must fit, or a paced source would wait for a batch that never fills.
    const batchMax = Math.max(1, Math.min(options.batchMax, Math.floor(queueMax / 2)))
    this.#options = options
    this.#resources = new SpanResources(options.serviceName)
    this.#exporter = new PatientExporter({
      exporter: new OTLPTraceExporter({
        url: tracesUrlOf(options.endpoint),
        headers: { ...options.headers },
        timeoutMillis: timeoutMs,
        // At a stop all batches leave at once.
        concurrencyLimit: Math.ceil(queueMax / batchMax) + 1,
      }),
      backoffMs: options.backoffMs ?? ((n) => backoffMs(n, { firstMs: 1_000, maxMs: 15_000 })),
      onSettled: (spans, delivered) => this.#settled(spans, delivered),
      onFailing: (text) => {
        options.onError(text)
        this.#letGo()
      },
      onWell: () => options.onRecovered?.(),
    })
    this.#processor = new BatchSpanProcessor({
      exporter: this.#exporter,
      maxQueueSize: queueMax,
      maxExportBatchSize: batchMax,
      scheduledDelayMillis: options.delayMs ?? 1_000,
      exportTimeoutMillis: NEVER_MS,
    })
  }

  get degraded(): boolean {
    return this.#exporter.failing
  }

  get waiting(): number {
    return this.#waiting
  }

  async start(): Promise<void> {
    if (this.#sdk !== undefined || this.#stopped) return
    // Heavy (0.9 s, 55 MB), so only where traces are wanted.
    const { NodeSDK } = await import('@opentelemetry/sdk-node')
    const sdk = new NodeSDK({
      resource: resourceFromAttributes({
        'service.name': this.#options.serviceName,
        'k8s.cluster.name': this.#options.cluster,
      }),
      // OTEL_RESOURCE_ATTRIBUTES; the others would tell arguments and owner of the process.
      resourceDetectors: [envDetector],
      spanProcessors: [this.#processor],
      // Else it would export metrics and logs of its own to wherever the environment says.
      metricReaders: [],
      logRecordProcessors: [],
      instrumentations: [],
      textMapPropagator: null,
    })
    sdk.start()
    // With OTEL_LOG_LEVEL it logs to the console, and stdout belongs to records.
    diag.disable()
    this.#sdk = sdk
  }

  async stop(deadline: AbortSignal): Promise<void> {
    if (this.#stopped) return
    this.#stopped = true
    const bound = this.degraded
      ? AbortSignal.any([deadline, AbortSignal.timeout(LAST_CHANCE_MS)])
      : deadline
    const giveUp = (): void => this.#exporter.giveUp()
    if (bound.aborted) giveUp()
    bound.addEventListener('abort', giveUp, { once: true })
    this.#exporter.hurry()
    try {
      // What could not be delivered was told to `onError` and counted: no reason to fail a stop.
      await Promise.allSettled([this.#processor.shutdown(), this.#sdk?.shutdown()])
      // The processor's word comes with its first batch that fails; the others are still under way.
      await this.#exporter.idle()
    } finally {
      bound.removeEventListener('abort', giveUp)
    }
  }

  accept(call: ApiCall): number {
    const { exchange } = call
    const { report, twin } = exchange
    const other = twin !== null && twin.direction !== report.direction ? twin : null
    const count = other === null ? 1 : 2
    const place = tracePlaceOf(exchange)
    if (!isAlwaysKept(call) && !isSampled(place.traceId, this.#options.sampleRatio)) {
      this.#options.onOutcome('sampled_out', count)
      return SAMPLED_OUT
    }
    if (this.#stopped || this.#waiting + count > this.#options.queueMax) {
      this.#options.onOutcome('dropped', count)
      return QUEUE_FULL
    }
    this.#waiting += count
    const isOuter = other === null || report.direction === Direction.egress
    const outer = isOuter ? report : other
    const outerId = this.#hand(call, outer, place)
    if (other !== null) {
      const inner = isOuter ? other : report
      this.#hand(call, inner, { traceId: place.traceId, parentId: outerId })
    }
    return KEPT
  }

  advance(): void {}

  ready(): Promise<void> | undefined {
    if (this.degraded || this.#waiting <= this.#options.queueMax / 2) return undefined
    this.#room ??= Promise.withResolvers()
    return this.#room.promise
  }

  #hand(call: ApiCall, report: Report, { traceId, parentId }: TracePlace): string {
    const spanId = spanIdOf(call.exchange.id, report.direction)
    const side = report.direction === Direction.egress ? report.source : report.destination
    const resource = this.#resources.of(side, report.cluster)
    this.#processor.onEnd(new CallSpan({ call, report, resource, traceId, spanId, parentId }))
    return spanId
  }

  #settled(spans: readonly unknown[], delivered: boolean): void {
    // Whoever uses the tracer of the SDK shares the processor; those spans are not ours to count.
    const count = spans.reduce<number>((sum, span) => sum + (span instanceof CallSpan ? 1 : 0), 0)
    this.#waiting -= count
    if (count > 0) this.#options.onOutcome(delivered ? 'exported' : 'dropped', count)
    if (this.#waiting <= this.#options.queueMax / 2) this.#letGo()
  }

  #letGo(): void {
    this.#room?.resolve()
    this.#room = undefined
  }
}

function isAlwaysKept(call: ApiCall): boolean {
  const { report, twin } = call.exchange
  return call.outcome !== 'answered' || report.status >= 500 || (twin?.status ?? 0) >= 500
}

/** A base URL gets the signal's path, as OTEL_EXPORTER_OTLP_ENDPOINT does; a full one stays. */
function tracesUrlOf(endpoint: string): string {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new ConfigError('Cannot export traces: the endpoint is not an http:// or https:// URL')
  }
  if (!url.pathname.endsWith('/v1/traces')) {
    url.pathname = `${url.pathname.replace(/\/+$/, '')}/v1/traces`
  }
  return url.href
}
