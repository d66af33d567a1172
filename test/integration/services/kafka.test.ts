import kafkajs from 'kafkajs'
import { describe, expect, it, onTestFinished } from 'vitest'
import { startKafka } from '../../services/kafka.ts'
import { need } from '../../services/need.ts'

const TOPIC = 'weir.test'

describe.skipIf(need('kafka').skip)('kafka', () => {
  it('keeps its address and its records over a restart and a crash', async () => {
    const kafka = await startKafka()
    onTestFinished(() => kafka.stop())
    const client = new kafkajs.Kafka({
      clientId: 'smoke',
      brokers: [kafka.brokers],
      logLevel: kafkajs.logLevel.NOTHING,
    })
    const producer = client.producer({ idempotent: true })
    const admin = client.admin()
    onTestFinished(async () => {
      await Promise.all([producer.disconnect(), admin.disconnect()])
    })
    await admin.connect()
    await admin.createTopics({ topics: [{ topic: TOPIC, numPartitions: 1 }] })
    await producer.connect()
    const send = async (value: string): Promise<void> => {
      await producer.send({ topic: TOPIC, acks: -1, messages: [{ value }] })
    }
    await send('before')
    await kafka.restart()
    await send('after a restart')
    await kafka.kill()
    await kafka.start()
    await send('after a crash')

    const [offsets] = await admin.fetchTopicOffsets(TOPIC)
    expect(offsets).toMatchObject({ low: '0', high: '3' })
  })
})
