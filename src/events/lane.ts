import type { Encoded } from '../pipeline/contract.ts'
import type { RefusalReason } from './publisher.ts'

/** An event that waits. `topic` is the one it was offered for, also when it waits as a dead letter. */
export interface Waiting {
  readonly record: Encoded
  readonly topic: string
  readonly bytes: number
  /** Set on a dead letter: why it is one. */
  readonly deadReason: RefusalReason | undefined
}

/** Below so many free slots at the front the queue is not compacted. */
const COMPACT_MIN = 1_024

/**
 * The events of one topic, in order: first `batch`, which was taken out to be sent and may have to
 * be sent again, then the queue. A lane knows its own retries, so that a topic that is refused does
 * not hold up the others.
 */
export class Lane {
  readonly topic: string
  /** The lingering time of the oldest event is over. */
  due = false
  /** Waits for its next attempt. */
  blocked = false
  /** Failed attempts in a row. */
  attempts = 0
  /** Why the last attempt failed; undefined once one succeeded. */
  problem: string | undefined
  /** Ends the timer that runs for this lane (lingering, or the wait for the next attempt). */
  cancelTimer: (() => void) | undefined
  /** Halved while the publisher refuses a batch, to find the event that is to blame. */
  batchLimit: number
  queuedBytes = 0
  readonly #batchMax: number
  readonly #batchBytesMax: number
  #batch: Waiting[] = []
  #queue: Waiting[] = []
  #head = 0

  constructor(topic: string, batchMax: number, batchBytesMax: number) {
    this.topic = topic
    this.#batchMax = batchMax
    this.#batchBytesMax = batchBytesMax
    this.batchLimit = batchMax
  }

  get size(): number {
    return this.#batch.length + this.queued
  }

  get queued(): number {
    return this.#queue.length - this.#head
  }

  /** A whole batch waits, or a part of one that was taken out before. */
  get full(): boolean {
    return (
      this.#batch.length > 0 ||
      this.queued >= this.#batchMax ||
      this.queuedBytes >= this.#batchBytesMax
    )
  }

  push(waiting: Waiting): void {
    this.#queue.push(waiting)
    this.queuedBytes += waiting.bytes
  }

  /** Takes the oldest out of the queue; what was taken out to be sent stays. */
  shift(): Waiting | undefined {
    const oldest = this.#queue[this.#head]
    if (oldest === undefined) return undefined
    this.#head++
    this.queuedBytes -= oldest.bytes
    if (this.#head >= COMPACT_MIN && this.#head * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
    return oldest
  }

  /** The events to send next: the same again, until `settle` lets them go. */
  take(): readonly Waiting[] {
    if (this.#batch.length === 0) this.#fill()
    return this.#batch.length <= this.batchLimit
      ? this.#batch
      : this.#batch.slice(0, this.batchLimit)
  }

  /** Lets go of the first `count` of what `take` gave. */
  settle(count: number): void {
    this.#batch = this.#batch.slice(count)
    this.attempts = 0
    this.problem = undefined
    this.batchLimit = Math.min(this.#batchMax, this.batchLimit * 2)
  }

  stopTimer(): void {
    this.cancelTimer?.()
    this.cancelTimer = undefined
  }

  unblock(): void {
    this.stopTimer()
    this.blocked = false
  }

  /** Everything that waits, oldest first; the lane is empty afterwards. */
  drain(): Waiting[] {
    const all = [...this.#batch, ...this.#queue.slice(this.#head)]
    this.#batch = []
    this.#queue = []
    this.#head = 0
    this.queuedBytes = 0
    this.settle(0)
    this.unblock()
    this.due = false
    this.batchLimit = this.#batchMax
    return all
  }

  #fill(): void {
    let bytes = 0
    while (this.#batch.length < this.#batchMax) {
      const next = this.#queue[this.#head]
      if (next === undefined) return
      bytes += next.bytes
      if (this.#batch.length > 0 && bytes > this.#batchBytesMax) return
      this.#batch.push(next)
      this.shift()
    }
  }
}
