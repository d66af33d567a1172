import type { Encoded } from '../pipeline/contract.ts'
import { Lane, type Waiting } from './lane.ts'
import type { RefusalReason } from './publisher.ts'

export interface EventQueueOptions {
  /** From the least to the most important. */
  readonly topics: readonly string[]
  readonly deadTopic: string
  readonly queueMax: number
  readonly queueBytesMax: number
  readonly batchMax: number
  readonly batchBytesMax: number
}

/** What an event costs in memory besides its data and key, roughly. */
const OVERHEAD_BYTES = 1_024
const HIGH_WATER = 0.5
const LOW_WATER = 0.25

/** The events that wait or are on their way: a lane a topic, and one count of them all. */
export class EventQueue {
  held = 0
  /** From the least to the most important; dead letters count least. */
  readonly lanes: readonly Lane[]
  readonly deadLane: Lane
  readonly #laneByTopic = new Map<string, Lane>()
  readonly #heldMax: number
  readonly #bytesMax: number
  #bytes = 0
  #room: PromiseWithResolvers<void> | undefined

  constructor(options: EventQueueOptions) {
    const { topics, deadTopic, batchMax, batchBytesMax } = options
    this.#heldMax = options.queueMax
    this.#bytesMax = options.queueBytesMax
    this.deadLane = new Lane(deadTopic, batchMax, batchBytesMax)
    this.lanes = [this.deadLane, ...topics.map((topic) => new Lane(topic, batchMax, batchBytesMax))]
    for (const lane of this.lanes) this.#laneByTopic.set(lane.topic, lane)
  }

  laneOf(topic: string): Lane | undefined {
    return this.#laneByTopic.get(topic)
  }

  /** `topic` is the one that the event was offered for; `deadReason` makes it a dead letter. */
  add(lane: Lane, record: Encoded, topic: string, deadReason?: RefusalReason): void {
    const bytes = record.value.length + record.key.length + OVERHEAD_BYTES
    lane.push({ record, topic, bytes, deadReason })
    this.held++
    this.#bytes += bytes
  }

  /** Beyond a bound: takes out the oldest event of the least important topic that is not on its way. */
  overflow(): Waiting | undefined {
    if (!this.#isAbove(1)) return undefined
    for (const lane of this.lanes) {
      const oldest = lane.shift()
      if (oldest !== undefined) return oldest
    }
    return undefined
  }

  /** Books an event out: it ended. */
  release(waiting: Waiting): void {
    this.held--
    this.#bytes -= waiting.bytes
    if (this.#room !== undefined && !this.#isAbove(LOW_WATER)) this.giveRoom()
  }

  /** Undefined: there is room. Else settles once there is. */
  ready(): Promise<void> | undefined {
    if (this.#room === undefined && !this.#isAbove(HIGH_WATER)) return undefined
    this.#room ??= Promise.withResolvers()
    return this.#room.promise
  }

  giveRoom(): void {
    this.#room?.resolve()
    this.#room = undefined
  }

  #isAbove(share: number): boolean {
    return this.held > this.#heldMax * share || this.#bytes > this.#bytesMax * share
  }
}
