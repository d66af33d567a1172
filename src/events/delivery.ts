import { AppError, describeError } from '../errors.ts'
import type { Delivery, Encoded, Outcome } from '../pipeline/contract.ts'
import { backoffMs } from '../runtime/backoff.ts'
import { deadLetterOf } from './dead-letter.ts'
import { EventQueue } from './event-queue.ts'
import type { Lane, Waiting } from './lane.ts'
import { type Publisher, type RefusalReason, RefusedError } from './publisher.ts'

/** Closed: index 0 waits, the others are ends, as `onOutcome` tells them (`OUTCOME:REASON`). */
export const DELIVERY_OUTCOMES = [
  'kept',
  'delivered',
  'dead:too_large',
  'dead:invalid',
  'dead:unknown',
  'dead:lost',
  'shed:queue_full',
  'shed:unavailable',
  'shed:deadline',
  'shed:stopped',
] as const

export type DeliveryState =
  | { readonly kind: 'healthy' }
  | { readonly kind: 'degraded'; readonly reason: string }

/** Runs `run` once after `delayMs`; the returned function ends the wait. */
type After = (delayMs: number, run: () => void) => () => void

export interface DeliveryOptions {
  readonly publisher: Publisher
  /** From the least to the most important: events of the first are shed first, those of the last are sent first. */
  readonly topics: readonly string[]
  readonly deadTopic: string
  /** Events that may wait or be on their way. */
  readonly queueMax: number
  readonly queueBytesMax: number
  /** Events of one publish. */
  readonly batchMax: number
  /** Bytes of one publish before compression, 512 KiB by default; a single event may be larger. */
  readonly batchBytesMax?: number
  /** How long an event waits for others to share its batch. */
  readonly lingerMs: number
  /** The sources wait for `ready()`, so nothing is shed for want of room: what one read brings may exceed the bounds. */
  readonly paced?: boolean
  /**
   * Every event offered ends once: `delivered`, `dead` (its letter is in the dead-letter topic;
   * with the reason `lost` not even that) or `shed`. `retried` is no end.
   */
  readonly onOutcome: (
    topic: string,
    outcome: 'delivered' | 'retried' | 'dead' | 'shed',
    count: number,
    reason?: string,
  ) => void
  /** Called when the state, or the reason of a degraded one, becomes another. */
  readonly onState?: (state: DeliveryState) => void
  /** Delay before retry number `attempt` (1 is the first), in ms. */
  readonly backoffMs?: (attempt: number) => number
  readonly after?: After
}

export interface EventDelivery extends Delivery {
  /** Events that wait or are on their way. */
  readonly held: number
  readonly state: DeliveryState
}

const BATCH_BYTES_MAX = 512 * 1024
/** Attempts come quickly while the process waits to end. */
const STOPPING_RETRY_MS = 250
/** A publisher that cannot be used is looked at again from time to time. */
const UNAVAILABLE_RETRY_MS = 30_000
const HEALTHY: DeliveryState = { kind: 'healthy' }
const NOT_OPEN = 'not open yet'

/**
 * Carries events to a publisher: at least once, in batches, in order within a topic. While the
 * publisher is away they wait, within `queueMax` and `queueBytesMax`; beyond these the oldest of the
 * least important topic is shed. `start` never waits for the publisher.
 */
export function createDelivery(options: DeliveryOptions): EventDelivery {
  return new QueuedDelivery(options)
}

class QueuedDelivery implements EventDelivery {
  readonly name: string
  state: DeliveryState = { kind: 'degraded', reason: NOT_OPEN }
  readonly #options: DeliveryOptions
  readonly #after: After
  readonly #queue: EventQueue
  #open = false
  #openAttempts = 0
  #openProblem: string | undefined = NOT_OPEN
  #unavailable = false
  #stopping = false
  #ended = false
  #running: Promise<void> | undefined
  #stopped: Promise<void> | undefined
  #wakePump: (() => void) | undefined
  #endPause: (() => void) | undefined

  constructor(options: DeliveryOptions) {
    this.#options = options
    this.#after = options.after ?? afterTimeout
    this.name = `events-${options.publisher.name}`
    this.#queue = new EventQueue({ batchBytesMax: BATCH_BYTES_MAX, ...options })
  }

  get held(): number {
    return this.#queue.held
  }

  start(): Promise<void> {
    this.#running ??= this.#pump()
    return Promise.resolve()
  }

  stop(deadline: AbortSignal): Promise<void> {
    this.#stopped ??= this.#shutDown(deadline)
    return this.#stopped
  }

  /** Always `kept`: what became of an event is told by `onOutcome`. */
  offer(record: Encoded): Outcome {
    const { onOutcome } = this.#options
    const lane = this.#queue.laneOf(record.topic)
    if (lane === undefined) onOutcome(record.topic, 'dead', 1, 'lost')
    else if (this.#stopping) onOutcome(record.topic, 'shed', 1, 'stopped')
    else if (this.#unavailable) onOutcome(record.topic, 'shed', 1, 'unavailable')
    else this.#enqueue(lane, record, record.topic)
    return 0
  }

  ready(): Promise<void> | undefined {
    return this.#stopping ? undefined : this.#queue.ready()
  }

  #enqueue(lane: Lane, record: Encoded, topic: string, deadReason?: RefusalReason): void {
    this.#queue.add(lane, record, topic, deadReason)
    if (lane.full) this.#wake()
    this.#linger(lane)
    if (this.#options.paced === true) return
    for (let shed = this.#queue.overflow(); shed !== undefined; shed = this.#queue.overflow()) {
      this.#end(shed, 'shed', 'queue_full')
    }
  }

  #linger(lane: Lane): void {
    if (lane.due) this.#wake()
    if (lane.due || lane.cancelTimer !== undefined) return
    lane.cancelTimer = this.#after(this.#options.lingerMs, () => {
      lane.cancelTimer = undefined
      lane.due = true
      this.#wake()
    })
  }

  /** Never rejects: what fails becomes the state. */
  async #pump(): Promise<void> {
    while (!this.#ended && !(this.#stopping && this.held === 0)) {
      const lane = this.#open ? this.#nextLane() : undefined
      if (!this.#open) await this.#tryOpen()
      else if (lane === undefined) await this.#sleep()
      else await this.#send(lane)
    }
  }

  #nextLane(): Lane | undefined {
    return this.#queue.lanes.findLast(
      (lane) => lane.size > 0 && !lane.blocked && (lane.due || lane.full || this.#stopping),
    )
  }

  async #sleep(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wakePump = resolve
    await promise
    this.#wakePump = undefined
  }

  #wake(): void {
    this.#wakePump?.()
  }

  /** Ends early only when the delivery stops: new events are no reason to try again. */
  async #pause(delayMs: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const cancel = this.#after(delayMs, resolve)
    this.#endPause = resolve
    await promise
    cancel()
    this.#endPause = undefined
  }

  async #tryOpen(): Promise<void> {
    try {
      await this.#options.publisher.open()
      this.#open = true
      this.#unavailable = false
      this.#openAttempts = 0
      this.#openProblem = undefined
      this.#tellState()
    } catch (error) {
      if (this.#ended) return
      this.#cannotOpen(error)
      await this.#pause(this.#retryDelayMs(++this.#openAttempts))
    }
  }

  /** Where the publisher cannot be used at all nothing waits for it, and a paced source goes on. */
  #cannotOpen(error: unknown): void {
    this.#open = false
    this.#openProblem = describeError(error)
    this.#unavailable = !isRetryable(error)
    if (this.#unavailable) this.#shedAll('unavailable')
    this.#tellState()
  }

  async #send(lane: Lane): Promise<void> {
    lane.stopTimer()
    lane.due = false
    const batch = lane.take()
    try {
      await this.#options.publisher.publish(batch.map(({ record }) => record))
      if (!this.#ended) this.#delivered(lane, batch)
    } catch (error) {
      if (!this.#ended) this.#failed(lane, batch, error)
    }
    if (this.#ended) return
    if (lane.queued > 0) this.#linger(lane)
    this.#tellState()
  }

  #failed(lane: Lane, batch: readonly Waiting[], error: unknown): void {
    if (error instanceof RefusedError) this.#refused(lane, batch, error.reason)
    else if (!(error instanceof AppError)) this.#refused(lane, batch, 'unknown')
    else if (error.retryable) this.#retryLater(lane, batch, error)
    else this.#cannotOpen(error)
  }

  #retryLater(lane: Lane, batch: readonly Waiting[], error: AppError): void {
    lane.problem = describeError(error)
    lane.blocked = true
    lane.stopTimer()
    lane.cancelTimer = this.#after(this.#retryDelayMs(++lane.attempts), () => {
      lane.unblock()
      this.#wake()
    })
    this.#options.onOutcome(lane.topic, 'retried', batch.length)
  }

  /** Halves the batch until the event that is to blame stands alone; that becomes a dead letter. */
  #refused(lane: Lane, batch: readonly Waiting[], reason: RefusalReason): void {
    const [culprit, ...others] = batch
    if (culprit === undefined || others.length > 0) {
      lane.batchLimit = Math.ceil(batch.length / 2)
      return
    }
    lane.settle(1)
    const { deadLane } = this.#queue
    if (lane === deadLane) {
      this.#end(culprit, 'dead', 'lost')
      return
    }
    this.#queue.release(culprit)
    const letter = deadLetterOf(culprit.record, deadLane.topic, reason)
    this.#enqueue(deadLane, letter, culprit.topic, reason)
  }

  #retryDelayMs(attempt: number): number {
    const patientMs = this.#options.backoffMs?.(attempt) ?? backoffMs(attempt)
    const delayMs = this.#unavailable ? UNAVAILABLE_RETRY_MS : patientMs
    return this.#stopping ? Math.min(delayMs, STOPPING_RETRY_MS) : delayMs
  }

  async #shutDown(deadline: AbortSignal): Promise<void> {
    this.#stopping = true
    this.#queue.giveRoom()
    for (const lane of this.#queue.lanes) lane.unblock()
    this.#endPause?.()
    this.#wake()
    const expired = expiryOf(deadline)
    const started = this.#running !== undefined
    const idle = !this.#open && this.held === 0 // An attempt to open has nothing to wait for.
    if (!idle) await Promise.race([this.#running, expired])
    this.#ended = true
    this.#shedAll(started ? 'deadline' : 'stopped')
    for (const lane of this.#queue.lanes) lane.stopTimer()
    this.#endPause?.()
    this.#wake()
    await Promise.race([this.#options.publisher.close(), expired])
  }

  #shedAll(reason: 'unavailable' | 'deadline' | 'stopped'): void {
    for (const lane of this.#queue.lanes) {
      for (const waiting of lane.drain()) this.#end(waiting, 'shed', reason)
    }
  }

  #delivered(lane: Lane, batch: readonly Waiting[]): void {
    lane.settle(batch.length)
    let delivered = 0
    let topic = ''
    for (const waiting of batch) {
      if (waiting.deadReason !== undefined) {
        this.#end(waiting, 'dead', waiting.deadReason)
        continue
      }
      this.#queue.release(waiting)
      delivered++
      topic = waiting.topic
    }
    if (delivered > 0) this.#options.onOutcome(topic, 'delivered', delivered)
  }

  #end(waiting: Waiting, outcome: 'dead' | 'shed', reason: string): void {
    this.#queue.release(waiting)
    this.#options.onOutcome(waiting.topic, outcome, 1, reason)
  }

  #tellState(): void {
    const reason =
      this.#openProblem ?? this.#queue.lanes.find(({ problem }) => problem !== undefined)?.problem
    const before = this.state.kind === 'healthy' ? undefined : this.state.reason
    if (reason === before) return
    this.state = reason === undefined ? HEALTHY : { kind: 'degraded', reason }
    this.#options.onState?.(this.state)
  }
}

/** Holds the process until it runs or is ended: a flush must not be cut short for want of other work. */
const afterTimeout: After = (delayMs, run) => {
  const timer = setTimeout(run, delayMs)
  return () => clearTimeout(timer)
}

function isRetryable(error: unknown): boolean {
  return !(error instanceof AppError) || error.retryable
}

function expiryOf(deadline: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (deadline.aborted) resolve()
    deadline.addEventListener('abort', () => resolve(), { once: true })
  })
}
