import * as grpc from '@grpc/grpc-js'
import kafkajs from 'kafkajs'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { observerService } from '../../src/hubble/proto.ts'
import { directoryOf } from '../fixtures/directory.ts'
import { httpRequest, httpResponse } from '../fixtures/hubble-flows.ts'
import { type Kafka, startKafka } from '../services/kafka.ts'
import { need } from '../services/need.ts'
import { poll, startWeir } from './weir.ts'

const CALLS = 600
const EVERY_MS = 10

/** A Relay that tells one call each 10 ms, by twenty clients in turn. */
async function startTalkingRelay(): Promise<number> {
  const server = new grpc.Server()
  let timer: NodeJS.Timeout | undefined
  onTestFinished(() => {
    clearInterval(timer)
    server.forceShutdown()
  })
  server.addService(observerService(), {
    GetFlows: (call: grpc.ServerWritableStream<unknown, unknown>) => {
      let n = 0
      timer = setInterval(() => {
        if (n++ >= CALLS) return clearInterval(timer)
        const flow = { atMs: Date.now(), clientPort: 10_000 + n, client: `10.0.1.${n % 20}` }
        call.write(httpRequest({ ...flow, uuid: `request-${n}` }))
        call.write(httpResponse({ ...flow, uuid: `response-${n}`, code: 200, latencyMs: 1 }))
      }, EVERY_MS)
    },
    ServerStatus: (_: unknown, reply: grpc.sendUnaryData<unknown>) =>
      reply(null, { num_connected_nodes: { value: 1 } }),
  })
  return new Promise((resolve, reject) => {
    const plaintext = grpc.ServerCredentials.createInsecure()
    server.bindAsync('127.0.0.1:0', plaintext, (error, port) =>
      error ? reject(error) : resolve(port),
    )
  })
}

interface Consumed {
  readonly id: string
  readonly key: string
  readonly client: string
  readonly partition: number
}

async function consumeAll(brokers: string, enough: number): Promise<Consumed[]> {
  const kafka = new kafkajs.Kafka({ brokers: [brokers], logLevel: kafkajs.logLevel.NOTHING })
  const consumer = kafka.consumer({ groupId: `test-${Date.now()}` })
  onTestFinished(() => consumer.disconnect())
  const events: Consumed[] = []
  await consumer.connect()
  await consumer.subscribe({ topic: 'weir.calls', fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ message, partition }) => {
      const call = JSON.parse(String(message.value)) as { client: { kind: string; value: string } }
      events.push({
        id: String(message.headers?.['ce_id']),
        key: String(message.key),
        client: `${call.client.kind}:${call.client.value}`,
        partition,
      })
    },
  })
  const ids = async () => new Set(events.map(({ id }) => id)).size
  await poll(ids, (count) => count >= enough, 30_000)
  return events
}

describe.skipIf(need('kafka').skip)('weir run --kafka', () => {
  let broker: Kafka
  beforeAll(async () => {
    broker = await startKafka()
  })
  afterAll(() => broker?.stop())

  it('loses no call when the broker is killed and comes back, and keys each by its client', async () => {
    const relay = await startTalkingRelay()
    const weir = await startWeir(
      ['run', '--relay', `127.0.0.1:${relay}`, '--kafka', broker.brokers],
      directoryOf({}),
    )
    const told = async () => {
      const response = await fetch(`${weir.url}/api/v1/ledger`)
      const { items } = (await response.json()) as { items: { stage: string; in: number }[] }
      return items.find(({ stage }) => stage === 'events')?.in ?? 0
    }
    await poll(told, (count) => count > CALLS / 4)
    await broker.kill()
    await poll(told, (count) => count > CALLS / 2)
    const ready = (await (await fetch(`${weir.url}/readyz`)).json()) as { degraded: string[] }
    expect(ready).toMatchObject({ ready: true })
    await broker.start()
    await poll(told, (count) => count === CALLS)
    const { code } = await weir.stop()
    expect(code).toBe(0)

    const events = await consumeAll(broker.brokers, CALLS)
    expect(new Set(events.map(({ id }) => id)).size).toBe(CALLS)
    for (const { key, client } of events) expect(key).toBe(client)
    const partitions = new Map<string, Set<number>>()
    for (const { key, partition } of events) {
      partitions.set(key, (partitions.get(key) ?? new Set()).add(partition))
    }
    expect([...partitions.values()].every((set) => set.size === 1)).toBe(true)
  })
})
