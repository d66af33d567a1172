import type { ApiCall } from '../model/api-call.ts'
import type { Exchange } from '../model/exchange.ts'
import { FlowKind, type FlowView, timeMsOf } from '../model/flow-view.ts'
import type { FlowPort, Sink, SourceNotice, Stage } from './contract.ts'
import type { Ledger, StageLedger } from './ledger.ts'

interface NamedSink<T> {
  readonly name: string
  readonly sink: Sink<T>
  /** The sink's closed table of outcomes; index 0 is the one that counts as `out`. */
  readonly outcomes: readonly string[]
}

export interface PipelineOptions {
  readonly ledger: Ledger
  readonly exchange: Stage<FlowView, Exchange>
  readonly exchangeOutcomes: readonly string[]
  readonly identity: Stage<Exchange, ApiCall>
  readonly identityOutcomes: readonly string[]
  /** Get every flow, HTTP or not, before anything else does. */
  readonly flowSinks: readonly NamedSink<FlowView>[]
  readonly callSinks: readonly NamedSink<ApiCall>[]
  /** Undefined: go on. Asked by paced sources only. */
  readonly ready: () => Promise<void> | undefined
  readonly onNotice: (source: string, notice: SourceNotice) => void
}

/** How finely time passes for a paced source, in ms of flow time. */
const TICK_MS = 100
/** How far a live flow may be ahead of the wall clock and still move the flows' own: nodes' clocks differ. */
const AHEAD_MAX_MS = 60_000

interface BookedSink<T> extends NamedSink<T> {
  readonly books: StageLedger
}

/**
 * Walks each flow through all stages and sinks, synchronously, and keeps the books of it: flows to
 * the flow sinks; HTTP flows to `exchange`, its exchanges to `identity`, its calls to the call sinks.
 * It is the only caller of the stages, and the only place that knows their order.
 */
export class Pipeline {
  readonly #exchange: Stage<FlowView, Exchange>
  readonly #identity: Stage<Exchange, ApiCall>
  readonly #exchangeBooks: StageLedger
  readonly #identityBooks: StageLedger
  readonly #flowSinks: readonly BookedSink<FlowView>[]
  readonly #callSinks: readonly BookedSink<ApiCall>[]
  readonly #options: PipelineOptions
  #eventMs = 0
  #advancedMs = 0
  #wallMs = 0

  constructor(options: PipelineOptions) {
    const { ledger } = options
    this.#options = options
    this.#exchange = options.exchange
    this.#identity = options.identity
    const book = <T>(named: NamedSink<T>): BookedSink<T> => ({
      ...named,
      books: ledger.open(named.name, named.outcomes, () => 0),
    })
    this.#flowSinks = options.flowSinks.map(book)
    this.#exchangeBooks = ledger.open(
      'exchange',
      options.exchangeOutcomes,
      () => this.#exchange.held,
    )
    this.#identityBooks = ledger.open(
      'identity',
      options.identityOutcomes,
      () => this.#identity.held,
    )
    this.#callSinks = options.callSinks.map(book)
  }

  /**
   * The newest flow time so far, in Unix ms; 0 before the first flow. A live source's flow from the
   * future leaves it as it is: one node with a wrong clock must not end everybody's windows.
   */
  get eventMs(): number {
    return this.#eventMs
  }

  /** Where one source hands its flows in. `paced`: its flows carry the clock themselves. */
  port(source: string, paced: boolean, onFlow: (view: FlowView) => void = () => {}): FlowPort {
    return {
      flow: (view) => {
        onFlow(view)
        const timeMs = timeMsOf(view)
        const isCredible = paced || this.#wallMs === 0 || timeMs <= this.#wallMs + AHEAD_MAX_MS
        if (timeMs > this.#eventMs && isCredible) this.#eventMs = timeMs
        // A paced source is its own clock: before the flow, so that what it brings is held since then.
        if (paced && this.#eventMs - this.#advancedMs >= TICK_MS) this.advance(this.#eventMs)
        this.#flow(view)
      },
      notice: (notice) => this.#options.onNotice(source, notice),
      ready: this.#options.ready,
    }
  }

  /** Lets time pass: timeouts fire, windows close. `wallMs` in Unix ms. */
  advance(wallMs: number): void {
    this.#advancedMs = this.#eventMs
    this.#wallMs = wallMs
    this.#exchange.advance(this.#eventMs, wallMs, this.#emitExchange)
    this.#identity.advance(this.#eventMs, wallMs, this.#emitCall)
    for (const { sink } of this.#flowSinks) sink.advance(this.#eventMs, wallMs)
    for (const { sink } of this.#callSinks) sink.advance(this.#eventMs, wallMs)
  }

  /** The input ended: whatever is held goes on as it is. */
  drain(): void {
    const end = Number.POSITIVE_INFINITY
    this.#exchange.advance(end, end, this.#emitExchange)
    this.#identity.advance(end, end, this.#emitCall)
    for (const { sink } of this.#flowSinks) sink.advance(end, end)
    for (const { sink } of this.#callSinks) sink.advance(end, end)
  }

  #flow(view: FlowView): void {
    for (const { sink, books } of this.#flowSinks) {
      books.in++
      const outcome = sink.accept(view)
      if (outcome === 0) books.out++
      else books.ended(outcome)
    }
    if (view.kind !== FlowKind.http) return
    this.#exchangeBooks.in++
    this.#exchangeBooks.ended(this.#exchange.accept(view, this.#emitExchange))
  }

  readonly #emitExchange = (exchange: Exchange): void => {
    this.#exchangeBooks.out++
    this.#identityBooks.in++
    this.#identityBooks.ended(this.#identity.accept(exchange, this.#emitCall))
  }

  readonly #emitCall = (call: ApiCall): void => {
    this.#identityBooks.out++
    for (const { sink, books } of this.#callSinks) {
      books.in++
      const outcome = sink.accept(call)
      if (outcome === 0) books.out++
      else books.ended(outcome)
    }
  }
}
