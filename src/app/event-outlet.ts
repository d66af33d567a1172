import { join } from 'node:path'
import type { Writable } from 'node:stream'
import type { Config } from '../config/schema.ts'
import { createPublisher } from '../events/create-publisher.ts'
import { createDelivery, DELIVERY_OUTCOMES } from '../events/delivery.ts'
import { encodeCall } from '../events/encode-call.ts'
import { encodeDiscovery } from '../events/encode-discovery.ts'
import { encodeFinding } from '../events/encode-finding.ts'
import { encodeLimit } from '../events/encode-limit.ts'
import type { ApiCall } from '../model/api-call.ts'
import type { Discovery } from '../model/discovery.ts'
import type { Finding } from '../model/finding.ts'
import type { Limit } from '../model/limit.ts'
import type { Delivery, Encoded, Outcome } from '../pipeline/contract.ts'
import type { Ledger } from '../pipeline/ledger.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import { Losses } from './losses.ts'

export interface EventOutletOptions {
  readonly config: Config
  readonly stdout: Writable
  readonly ledger: Ledger
  readonly telemetry: Telemetry
  /** Every source is paced: they wait for `ready()`, and nothing is shed. */
  readonly paced: boolean
  /** null: well again. */
  readonly onDegraded: (reason: string | null) => void
}

/** Where events go: encoded here, booked in the ledger as stage `publish`, carried by the delivery. */
export interface EventOutlet {
  readonly delivery: Omit<Delivery, 'offer'>
  call(call: ApiCall): Outcome
  discovery(discovery: Discovery): void
  finding(finding: Finding): void
  /** `atMs`: when it changed, Unix ms. */
  limit(limit: Limit, atMs: number): void
}

/** Topics from the least to the most important: what is shed first stands first. */
const TOPICS = ['weir.calls', 'weir.discovery', 'weir.findings', 'weir.limits'] as const
const DEAD_TOPIC = 'weir.dead'
const BATCH = { batchMax: 500, lingerMs: 50 }

/** The configured publisher with its queue; undefined where none is configured. */
export function createEventOutlet(options: EventOutletOptions): EventOutlet | undefined {
  const { config, telemetry } = options
  const { events, stateDir, cluster } = config
  const publisher = createPublisher({
    ...events,
    sqlite: { ...events.sqlite, path: events.sqlite.path ?? join(stateDir, 'events.db') },
    stdout: options.stdout,
    topics: [DEAD_TOPIC, ...TOPICS],
    onPruned: (count) => telemetry.eventsPruned(count),
    onClientLog: (message) => telemetry.log.debug({ message }, 'Kafka client'),
  })
  if (publisher === undefined) return undefined
  const books = options.ledger.open('publish', DELIVERY_OUTCOMES, () => delivery.held)
  const losses = new Losses((...loss) => telemetry.eventsLost(publisher.name, ...loss))
  let isDegraded = false
  const delivery = createDelivery({
    publisher,
    topics: TOPICS,
    deadTopic: DEAD_TOPIC,
    queueMax: events.queue.maxEvents,
    queueBytesMax: events.queue.maxBytes,
    ...BATCH,
    paced: options.paced,
    onOutcome: (topic, outcome, count, reason = '') => {
      telemetry.eventsDone(publisher.name, topic, outcome, count)
      if (outcome === 'shed' || outcome === 'dead') losses.add(topic, outcome, count, reason)
      if (outcome === 'delivered') books.out += count
      else if (outcome !== 'retried') books.endedAs(`${outcome}:${reason}`, count)
    },
    onState: (state) => {
      // The first opening is no recovery.
      if (state.kind === 'healthy' && !isDegraded) return
      isDegraded = state.kind === 'degraded'
      options.onDegraded(state.kind === 'degraded' ? state.reason : null)
    },
  })
  const [calls, discoveries, findings, limits] = TOPICS
  const offer = (record: Encoded): Outcome => {
    books.in++
    return delivery.offer(record)
  }
  return {
    delivery: {
      name: delivery.name,
      start: (signal) => delivery.start(signal),
      stop: (deadline) => delivery.stop(deadline).finally(() => losses.flush()),
      ready: () => delivery.ready(),
    },
    call: (call) =>
      offer(encodeCall({ topic: calls, cluster: call.exchange.report.cluster }, call)),
    discovery: (discovery) =>
      void offer(encodeDiscovery({ topic: discoveries, cluster }, discovery)),
    finding: (finding) => void offer(encodeFinding({ topic: findings, cluster }, finding)),
    limit: (limit, atMs) => void offer(encodeLimit({ topic: limits, cluster }, limit, atMs)),
  }
}

/** A call as the events write it. */
export function callJson(call: ApiCall): object {
  const { cluster } = call.exchange.report
  const { value } = encodeCall({ topic: TOPICS[0], cluster }, call)
  return JSON.parse(value.toString()) as object
}
