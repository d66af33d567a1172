import { setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SinkError } from '../../../src/errors.ts'
import {
  createDelivery,
  DELIVERY_OUTCOMES,
  type DeliveryOptions,
  type DeliveryState,
  type EventDelivery,
} from '../../../src/events/delivery.ts'
import { type Publisher, RefusedError } from '../../../src/events/publisher.ts'
import type { Encoded } from '../../../src/pipeline/contract.ts'

const TOPICS = ['calls', 'findings', 'limits']
const DEAD = 'dead'
const LINGER_MS = 50

const away = (): SinkError => new SinkError('Cannot reach it', { sink: 'fake', retryable: true })
const unusable = (): SinkError => new SinkError('Cannot use it', { sink: 'fake', retryable: false })
const refused = (): RefusedError =>
  new RefusedError('Too large', { sink: 'fake', reason: 'too_large' })

/** Time that stands still until it is told to go on. */
class ManualTimers {
  nowMs = 0
  readonly #waiting = new Set<{ readonly atMs: number; readonly run: () => void }>()

  readonly after = (delayMs: number, run: () => void): (() => void) => {
    const timer = { atMs: this.nowMs + delayMs, run }
    this.#waiting.add(timer)
    return () => void this.#waiting.delete(timer)
  }

  get count(): number {
    return this.#waiting.size
  }

  /** Runs what is due until then, in order, with what follows from it. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms
    await turn()
    for (;;) {
      const [next] = [...this.#waiting].toSorted((a, b) => a.atMs - b.atMs)
      if (next === undefined || next.atMs > untilMs) break
      this.#waiting.delete(next)
      this.nowMs = next.atMs
      next.run()
      await turn()
    }
    this.nowMs = untilMs
  }
}

/** Takes what it is given, unless `onPublish` throws or waits. */
class FakePublisher implements Publisher {
  readonly name = 'fake'
  readonly batches: string[][] = []
  readonly taken: Encoded[] = []
  attempts = 0
  closed = 0
  onOpen: () => void | Promise<void> = () => {}
  onPublish: (batch: readonly Encoded[]) => void | Promise<void> = () => {}

  async open(): Promise<void> {
    await this.onOpen()
  }
  async publish(batch: readonly Encoded[]): Promise<void> {
    this.attempts++
    await this.onPublish(batch)
    this.batches.push(batch.map((event) => event.key))
    this.taken.push(...batch)
  }
  async close(): Promise<void> {
    this.closed++
  }
}

function eventOf(topic: string, key: string, bytes = 10): Encoded {
  return { topic, key, headers: { ce_id: key }, value: Buffer.alloc(bytes) }
}

interface Fixture {
  readonly publisher: FakePublisher
  readonly timers: ManualTimers
  readonly delivery: EventDelivery
  /** Events by `TOPIC OUTCOME:REASON`. */
  readonly outcomes: Map<string, number>
  readonly states: DeliveryState[]
}

function deliver(options: Partial<DeliveryOptions> = {}): Fixture {
  const publisher = new FakePublisher()
  const timers = new ManualTimers()
  const outcomes = new Map<string, number>()
  const states: DeliveryState[] = []
  const delivery = createDelivery({
    publisher,
    topics: TOPICS,
    deadTopic: DEAD,
    queueMax: 100,
    queueBytesMax: 10_000_000,
    batchMax: 10,
    lingerMs: LINGER_MS,
    backoffMs: (attempt) => attempt * 100,
    after: timers.after,
    onOutcome: (topic, outcome, count, reason) => {
      const name = `${topic} ${reason === undefined ? outcome : `${outcome}:${reason}`}`
      outcomes.set(name, (outcomes.get(name) ?? 0) + count)
    },
    onState: (state) => states.push(state),
    ...options,
  })
  return { publisher, timers, delivery, outcomes, states }
}

const never = new AbortController().signal

async function started(options: Partial<DeliveryOptions> = {}): Promise<Fixture> {
  const fixture = deliver(options)
  await fixture.delivery.start(never)
  await fixture.timers.advance(0)
  return fixture
}

describe('createDelivery(): batches', () => {
  it('waits for others to share a batch, but not longer than it lingers', async () => {
    const { delivery, publisher, timers, outcomes } = await started()
    delivery.offer(eventOf('calls', 'a'))
    await timers.advance(LINGER_MS - 1)
    delivery.offer(eventOf('calls', 'b'))
    expect(publisher.batches).toEqual([])
    await timers.advance(1)
    expect(publisher.batches).toEqual([['a', 'b']])
    expect(Object.fromEntries(outcomes)).toEqual({ 'calls delivered': 2 })
    expect(delivery.held).toBe(0)
  })

  it('sends a full batch at once, what follows later, in order', async () => {
    const { delivery, publisher, timers } = await started({ batchMax: 2 })
    for (const key of ['a', 'b', 'c']) delivery.offer(eventOf('calls', key))
    await timers.advance(0)
    expect(publisher.batches).toEqual([['a', 'b']])
    await timers.advance(LINGER_MS)
    expect(publisher.batches).toEqual([['a', 'b'], ['c']])
  })

  it('keeps a batch within its bytes, but sends a larger event alone', async () => {
    const { delivery, publisher, timers } = await started({ batchBytesMax: 5_000 })
    for (const key of ['a', 'b']) delivery.offer(eventOf('calls', key, 1_000))
    delivery.offer(eventOf('calls', 'large', 9_000))
    await timers.advance(LINGER_MS)
    expect(publisher.batches).toEqual([['a', 'b'], ['large']])
  })

  it('sends what is more important first', async () => {
    const { delivery, publisher, timers } = await started()
    const gate = Promise.withResolvers<void>()
    publisher.onPublish = () => gate.promise
    delivery.offer(eventOf('calls', 'busy'))
    await timers.advance(LINGER_MS)
    for (const topic of ['calls', 'findings', 'limits']) delivery.offer(eventOf(topic, topic))
    await timers.advance(LINGER_MS)
    gate.resolve()
    await timers.advance(0)
    expect(publisher.batches).toEqual([['busy'], ['limits'], ['findings'], ['calls']])
  })
})

describe('createDelivery(): a publisher that is away', () => {
  it('starts without it, says so, and delivers everything once it is there', async () => {
    const { delivery, publisher, timers, outcomes, states } = deliver()
    publisher.onOpen = () => Promise.reject(away())
    await delivery.start(never)
    delivery.offer(eventOf('calls', 'a'))
    await timers.advance(300)
    expect(states).toEqual([{ kind: 'degraded', reason: 'Cannot reach it' }])
    publisher.onOpen = () => {}
    await timers.advance(1_000)
    expect(publisher.batches).toEqual([['a']])
    expect(delivery.state).toEqual({ kind: 'healthy' })
    expect(outcomes.get('calls delivered')).toBe(1)
  })

  it('sends the same batch again, ever more slowly, before what came later', async () => {
    const { delivery, publisher, timers, outcomes } = await started({ batchMax: 2 })
    const attemptsMs: number[] = []
    publisher.onPublish = () => {
      attemptsMs.push(timers.nowMs)
      throw away()
    }
    for (const key of ['a', 'b']) delivery.offer(eventOf('calls', key))
    await timers.advance(10)
    for (const key of ['c', 'd', 'e']) delivery.offer(eventOf('calls', key))
    await timers.advance(690)
    expect(attemptsMs).toEqual([0, 100, 300, 600])
    expect(delivery.state).toEqual({ kind: 'degraded', reason: 'Cannot reach it' })
    publisher.onPublish = () => {}
    await timers.advance(1_000)
    expect(publisher.batches).toEqual([['a', 'b'], ['c', 'd'], ['e']])
    expect(outcomes.get('calls retried')).toBe(8)
    expect(outcomes.get('calls delivered')).toBe(5)
    expect(delivery.state).toEqual({ kind: 'healthy' })
  })

  it('lets a topic that fails hold up no other, and names its problem', async () => {
    const { delivery, publisher, timers } = await started()
    publisher.onPublish = (batch) => {
      if (batch[0]?.topic === 'limits') throw away()
    }
    delivery.offer(eventOf('limits', 'l'))
    delivery.offer(eventOf('calls', 'c'))
    await timers.advance(LINGER_MS)
    expect(publisher.batches).toEqual([['c']])
    expect(delivery.state.kind).toBe('degraded')
  })

  it('tries no faster because more events come', async () => {
    const { delivery, publisher, timers } = deliver({ batchMax: 2 })
    let opens = 0
    publisher.onOpen = () => {
      opens++
      throw away()
    }
    await delivery.start(never)
    for (let i = 0; i < 20; i++) {
      delivery.offer(eventOf('calls', `${i}`))
      await timers.advance(1)
    }
    expect(opens).toBe(1)
  })
})

describe('createDelivery(): bounds', () => {
  it('sheds the oldest of the least important topic first', async () => {
    const { delivery, publisher, timers, outcomes } = deliver({ queueMax: 4 })
    for (const [topic, key] of [
      ['limits', 'l1'],
      ['calls', 'c1'],
      ['calls', 'c2'],
      ['findings', 'f1'],
      ['findings', 'f2'],
      ['limits', 'l2'],
      ['limits', 'l3'],
      ['calls', 'c3'],
    ] as const) {
      expect(delivery.offer(eventOf(topic, key))).toBe(0)
    }
    expect(delivery.held).toBe(4)
    await delivery.start(never)
    await timers.advance(LINGER_MS)
    expect(publisher.batches).toEqual([['l1', 'l2', 'l3'], ['f2']])
    expect(outcomes.get('calls shed:queue_full')).toBe(3)
    expect(outcomes.get('findings shed:queue_full')).toBe(1)
  })

  it('is bounded by bytes as well', () => {
    const { delivery, outcomes } = deliver({ queueBytesMax: 50_000 })
    for (let i = 0; i < 20; i++) delivery.offer(eventOf('calls', `${i}`, 10_000))
    expect(delivery.held).toBe(4)
    expect(outcomes.get('calls shed:queue_full')).toBe(16)
  })

  it('makes a paced source wait above the high water, until the low one, and sheds nothing', async () => {
    const { delivery, publisher, timers, outcomes } = await started({ queueMax: 20, paced: true })
    const gate = Promise.withResolvers<void>()
    publisher.onPublish = () => gate.promise
    for (let i = 0; i < 10; i++) delivery.offer(eventOf('calls', `${i}`))
    expect(delivery.ready()).toBeUndefined()
    for (let i = 10; i < 25; i++) delivery.offer(eventOf('calls', `${i}`))
    const ready = delivery.ready()
    expect(ready).toBeInstanceOf(Promise)
    expect(delivery.ready()).toBe(ready)
    let resumedAt = -1
    void ready?.then(() => {
      resumedAt = delivery.held
    })
    gate.resolve()
    await timers.advance(LINGER_MS)
    expect(resumedAt).toBe(5)
    expect(delivery.ready()).toBeUndefined()
    expect(Object.fromEntries(outcomes)).toEqual({ 'calls delivered': 25 })
  })
})

describe('createDelivery(): what is never taken', () => {
  it('finds the event to blame, tells it as a dead letter, and delivers the others in order', async () => {
    const { delivery, publisher, timers, outcomes } = await started()
    publisher.onPublish = (batch) => {
      if (batch.some((event) => event.key === 'bad' && event.topic !== DEAD)) throw refused()
    }
    const keys = ['a', 'b', 'c', 'bad', 'd', 'e', 'f', 'g', 'h', 'i']
    for (const key of keys) delivery.offer(eventOf('calls', key))
    await timers.advance(LINGER_MS)
    const calls = publisher.taken.filter(({ topic }) => topic === 'calls').map(({ key }) => key)
    expect(calls).toEqual(keys.filter((key) => key !== 'bad'))
    expect(publisher.taken.find(({ topic }) => topic === DEAD)).toEqual({
      topic: DEAD,
      key: 'bad',
      headers: {
        ce_id: 'bad',
        weir_dead_reason: 'too_large',
        weir_dead_topic: 'calls',
        weir_dead_bytes: '10',
      },
      value: Buffer.alloc(0),
    })
    expect(Object.fromEntries(outcomes)).toEqual({
      'calls delivered': 9,
      'calls dead:too_large': 1,
    })
    expect(delivery.state).toEqual({ kind: 'healthy' })
  })

  it.each([
    { why: 'refuses dead letters too', error: refused() },
    { why: 'breaks on everything', error: new TypeError('a bug') },
  ])('comes to an end with a publisher that $why', async ({ error }) => {
    const { delivery, publisher, timers, outcomes } = await started()
    publisher.onPublish = () => {
      throw error
    }
    for (const key of ['a', 'b', 'c']) delivery.offer(eventOf('calls', key))
    await timers.advance(1_000)
    expect(Object.fromEntries(outcomes)).toEqual({ 'calls dead:lost': 3 })
    expect(delivery.held).toBe(0)
  })

  it('goes on without a publisher that cannot be used, and looks again later', async () => {
    const { delivery, publisher, timers, outcomes, states } = deliver({ queueMax: 4, paced: true })
    publisher.onOpen = () => Promise.reject(unusable())
    for (let i = 0; i < 4; i++) delivery.offer(eventOf('calls', `${i}`))
    const ready = delivery.ready()
    await delivery.start(never)
    await ready
    delivery.offer(eventOf('calls', 'late'))
    expect(outcomes.get('calls shed:unavailable')).toBe(5)
    expect(states).toEqual([{ kind: 'degraded', reason: 'Cannot use it' }])
    publisher.onOpen = () => {}
    await timers.advance(30_000)
    delivery.offer(eventOf('calls', 'z'))
    await timers.advance(LINGER_MS)
    expect(publisher.batches).toEqual([['z']])
    expect(delivery.state).toEqual({ kind: 'healthy' })
  })
})

describe('createDelivery(): the end', () => {
  it('flushes without lingering, then closes the publisher and takes no more', async () => {
    const { delivery, publisher, outcomes, timers } = await started()
    delivery.offer(eventOf('calls', 'a'))
    await delivery.stop(never)
    await delivery.stop(never)
    delivery.offer(eventOf('calls', 'late'))
    expect(publisher.batches).toEqual([['a']])
    expect(publisher.closed).toBe(1)
    expect(timers.count).toBe(0)
    expect(Object.fromEntries(outcomes)).toEqual({ 'calls delivered': 1, 'calls shed:stopped': 1 })
  })

  it('tries again soon while it ends, whatever the backoff was', async () => {
    const { delivery, publisher, timers, outcomes } = await started({ backoffMs: () => 1e6 })
    publisher.onPublish = () => Promise.reject(away())
    delivery.offer(eventOf('calls', 'a'))
    await timers.advance(LINGER_MS)
    const stopped = delivery.stop(never)
    await timers.advance(300)
    expect(publisher.attempts).toBe(3)
    publisher.onPublish = () => {}
    await timers.advance(300)
    await stopped
    expect(outcomes.get('calls delivered')).toBe(1)
  })

  it.each([
    { why: 'away', onPublish: () => Promise.reject(away()) },
    { why: 'hanging', onPublish: () => new Promise<void>(() => {}) },
  ])(
    'gives up at the deadline on a publisher that is $why, and counts what that cost',
    async ({ onPublish }) => {
      const { delivery, publisher, timers, outcomes } = await started()
      publisher.onPublish = onPublish
      for (const key of ['a', 'b']) delivery.offer(eventOf('calls', key))
      await timers.advance(LINGER_MS)
      delivery.offer(eventOf('findings', 'f'))
      const deadline = new AbortController()
      const stopped = delivery.stop(deadline.signal)
      await timers.advance(100)
      deadline.abort()
      await stopped
      expect(outcomes.get('calls shed:deadline')).toBe(2)
      expect(outcomes.get('findings shed:deadline')).toBe(1)
      expect(delivery.held).toBe(0)
      expect(timers.count).toBe(0)
    },
  )

  it.each([
    { why: 'away', onOpen: () => Promise.reject(away()) },
    { why: 'hanging', onOpen: () => new Promise<void>(() => {}) },
  ])('ends at once when nothing waits and the publisher was $why all along', async ({ onOpen }) => {
    const { delivery, publisher } = deliver()
    publisher.onOpen = onOpen
    await delivery.start(never)
    await delivery.stop(never)
    expect(publisher.closed).toBe(1)
  })

  it('can be stopped unstarted', async () => {
    const { delivery, outcomes } = deliver()
    delivery.offer(eventOf('calls', 'a'))
    await delivery.stop(never)
    expect(outcomes.get('calls shed:stopped')).toBe(1)
  })
})

it('ends every event once, in order, whatever the publisher does', async () => {
  const step = fc.oneof(
    fc.record({ topic: fc.constantFrom(...TOPICS), count: fc.integer({ min: 1, max: 8 }) }),
    fc.record({ waitMs: fc.integer({ min: 0, max: 400 }) }),
  )
  const reply = fc.constantFrom('ok', 'ok', 'away', 'refused', 'bug', 'unusable')
  const property = fc.asyncProperty(
    fc.array(step, { maxLength: 30 }),
    fc.array(reply, { maxLength: 60 }),
    async (steps, replies) => {
      const { delivery, publisher, timers, outcomes } = deliver({ queueMax: 12, batchMax: 4 })
      let turnOf = 0
      publisher.onPublish = () => {
        const answer = replies[turnOf++]
        if (answer === 'away') throw away()
        if (answer === 'refused') throw refused()
        if (answer === 'bug') throw new TypeError('a bug')
        if (answer === 'unusable') throw unusable()
      }
      await delivery.start(never)
      let offered = 0
      for (const s of steps) {
        if ('waitMs' in s) await timers.advance(s.waitMs)
        else for (let i = 0; i < s.count; i++) delivery.offer(eventOf(s.topic, `${offered++}`))
        expect(delivery.held).toBeLessThanOrEqual(12)
      }
      await timers.advance(100_000)
      expect(delivery.held).toBe(0)
      await delivery.stop(never)
      const ends = [...outcomes].filter(([name]) => !name.endsWith('retried'))
      expect(ends.reduce((sum, [, count]) => sum + count, 0)).toBe(offered)
      for (const [name] of ends) expect(DELIVERY_OUTCOMES).toContain(name.split(' ')[1])
      for (const topic of TOPICS) {
        const order = publisher.taken.filter((e) => e.topic === topic).map((e) => Number(e.key))
        expect(order).toEqual(order.toSorted((a, b) => a - b))
      }
    },
  )
  await fc.assert(property, { numRuns: 200 })
})
