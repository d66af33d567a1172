import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs, { type Kafka, type Producer } from 'kafkajs'
import { SinkError } from '../errors.ts'
import type { Encoded } from '../pipeline/contract.ts'
import { createKafkaClient, createKafkaProducer, type KafkaClientOptions } from './kafka-client.ts'
import { refusalOf, unwrapped } from './kafka-errors.ts'
import { type Publisher, RefusedError } from './publisher.ts'

export interface KafkaPublisherOptions extends KafkaClientOptions {
  /** Every topic that events go to, the dead-letter topic among them. */
  readonly topics: readonly string[]
  /** Whether topics that are missing are made, with the broker's defaults. Default true. */
  readonly createTopics?: boolean
}

const NAME = 'kafka'
const ACK_TIMEOUT_MS = 10_000
/** A publish that takes longer has failed, whatever kafkajs still waits for. */
const PUBLISH_TIMEOUT_MS = 60_000
const BROKER_DEFAULTS = { numPartitions: -1, replicationFactor: -1 }

/**
 * Publishes to Kafka: keyed, compressed, acknowledged by all replicas in sync.
 *
 * After each failure the producer is thrown away. A batch of which nobody knows whether it arrived
 * has used up its sequence numbers: sent under them again in any other shape it would be taken for a
 * double, acknowledged and lost. A new producer may write a double instead, under the same event id.
 */
export function createKafkaPublisher(options: KafkaPublisherOptions): Publisher {
  return new KafkaPublisher(options)
}

class KafkaPublisher implements Publisher {
  readonly name = NAME
  readonly #kafka: Kafka
  readonly #options: KafkaPublisherOptions
  /** Topics that are known to be there. */
  readonly #found = new Set<string>()
  #producer: Producer | undefined
  #closed = false

  constructor(options: KafkaPublisherOptions) {
    this.#options = options
    this.#kafka = createKafkaClient(options)
  }

  /** A topic that can neither be found nor made holds up nobody but its own events. */
  async open(): Promise<void> {
    await this.#makeTopics(this.#options.topics)
    await this.#connected()
  }

  async publish(batch: readonly Encoded[]): Promise<void> {
    const topic = batch[0]?.topic ?? ''
    const messages = batch.map(({ key, value, headers }) => ({
      key,
      value,
      headers: { ...headers },
    }))
    if (!this.#found.has(topic)) {
      const problem = await this.#makeTopics([topic])
      if (problem !== undefined) throw problem
    }
    const producer = await this.#connected()
    try {
      const compression = kafkajs.CompressionTypes.GZIP
      const request = { topic, messages, acks: -1, timeout: ACK_TIMEOUT_MS, compression }
      await within(PUBLISH_TIMEOUT_MS, producer.send(request))
    } catch (error) {
      this.#discard()
      this.#found.clear()
      const message = `Cannot publish ${batch.length} events to "${topic}"`
      const reason = refusalOf(error)
      const cause = unwrapped(error)
      if (reason !== undefined) throw new RefusedError(message, { sink: NAME, reason, cause })
      throw new SinkError(message, { sink: NAME, retryable: true, cause })
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    const producer = this.#producer
    this.#producer = undefined
    await producer?.disconnect()
  }

  async #connected(): Promise<Producer> {
    if (this.#producer !== undefined) return this.#producer
    const producer = createKafkaProducer(this.#kafka)
    try {
      await producer.connect()
    } catch (cause) {
      disconnectLater(producer)
      throw this.#unreachable(cause)
    }
    if (this.#closed) {
      disconnectLater(producer)
      throw this.#unreachable(new Error('It was closed meanwhile'))
    }
    this.#producer = producer
    return producer
  }

  #discard(): void {
    if (this.#producer !== undefined) disconnectLater(this.#producer)
    this.#producer = undefined
  }

  /** Makes the topics that are missing, where that is allowed; returns what an operator has to mend. */
  async #makeTopics(wanted: readonly string[]): Promise<SinkError | undefined> {
    const admin = this.#kafka.admin()
    try {
      await admin.connect()
      for (const topic of await admin.listTopics()) this.#found.add(topic)
      const missing = wanted.filter((topic) => !this.#found.has(topic))
      if (missing.length === 0) return undefined
      if (this.#options.createTopics === false) return missingTopics(missing, undefined)
      try {
        const topics = missing.map((topic) => ({ topic, ...BROKER_DEFAULTS }))
        await admin.createTopics({ topics, timeout: ACK_TIMEOUT_MS })
      } catch (cause) {
        return missingTopics(missing, cause)
      }
      for (const topic of missing) this.#found.add(topic)
      return undefined
    } catch (cause) {
      throw this.#unreachable(cause)
    } finally {
      disconnectLater(admin)
    }
  }

  #unreachable(cause: unknown): SinkError {
    const brokers = this.#options.brokers.join(', ')
    return new SinkError(`Cannot reach Kafka at ${brokers}`, {
      sink: NAME,
      retryable: true,
      cause: unwrapped(cause),
    })
  }
}

function missingTopics(topics: readonly string[], cause: unknown): SinkError {
  const message = `Cannot find or make ${topics.map((topic) => `topic "${topic}"`).join(', ')}`
  // kafkajs tells what the broker said about each topic beside the error's own message.
  const said = cause instanceof Error && 'errors' in cause ? cause.errors : undefined
  const [first] = Array.isArray(said) ? said : []
  return new SinkError(message, { sink: NAME, retryable: true, cause: first ?? cause })
}

/** Waits for nobody: kafkajs lets pending requests time out first. */
function disconnectLater(client: { disconnect(): Promise<void> }): void {
  client.disconnect().catch(() => {})
}

async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  const timer = new AbortController()
  const expired = sleep(limitMs, undefined, { signal: timer.signal, ref: false }).then(() => {
    throw new Error(`No answer within ${limitMs} ms`)
  })
  expired.catch(() => {}) // An abort rejects it, after the race is over.
  try {
    return await Promise.race([work, expired])
  } finally {
    timer.abort()
  }
}
