import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs, { type KafkaMessage } from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import {
  createDelivery,
  type DeliveryOptions,
  type EventDelivery,
} from '../../../src/events/delivery.ts'
import { encodeCall } from '../../../src/events/encode-call.ts'
import { createKafkaPublisher } from '../../../src/events/kafka-publisher.ts'
import type { Encoded } from '../../../src/pipeline/contract.ts'
import { type Kafka, startKafka } from '../../services/kafka.ts'
import { need } from '../../services/need.ts'
import { callOf } from '../../unit/events/samples.ts'

const WAIT_MS = 40_000

let broker: Kafka
let topicsMade = 0

/** Fresh topics, so that no test sees another's events. */
function topicsOf(): { readonly calls: string; readonly dead: string } {
  topicsMade++
  return { calls: `test${topicsMade}.calls`, dead: `test${topicsMade}.dead` }
}

/** The `n`-th call of one of five clients, each with a path of its own. */
function eventOf(topic: string, n: number, path = `/orders/v1/${n}`): Encoded {
  const value = `10.0.0.${n % 5}`
  return encodeCall(
    { topic, cluster: 'test' },
    callOf({
      call: { client: { kind: 'ip', value, addresses: [value] } },
      exchange: { path },
      report: { uuid: `uuid-${n}` },
    }),
  )
}

interface Started {
  readonly delivery: EventDelivery
  readonly outcomes: Record<string, number>
}

async function deliver(
  topics: { calls: string; dead: string },
  options: { createTopics?: boolean; brokers?: string } & Partial<DeliveryOptions> = {},
): Promise<Started> {
  const outcomes: Record<string, number> = {}
  const { createTopics = true, brokers = broker.brokers, ...rest } = options
  const publisher = createKafkaPublisher({
    brokers: [brokers],
    clientId: 'weir-test',
    topics: [topics.calls, topics.dead],
    createTopics,
  })
  const delivery = createDelivery({
    publisher,
    topics: [topics.calls],
    deadTopic: topics.dead,
    queueMax: 100_000,
    queueBytesMax: 256 * 1024 * 1024,
    batchMax: 200,
    lingerMs: 20,
    backoffMs: () => 300,
    onOutcome: (_topic, outcome, count, reason) => {
      const name = reason === undefined ? outcome : `${outcome}:${reason}`
      outcomes[name] = (outcomes[name] ?? 0) + count
    },
    ...rest,
  })
  onTestFinished(() => delivery.stop(AbortSignal.timeout(5_000)))
  await delivery.start(AbortSignal.timeout(5_000))
  return { delivery, outcomes }
}

async function until(what: string, done: () => boolean): Promise<void> {
  const giveUpMs = Date.now() + WAIT_MS
  while (!done()) {
    if (Date.now() > giveUpMs) throw new Error(`Still not: ${what}`)
    await sleep(50)
  }
}

/** A client of the test's own, silent. */
function client(): kafkajs.Kafka {
  const { NOTHING } = kafkajs.logLevel
  return new kafkajs.Kafka({ clientId: 'test', brokers: [broker.brokers], logLevel: NOTHING })
}

async function makeTopic(topic: string, partitions: number): Promise<void> {
  const admin = client().admin()
  await admin.connect()
  await admin.createTopics({ topics: [{ topic, numPartitions: partitions }] })
  await admin.disconnect()
}

type Consumed = KafkaMessage & { readonly partition: number }

/** Reads a topic from its start until `enough` says so. */
async function consume(
  topic: string,
  enough: (messages: readonly Consumed[]) => boolean,
): Promise<readonly Consumed[]> {
  const consumer = client().consumer({ groupId: `test-${randomBytes(4).toString('hex')}` })
  const messages: Consumed[] = []
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ message, partition }) => {
      messages.push({ ...message, partition })
    },
  })
  await until(`enough of ${topic}, ${messages.length} so far`, () => enough(messages))
  await consumer.disconnect()
  return messages
}

function idsOf(messages: readonly KafkaMessage[]): Set<string> {
  return new Set(messages.map(({ headers }) => String(headers?.['ce_id'])))
}

describe.skipIf(need('kafka').skip)('createKafkaPublisher() and a real broker', () => {
  beforeAll(async () => {
    broker = await startKafka()
  })
  afterAll(() => broker?.stop())

  it('makes its topics, and publishes events that can be read back, each client in order', async () => {
    const topics = topicsOf()
    await makeTopic(topics.calls, 3)
    const { delivery, outcomes } = await deliver(topics)
    const events = Array.from({ length: 1_000 }, (_, n) => eventOf(topics.calls, n))
    for (const event of events) delivery.offer(event)
    const messages = await consume(topics.calls, (m) => m.length >= events.length)
    expect(messages).toHaveLength(events.length)
    expect(outcomes).toEqual({ delivered: 1_000 })
    expect(new Set(messages.map(({ partition }) => partition)).size).toBeGreaterThan(1)
    for (const key of ['ip:10.0.0.0', 'ip:10.0.0.3']) {
      const read = messages.filter((m) => m.key?.toString() === key)
      const sent = events.filter((event) => event.key === key)
      expect(new Set(read.map(({ partition }) => partition)).size).toBe(1)
      expect(read.map(({ value }) => value?.toString())).toEqual(
        sent.map(({ value }) => value.toString()),
      )
      expect(Object.entries(read[0]?.headers ?? {}).map(([n, v]) => [n, String(v)])).toEqual(
        Object.entries(sent[0]?.headers ?? {}),
      )
    }
    const admin = client().admin()
    await admin.connect()
    expect(await admin.listTopics()).toContain(topics.dead)
    await admin.disconnect()
  })

  it('loses no event when the broker is killed mid-stream and comes back', async () => {
    const topics = topicsOf()
    const { delivery, outcomes } = await deliver(topics, { batchMax: 20 })
    const sent = new Set<string>()
    let n = 0
    const offerMany = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++, n++) {
        const event = eventOf(topics.calls, n)
        sent.add(event.headers['ce_id'] ?? '')
        delivery.offer(event)
        if (n % 20 === 0) await sleep(1)
      }
    }
    await offerMany(1_000)
    await until('something delivered', () => (outcomes['delivered'] ?? 0) > 0)
    const streaming = offerMany(4_000)
    await broker.kill()
    await streaming
    await until('degraded', () => delivery.state.kind === 'degraded')
    expect(delivery.held).toBeGreaterThan(0)
    await broker.start()
    await until('all delivered', () => outcomes['delivered'] === sent.size)
    expect(delivery.state).toEqual({ kind: 'healthy' })
    expect(delivery.held).toBe(0)
    const messages = await consume(topics.calls, (m) => idsOf(m).size >= sent.size)
    expect(idsOf(messages)).toEqual(sent) // Doubles, if any, have the same id.
    expect(Object.keys(outcomes).toSorted()).toEqual(['delivered', 'retried'])
  })

  it('starts while the broker is away, holds what comes, and delivers without a restart', async () => {
    const topics = topicsOf()
    await broker.kill()
    const { delivery, outcomes } = await deliver(topics)
    for (let n = 0; n < 50; n++) delivery.offer(eventOf(topics.calls, n))
    await until('degraded with a reason', () => {
      const { state } = delivery
      return state.kind === 'degraded' && state.reason.includes(broker.brokers)
    })
    expect(delivery.held).toBe(50)
    await broker.start()
    await until('all delivered', () => outcomes['delivered'] === 50)
    const messages = await consume(topics.calls, (m) => idsOf(m).size >= 50)
    expect(messages).toHaveLength(50)
  })

  it('tells an event that is too large as a dead letter, and delivers the others', async () => {
    const topics = topicsOf()
    const { delivery, outcomes } = await deliver(topics)
    const large = eventOf(topics.calls, 1, `/${randomBytes(2_000_000).toString('base64')}`)
    delivery.offer(eventOf(topics.calls, 0))
    delivery.offer(large)
    delivery.offer(eventOf(topics.calls, 2))
    await until('an end for each', () => delivery.held === 0)
    const [letter] = await consume(topics.dead, (m) => m.length > 0)
    expect(letter?.value).toHaveLength(0)
    expect(letter?.key?.toString()).toBe(large.key)
    const headers = Object.fromEntries(
      Object.entries(letter?.headers ?? {}).map(([name, value]) => [name, String(value)]),
    )
    expect(headers).toEqual({
      ...large.headers,
      weir_dead_reason: 'too_large',
      weir_dead_topic: topics.calls,
      weir_dead_bytes: String(large.value.length),
    })
    expect(outcomes).toEqual({ delivered: 2, 'dead:too_large': 1 })
    expect(delivery.state).toEqual({ kind: 'healthy' })
  })

  it('names the topic that is missing, and delivers once somebody made it', async () => {
    const topics = topicsOf()
    const { delivery, outcomes } = await deliver(topics, { createTopics: false })
    delivery.offer(eventOf(topics.calls, 1))
    await until('a named topic', () => {
      const { state } = delivery
      return state.kind === 'degraded' && state.reason.includes(`"${topics.calls}"`)
    })
    await makeTopic(topics.calls, 1)
    await until('delivered', () => outcomes['delivered'] === 1)
    expect(delivery.state).toEqual({ kind: 'healthy' })
  })

  it('gives up at the deadline while the broker is away', async () => {
    const { delivery, outcomes } = await deliver(topicsOf(), { brokers: '127.0.0.1:1' })
    delivery.offer(eventOf(`test${topicsMade}.calls`, 1))
    const startedMs = Date.now()
    await delivery.stop(AbortSignal.timeout(1_500))
    expect(Date.now() - startedMs).toBeLessThan(3_000)
    expect(outcomes).toEqual({ 'shed:deadline': 1 })
  })
})
