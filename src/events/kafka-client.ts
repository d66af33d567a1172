import { createRequire } from 'node:module'
import kafkajs, { type Kafka, type KafkaConfig, type Producer, type SASLOptions } from 'kafkajs'

export interface KafkaTls {
  /** PEM. Without `ca` the roots that Node brings count. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly serverName?: string
}

export interface KafkaSasl {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  readonly username: string
  readonly password: string
}

export interface KafkaClientOptions {
  /** `HOST:PORT`, at least one. */
  readonly brokers: readonly string[]
  readonly clientId: string
  readonly tls?: KafkaTls | undefined
  readonly sasl?: KafkaSasl | undefined
  /** What kafkajs says, for debugging: it calls errors what is retried. Free of secrets. */
  readonly onClientLog?: ((message: string) => void) | undefined
}

const CONNECT_TIMEOUT_MS = 5_000
const REQUEST_TIMEOUT_MS = 15_000
/** For what passes by itself (a new topic's leader, a coordinator that loads); `delivery.ts` owns the long waits. */
const RETRY = { retries: 3, initialRetryTime: 150, maxRetryTime: 1_000 }

export function createKafkaClient(options: KafkaClientOptions): Kafka {
  tameRequestQueue()
  const { tls, sasl, onClientLog } = options
  const config: KafkaConfig = {
    brokers: [...options.brokers],
    clientId: options.clientId,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    authenticationTimeout: REQUEST_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retry: RETRY,
    logLevel: onClientLog === undefined ? kafkajs.logLevel.NOTHING : kafkajs.logLevel.WARN,
    logCreator:
      () =>
      ({ namespace, label, log }) =>
        onClientLog?.(`${label} ${namespace}: ${log.message}`),
  }
  if (tls !== undefined) {
    config.ssl = {
      ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      ...(tls.cert === undefined ? {} : { cert: tls.cert }),
      ...(tls.key === undefined ? {} : { key: tls.key }),
      ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
    }
  }
  // The mechanisms' options are alike, but kafkajs's type tells them apart.
  if (sasl !== undefined) config.sasl = { ...sasl } as SASLOptions
  return new kafkajs.Kafka(config)
}

/**
 * Idempotent, one request at a time: within one producer the broker drops what a retry sends again.
 * The partition of a key is the one that Java clients choose.
 */
export function createKafkaProducer(kafka: Kafka): Producer {
  return kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    retry: RETRY,
  })
}

interface RequestQueue {
  readonly pending: readonly unknown[]
}

interface RequestQueuePrototype {
  scheduleCheckPendingRequests: (this: RequestQueue) => void
}

let tamed = false

/**
 * kafkajs 2.2.4 looks for pending requests on a timer that it sets again each time, with a negative
 * delay: each connection wakes an idle process a thousand times a second, and Node 24 warns of it
 * (TimeoutNegativeWarning). Where nothing is pending there is nothing to look for.
 * Source: kafkajs 2.2.4 src/network/requestQueue/index.js, scheduleCheckPendingRequests.
 */
function tameRequestQueue(): void {
  if (tamed) return
  tamed = true
  const require = createRequire(import.meta.url)
  const { prototype } = require('kafkajs/src/network/requestQueue') as {
    prototype: RequestQueuePrototype
  }
  const schedule = prototype.scheduleCheckPendingRequests
  prototype.scheduleCheckPendingRequests = function () {
    if (this.pending.length > 0) schedule.call(this)
  }
}
