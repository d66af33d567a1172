import { setTimeout as sleep } from 'node:timers/promises'
import type { EndpointTable } from '../model/endpoint.ts'
import type { FlowPort, Source } from '../pipeline/contract.ts'
import { type CallEnd, type FlowsRequest, type HubbleClient, reasonOf } from './channel.ts'
import type { FlowTime } from './positions.ts'
import { Receiver } from './receiver.ts'

export interface RelayOptions {
  readonly name: string
  readonly connect: () => Promise<HubbleClient>
  readonly endpoints: EndpointTable
  /** Where the first stream starts, Unix ms; now, where it is not set. */
  readonly sinceMs?: number | undefined
  /** Makes it a bounded read: paced, ends by itself. Unix ms. */
  readonly untilMs?: number | undefined
  /** Delay before attempt number `attempt` (1 is the first retry), in ms. */
  readonly backoffMs: (attempt: number) => number
  readonly now: () => number
  /** A stream is reopened after this long, in ms: a peer that was replaced is silent for old streams. */
  readonly reopenAfterMs?: number | undefined
  /** ServerStatus is asked this often, in ms. */
  readonly statusEveryMs?: number | undefined
  /** An answer of ServerStatus is waited for this long, in ms. */
  readonly statusDeadlineMs?: number | undefined
}

const REOPEN_AFTER_MS = 8 * 60_000
const STATUS_EVERY_MS = 5_000
const STATUS_DEADLINE_MS = 3_000
const STATUS_RETRY_MS = 1_000
/** ServerStatus timeouts in a row, with no flow meanwhile, after which the connection is given up. */
const HUNG_AFTER = 2
/** What was under way when the last stream ended comes again, and is dropped by uuid. */
const OVERLAP_SECONDS = 2
/** A stream that lived this long has worked, flows or not. */
const HEALTHY_AFTER_MS = 10_000

/**
 * Streams flows from one Hubble Relay (or agent) until `signal` aborts. Never throws, never pauses a
 * live stream: a reader that waits loses flows unseen, in the node's ring.
 *
 * Every stream carries `since` and `number=1`: the first says what a node that comes back replays,
 * the second keeps Relay's sort queue short. A follow stream that ends with OK has failed like any
 * other (Relay does that when its last node is gone, or when it refuses a request), so it backs off
 * too; the backoff starts anew once a flow came or the stream lived for ten seconds.
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
  readonly #receiver: Receiver
  #client: HubbleClient | undefined
  #sinceMs = 0
  /** Between a stream that failed and the next one: whatever ServerStatus says, nothing is read. */
  #isStreamDown = false
  #hung = new AbortController()

  constructor(options: RelayOptions) {
    this.name = options.name
    this.paced = options.untilMs !== undefined
    this.#options = options
    this.#receiver = new Receiver(options.endpoints, {
      untilMs: options.untilMs,
      now: options.now,
    })
  }

  /** A TLS file that cannot be read fails here, before anything runs. */
  async start(): Promise<void> {
    this.#client = await this.#options.connect()
    this.#sinceMs = this.#options.sinceMs ?? this.#options.now()
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    this.#client?.close()
    this.#client = undefined
  }

  async run(to: FlowPort, signal: AbortSignal): Promise<void> {
    if (this.#client === undefined) throw new Error(`Cannot run ${this.name}: not started`)
    const ended = AbortSignal.any([signal, this.#stopped.signal])
    const done = new AbortController()
    const watching = this.#watch(to, AbortSignal.any([ended, done.signal]))
    try {
      let attempt = 0
      while (!ended.aborted) {
        const outcome = await this.#stream(this.#client, to, ended)
        if (ended.aborted || outcome.kind === 'finished') break
        if (outcome.kind === 'scheduled') {
          to.notice({ kind: 'reopened', reason: 'schedule' })
          continue
        }
        attempt = outcome.healthy ? 1 : attempt + 1
        const retryInMs = this.#options.backoffMs(attempt)
        if (outcome.refusal !== undefined) to.notice({ kind: 'refused', reason: outcome.refusal })
        else to.notice({ kind: 'interrupted', reason: reasonOf(outcome.end), retryInMs })
        this.#isStreamDown = true
        await pause(retryInMs, ended)
        await this.#reconnect(ended)
        this.#isStreamDown = false
        to.notice({ kind: 'reopened', reason: 'interrupted' })
      }
    } finally {
      done.abort()
      await watching
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

  async #stream(client: HubbleClient, to: FlowPort, ended: AbortSignal): Promise<StreamOutcome> {
    const options = this.#options
    const startedMs = options.now()
    const reopen = this.paced
      ? undefined
      : AbortSignal.timeout(options.reopenAfterMs ?? REOPEN_AFTER_MS)
    this.#hung = new AbortController()
    const hung = this.#hung.signal
    const signal = AbortSignal.any([ended, hung, ...(reopen === undefined ? [] : [reopen])])
    const receiver = this.#receiver
    const handedBefore = receiver.handed
    let flows = 0
    let nodeError: string | undefined
    receiver.streamOpened()
    const ending = await client.openFlows(
      this.#request(),
      (message) => {
        if (receiver.receive(message, to, true)) flows++
        else if (message.node_status?.state_change === NODE_ERROR) {
          nodeError = message.node_status.message
        }
        return this.paced ? to.ready() : undefined
      },
      () => to.notice({ kind: 'rejected', reason: 'malformed', count: 1 }),
      signal,
    )
    const end = hung.aborted ? HUNG : ending
    if (reopen?.aborted === true && !ended.aborted) return { kind: 'scheduled' }
    if (this.paced && end.code === 0 && nodeError === undefined) return { kind: 'finished' }
    // What the overlap brings again is no progress.
    const isProgress = receiver.handed > handedBefore
    const healthy = isProgress || options.now() - startedMs >= HEALTHY_AFTER_MS
    // A request that the nodes refuse never comes back as an error of Relay's.
    const isRefused = end.code === 0 && flows === 0 && isRefusal(nodeError)
    return { kind: 'failed', end, healthy, refusal: isRefused ? nodeError : undefined }
  }

  #request(): FlowsRequest {
    const since = this.#receiver.positions.resumeFrom(OVERLAP_SECONDS) ?? timeOf(this.#sinceMs)
    const { untilMs } = this.#options
    if (untilMs !== undefined) return { follow: false, since, until: timeOf(untilMs) }
    return { follow: true, since, number: 1 }
  }

  /** Says when the server is there and when it is not: an open stream alone proves nothing. */
  async #watch(to: FlowPort, signal: AbortSignal): Promise<void> {
    const { statusEveryMs = STATUS_EVERY_MS, statusDeadlineMs = STATUS_DEADLINE_MS } = this.#options
    let known = { connected: 0, unavailable: 0 }
    let timeouts = 0
    while (!signal.aborted && this.#client !== undefined) {
      const handed = this.#receiver.handed
      const answer = await this.#client.serverStatus(statusDeadlineMs, signal)
      if (signal.aborted) return
      const isTimeout = 'code' in answer && answer.code === DEADLINE_EXCEEDED
      // One node that hangs keeps the answer back; the others are read all the same.
      const isReading = isTimeout && known.connected > 0 && this.#receiver.handed > handed
      timeouts = isTimeout && !isReading ? timeouts + 1 : 0
      if (timeouts >= HUNG_AFTER) {
        this.#hung.abort()
        timeouts = 0
      }
      if (!('code' in answer)) known = answer
      if ('code' in answer && !isReading) {
        to.notice({ kind: 'interrupted', reason: reasonOf(answer), retryInMs: STATUS_RETRY_MS })
        await pause(STATUS_RETRY_MS, signal)
        continue
      }
      const { connected: nodes, unavailable } = known
      if (!this.#isStreamDown) to.notice({ kind: 'connected', nodes, unavailable })
      await pause(nodes > 0 && !this.#isStreamDown ? statusEveryMs : STATUS_RETRY_MS, signal)
    }
  }
}

const NODE_ERROR = 4
/** `grpc.status`. */
const DEADLINE_EXCEEDED = 4
const HUNG: CallEnd = { code: DEADLINE_EXCEEDED, details: '' }

type StreamOutcome =
  | { readonly kind: 'scheduled' }
  | { readonly kind: 'finished' }
  | {
      readonly kind: 'failed'
      readonly end: CallEnd
      readonly healthy: boolean
      readonly refusal: string | undefined
    }

/** Texts that agents send for a request that they will never take; any other error is the network's. */
function isRefusal(message: string | undefined): boolean {
  return message !== undefined && /fieldmask|invalid|filter|regular expression/i.test(message)
}

function timeOf(ms: number): FlowTime {
  const seconds = Math.floor(ms / 1_000)
  return { seconds, nanos: Math.round((ms - seconds * 1_000) * 1e6) }
}

/** An abort cuts the wait short; the caller's loop then ends. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {})
}
