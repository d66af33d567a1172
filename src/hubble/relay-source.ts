import { SourceError } from '../errors.ts'
import type { EndpointTable } from '../model/endpoint.ts'
import type { FlowPort, NodeCoverage, Source } from '../pipeline/contract.ts'
import { pause } from '../runtime/pause.ts'
import { Backfill } from './backfill.ts'
import {
  DEADLINE_EXCEEDED,
  type FlowsRequest,
  type HubbleClient,
  reasonOf,
  timestampOf,
} from './channel.ts'
import type { FlowFilter } from './filter/flow-filter.ts'
import { gapOf, LiveReader, type LiveReaderOptions } from './live-reader.ts'
import { NodeBook } from './node-book.ts'
import type { Receiver } from './receiver.ts'
import { RelayWatch } from './relay-watch.ts'
import type { CallEnd } from './transport/transport.ts'
import { WireView } from './wire/wire-view.ts'

export interface RelayOptions {
  readonly name: string
  readonly cluster: string
  readonly connect: () => Promise<HubbleClient>
  readonly endpoints: EndpointTable
  readonly filter: FlowFilter
  /** Where the first stream starts, Unix ms; now, where it is not set. */
  readonly sinceMs?: number | undefined
  /** Makes it a bounded read: paced, ends by itself. Unix ms. */
  readonly untilMs?: number | undefined
  /** Delay before attempt number `attempt` (1 is the first retry), in ms. */
  readonly backoffMs: (attempt: number) => number
  readonly now: () => number
  /** A stream is reopened after this long, in ms: a peer that was replaced is silent for old streams. */
  readonly reopenAfterMs?: number | undefined
  /** ServerStatus is asked this often, and the nodes every second time, in ms. */
  readonly statusEveryMs?: number | undefined
  /** An answer of ServerStatus is waited for this long, in ms. */
  readonly statusDeadlineMs?: number | undefined
  /** Set: the server is the agent of this node, and not a Relay. */
  readonly agent?: string | undefined
  /** Shared by the agents of one source; absent: its own. */
  readonly book?: NodeBook | undefined
  readonly view?: WireView | undefined
}

const REOPEN_AFTER_MS = 8 * 60_000
/** What was under way when the last stream ended comes again, and is known. */
const OVERLAP_MS = 3_000
/** The same of an agent, which is one node: two of its threads may stamp flows at once. */
const AGENT_OVERLAP_MS = 100
/** A bounded read is tried so often while a node fails or hangs; then it ends without that node. */
const BOUNDED_TRIES_MAX = 3
/** A stream that lived this long has worked, flows or not. */
const HEALTHY_AFTER_MS = 10_000

/**
 * Streams flows from one Hubble Relay (or agent) until `signal` aborts. Never pauses a live stream: a
 * reader that waits loses flows unseen, in the node's ring.
 *
 * Every stream carries `since` and `number=1`: the first says what a node that comes back replays,
 * the second keeps Relay's sort queue short. A follow stream that ends with OK has failed like any
 * other (Relay does that when its last node is gone, or when it refuses a request), so it backs off
 * too; the backoff starts anew once a flow came or the stream lived for ten seconds. Nodes that had
 * not been read up to where a new stream begins get a backfill of their own.
 * Source: docs/hubble.md, Streams.
 */
export function createRelaySource(options: RelayOptions): Source {
  return new RelaySource(options)
}

class RelaySource implements Source {
  readonly name: string
  readonly paced: boolean
  readonly #options: RelayOptions
  readonly #stopped = new AbortController()
  readonly #sinceMs: number
  readonly #book: NodeBook
  readonly #reading: LiveReaderOptions
  readonly #backfill: Backfill
  readonly #watch: RelayWatch
  #client: HubbleClient | undefined
  #handed = 0
  #reader: LiveReader | undefined
  #isStreamDown = false
  /** Bounded reads that ended while a node failed. */
  #incomplete = 0
  /** Ends the stream that runs, to be opened anew for the reason of the abort. */
  #reopen = new AbortController()

  constructor(options: RelayOptions) {
    this.name = options.name
    this.paced = options.untilMs !== undefined
    this.#options = options
    const { filter, endpoints, cluster, now } = options
    this.#sinceMs = Math.floor(options.sinceMs ?? now())
    this.#book = options.book ?? new NodeBook(this.#sinceMs)
    this.#reading = {
      view: options.view ?? new WireView(endpoints, cluster),
      book: this.#book,
      accepts: filter.accepts,
      untilMs: options.untilMs,
      now,
    }
    this.#backfill = new Backfill({
      ...this.#reading,
      client: () => this.#client,
      requestFor: (nodes) => filter.forNodes(nodes),
    })
    this.#watch = new RelayWatch({
      client: () => this.#client,
      book: this.#book,
      agent: options.agent,
      isWhole: filter.accepts === undefined,
      everyMs: options.statusEveryMs,
      deadlineMs: options.statusDeadlineMs,
      now,
      handed: () => this.#handed + (this.#reader?.receiver.handed ?? 0),
      isStreamDown: () => this.#isStreamDown,
      // What a node counts beyond the bounds does not come, and each new stream begins at their start.
      onBlind: (reason) => {
        if (!this.paced || reason === 'address_changed') this.#reopen.abort(reason)
      },
      onHung: () => this.#reopen.abort(HUNG),
    })
  }

  /** A TLS file that cannot be read fails here, before anything runs. */
  async start(): Promise<void> {
    this.#client = await this.#options.connect()
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    this.#client?.close()
    this.#client = undefined
  }

  coverage(): readonly NodeCoverage[] {
    return this.#book.coverage()
  }

  evictions(): Readonly<Record<string, number>> {
    return {
      nodes: this.#book.evicted,
      gaps: this.#backfill.givenUp,
      wire: this.#reading.view.evicted,
    }
  }

  async run(to: FlowPort, signal: AbortSignal): Promise<void> {
    if (this.#client === undefined) throw new Error(`Cannot run ${this.name}: not started`)
    const done = new AbortController()
    const ended = AbortSignal.any([signal, this.#stopped.signal, done.signal])
    const beside = [this.#watch.run(to, ended), this.#backfill.run(to, ended)]
    try {
      await this.#follow(to, ended)
    } finally {
      done.abort()
      await Promise.all(beside)
    }
  }

  async #follow(to: FlowPort, ended: AbortSignal): Promise<void> {
    let attempt = 0
    while (!ended.aborted) {
      const outcome = await this.#stream(to, ended)
      if (ended.aborted || outcome.kind === 'finished') return
      if (outcome.kind === 'reopen') {
        await this.#reconnect(ended)
        to.notice({ kind: 'reopened', reason: outcome.reason })
        continue
      }
      const { refusal } = outcome
      if (refusal !== undefined && this.paced) throw new SourceError(refusal)
      attempt = outcome.isHealthy ? 1 : attempt + 1
      const retryInMs = this.#options.backoffMs(attempt)
      if (refusal !== undefined) to.notice({ kind: 'refused', reason: refusal })
      else to.notice({ kind: 'interrupted', reason: reasonOf(outcome.end), retryInMs })
      if (this.#givesUp(outcome.end)) return
      this.#isStreamDown = true
      await pause(retryInMs, ended)
      await this.#reconnect(ended)
      this.#isStreamDown = false
      to.notice({ kind: 'reopened', reason: 'interrupted' })
    }
  }

  /** A new connection for a new try: the old one may be dead without a word, certificates may be new. */
  async #reconnect(ended: AbortSignal): Promise<void> {
    if (ended.aborted) return
    try {
      const client = await this.#options.connect()
      const old = ended.aborted ? client : this.#client
      if (old !== client) this.#client = client
      old?.close()
    } catch {
      // A TLS file that is just being replaced: the old connection has another try.
    }
  }

  async #stream(to: FlowPort, ended: AbortSignal): Promise<StreamOutcome> {
    const { now, reopenAfterMs = REOPEN_AFTER_MS } = this.#options
    const client = this.#client
    if (client === undefined) return FINISHED
    const startedMs = now()
    this.#reopen = new AbortController()
    const reopen = this.#reopen
    const schedule = this.paced
      ? undefined
      : setTimeout(() => reopen.abort('schedule'), reopenAfterMs).unref()
    const fromMs = this.#startsAt()
    const reader = new LiveReader(this.#reading, {
      kind: 'follow',
      fromMs,
      onGap: (gap) => this.#backfill.add(gap),
    })
    this.#reader = reader
    this.#watch.streamOpened()
    const end = await client.openFlows(
      this.#request(fromMs),
      (bytes, start, stop) => {
        reader.read(bytes, start, stop, to)
        return this.paced ? to.ready() : undefined
      },
      AbortSignal.any([ended, reopen.signal]),
    )
    clearTimeout(schedule)
    const { handed, nodeError } = reader.receiver
    this.#handed += handed
    this.#reader = undefined
    const reason: unknown = reopen.signal.reason
    if (reopen.signal.aborted && typeof reason === 'string') return { kind: 'reopen', reason }
    if (this.paced && end.code === 0 && this.#isComplete(reader.receiver)) return FINISHED
    // What the overlap brings again is no progress.
    const isHealthy = handed > 0 || now() - startedMs >= HEALTHY_AFTER_MS
    // A request that the nodes refuse never comes back as an error of Relay's.
    const message = end.code === 0 ? nodeError : REFUSALS.includes(end.code) ? end.details : ''
    const refusal = handed === 0 && isRefusal(message) ? refusalOf(message) : undefined
    return { kind: 'failed', end: reopen.signal.aborted ? HUNG : end, isHealthy, refusal }
  }

  /** Of a bounded read that ended with OK: a Relay that knows no node yet ends so too. */
  #isComplete({ handed, nodeError, connected, failed }: Receiver): boolean {
    if (nodeError !== '' || failed.size > 0) return ++this.#incomplete >= BOUNDED_TRIES_MAX
    return handed > 0 || connected.size > 0 || this.#watch.connected > 0
  }

  /** Of a bounded read: one node cannot be read, and keeps the end of all the others back. */
  #givesUp(end: CallEnd): boolean {
    const isOneNode = this.paced && (this.#options.agent !== undefined || end === HUNG)
    return isOneNode && ++this.#incomplete >= BOUNDED_TRIES_MAX
  }

  /**
   * Nodes that were not read that far are read from where they were, beside the stream; those that are
   * away once they speak.
   */
  #startsAt(): number {
    if (this.paced) return this.#sinceMs
    const fromMs = this.#resumeFromMs()
    for (const node of this.#nodes()) {
      if (!node.isAway && node.readToMs < fromMs) this.#backfill.add(gapOf(node, fromMs))
    }
    return fromMs
  }

  #resumeFromMs(): number {
    const { agent } = this.#options
    if (agent === undefined) return this.#book.resumeFromMs(OVERLAP_MS) ?? this.#sinceMs
    const node = this.#book.known(agent)
    if (node === undefined) return this.#sinceMs
    return Math.max(
      this.#sinceMs,
      Math.floor(Math.min(node.readToMs, node.lastMs) - AGENT_OVERLAP_MS),
    )
  }

  #nodes() {
    const { agent } = this.#options
    return agent === undefined ? this.#book.entries() : []
  }

  #request(fromMs: number): FlowsRequest {
    const { filter, untilMs } = this.#options
    const request = { ...filter.request(), since: timestampOf(fromMs) }
    if (untilMs !== undefined) return { ...request, until: timestampOf(untilMs) }
    return { ...request, follow: true, number: 1 }
  }
}

const FINISHED = { kind: 'finished' } as const
const HUNG: CallEnd = { code: DEADLINE_EXCEEDED, details: '' }

/** `grpc.status` with which an agent, asked directly, refuses: INVALID_ARGUMENT, and UNKNOWN. */
const REFUSALS: readonly number[] = [2, 3]

type StreamOutcome =
  | { readonly kind: 'reopen'; readonly reason: string }
  | { readonly kind: 'finished' }
  | {
      readonly kind: 'failed'
      readonly end: CallEnd
      readonly isHealthy: boolean
      readonly refusal: string | undefined
    }

/** Texts that agents send for a request that they will never take; any other error is the network's. */
function isRefusal(message: string): boolean {
  return /fieldmask|field mask|invalid|filter|regular expression|regexp/i.test(message)
}

function refusalOf(message: string): string {
  const what = /mask/i.test(message) ? "the source's filter.fields" : "the source's filter"
  return `Cannot read with ${what}: the nodes refuse it: ${message}`
}
