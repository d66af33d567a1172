import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { encodeCall } from '../../../src/events/encode-call.ts'
import { createKafkaPublisher } from '../../../src/events/kafka-publisher.ts'
import { type Kafka, startKafka } from '../../services/kafka.ts'
import { need } from '../../services/need.ts'
import { callOf } from '../../unit/events/samples.ts'

const ROOT = join(import.meta.dirname, '../../..')
const LINES_MAX = 10

let broker: Kafka

function documentedConsumer(): string {
  const page = readFileSync(join(ROOT, 'docs/events.md'), 'utf8')
  return /```js\n([^]*?)```/.exec(page)?.[1] ?? ''
}

describe.skipIf(need('kafka').skip)('the consumer of docs/events.md', () => {
  beforeAll(async () => {
    broker = await startKafka()
  })
  afterAll(() => broker?.stop())

  it('is ten lines long, and reads calls without doubles', async () => {
    const source = documentedConsumer()
    expect(source.trim().split('\n')).toHaveLength(LINES_MAX)
    expect(source).toContain('localhost:9092')

    const target = { topic: 'weir.calls', cluster: 'test' }
    const publisher = createKafkaPublisher({
      brokers: [broker.brokers],
      clientId: 'test',
      topics: [target.topic],
    })
    onTestFinished(() => publisher.close())
    await publisher.open()
    const first = encodeCall(
      target,
      callOf({ exchange: { path: '/first' }, report: { status: 0 } }),
    )
    const second = encodeCall(target, callOf({ exchange: { path: '/first', revises: true } }))
    const last = encodeCall(target, callOf({ exchange: { path: '/last' }, report: { uuid: 'b' } }))
    await publisher.publish([first, first, second, last])

    const script = source.replace('localhost:9092', broker.brokers)
    const args = ['--input-type=module', '-e', script]
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'ignore'] })
    onTestFinished(() => void child.kill('SIGKILL'))
    const lines: string[] = []
    for await (const line of createInterface({ input: child.stdout })) {
      if (line.startsWith('Orders')) lines.push(line)
      if (line.includes('/last')) break
    }
    expect(lines).toEqual([
      'Orders GET /first undefined',
      'Orders GET /first 200',
      'Orders GET /last 200',
    ])
  })
})
