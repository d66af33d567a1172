import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace'
import { describeError } from '../errors.ts'

const ERROR_TEXT_LENGTH_MAX = 300

export interface PatientExporterOptions {
  readonly exporter: SpanExporter
  /** Delay before attempt number `attempt` at the same batch (1 is the first retry), in ms. */
  readonly backoffMs: (attempt: number) => number
  /** Each batch ends here once, delivered or lost. */
  readonly onSettled: (spans: readonly ReadableSpan[], delivered: boolean) => void
  /** The endpoint was well until now; called once until it is well again. */
  readonly onFailing: (text: string) => void
  readonly onWell: () => void
}

interface Batch {
  readonly spans: ReadableSpan[]
  readonly done: (result: ExportResult) => void
  attempts: number
  timer: NodeJS.Timeout | undefined
  settled: boolean
}

/**
 * Holds a batch until the endpoint takes it, where a stock exporter gives up after some seconds: the
 * processor sends one batch at a time, so all others wait in its bounded queue. What the endpoint
 * refuses for good (a status that OTLP does not retry) is lost at once.
 * Source: OTLP 1.x specification, "OTLP/HTTP Response" and "Retryable Response Codes".
 */
export class PatientExporter implements SpanExporter {
  readonly #options: PatientExporterOptions
  readonly #batches = new Set<Batch>()
  #failing = false
  #hasty = false
  #over = false
  #idle: PromiseWithResolvers<void> | undefined

  constructor(options: PatientExporterOptions) {
    this.#options = options
  }

  get failing(): boolean {
    return this.#failing
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    const batch: Batch = { spans, done, attempts: 0, timer: undefined, settled: false }
    this.#batches.add(batch)
    if (this.#over) this.#lose(batch)
    else this.#try(batch)
  }

  /** From now on each batch, those that wait included, gets one more attempt. */
  hurry(): void {
    this.#hasty = true
    for (const batch of this.#batches) {
      if (batch.timer === undefined) continue
      clearTimeout(batch.timer)
      this.#try(batch)
    }
  }

  /** Ends every batch, those to come included, as lost. An answer that comes later changes nothing. */
  giveUp(): void {
    this.#over = true
    for (const batch of this.#batches) this.#lose(batch)
  }

  /** Resolves when no batch is left. */
  async idle(): Promise<void> {
    if (this.#batches.size === 0) return
    this.#idle ??= Promise.withResolvers()
    await this.#idle.promise
  }

  /** Waits for the batches that are under way, but not for the answers of those that were given up. */
  async shutdown(): Promise<void> {
    await this.idle()
    if (!this.#over) await this.#options.exporter.shutdown()
  }

  #try(batch: Batch): void {
    batch.timer = undefined
    batch.attempts++
    try {
      this.#options.exporter.export(batch.spans, (result) => this.#answered(batch, result))
    } catch (error) {
      // Encoding failed, and would again: only this batch is lost.
      this.#settle(batch, { code: ExportResultCode.FAILED, error: asError(error) })
      this.#fails(error)
    }
  }

  #answered(batch: Batch, result: ExportResult): void {
    if (batch.settled) return
    if (result.code === ExportResultCode.SUCCESS) {
      this.#settle(batch, result)
      if (this.#failing) {
        this.#failing = false
        this.#options.onWell()
      }
      return
    }
    if (this.#hasty || isFinal(result.error)) this.#settle(batch, result)
    else {
      batch.timer = setTimeout(() => this.#try(batch), this.#options.backoffMs(batch.attempts))
      batch.timer.unref()
    }
    this.#fails(result.error)
  }

  #settle(batch: Batch, result: ExportResult): void {
    batch.settled = true
    this.#batches.delete(batch)
    this.#options.onSettled(batch.spans, result.code === ExportResultCode.SUCCESS)
    batch.done(result)
    if (this.#batches.size > 0) return
    this.#idle?.resolve()
    this.#idle = undefined
  }

  #lose(batch: Batch): void {
    clearTimeout(batch.timer)
    this.#settle(batch, { code: ExportResultCode.FAILED, error: new Error('Given up') })
  }

  #fails(error: unknown): void {
    if (this.#failing) return
    this.#failing = true
    this.#options.onFailing(textOf(error))
  }
}

/** An HTTP status among those that OTLP retries never reaches us as a number: the exporter keeps it. */
function isFinal(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'number'
}

/** Connection errors of a name with several addresses have no message of their own, only a code. */
function textOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? ` (${String(error.code)})` : ''
  return `${describeError(error)}${code}`.slice(0, ERROR_TEXT_LENGTH_MAX)
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
