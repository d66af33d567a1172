import { readFileSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { ConfigError } from '../errors.ts'
import type { KafkaSasl, KafkaTls } from './kafka-client.ts'
import { createKafkaPublisher } from './kafka-publisher.ts'
import type { Publisher } from './publisher.ts'
import { createSqlitePublisher } from './sqlite-publisher.ts'
import { createStdoutPublisher } from './stdout-publisher.ts'

/** Files in PEM; `serverName` is checked instead of the broker's host. */
interface TlsFiles {
  readonly ca?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
  readonly serverName?: string | undefined
}

export interface PublisherOptions {
  readonly publisher: 'sqlite' | 'kafka' | 'stdout' | 'none'
  readonly kafka: {
    readonly brokers: readonly string[]
    readonly tls: boolean | TlsFiles
    readonly sasl?: KafkaSasl | undefined
    readonly createTopics: boolean
  }
  readonly sqlite: { readonly path: string; readonly maxBytes: number }
  readonly stdout: Writable
  /** From the least to the most important, the dead-letter topic among them. */
  readonly topics: readonly string[]
  /** The bound of the SQLite file cost `count` old events. */
  readonly onPruned: (count: number) => void
  readonly onClientLog: (message: string) => void
}

/**
 * The configured publisher; undefined for none.
 *
 * @throws {ConfigError} for Kafka without brokers, or a TLS file that cannot be read.
 */
export function createPublisher(options: PublisherOptions): Publisher | undefined {
  const { topics, kafka, sqlite, stdout, onClientLog } = options
  switch (options.publisher) {
    case 'none':
      return undefined
    case 'stdout':
      return createStdoutPublisher(stdout)
    case 'sqlite':
      return createSqlitePublisher({ ...sqlite, topics, onPruned: options.onPruned })
    case 'kafka':
      if (kafka.brokers.length === 0) {
        throw new ConfigError('Cannot publish to Kafka: events.kafka.brokers is empty')
      }
      return createKafkaPublisher({
        brokers: kafka.brokers,
        clientId: 'weir',
        tls: tlsOf(kafka.tls),
        sasl: kafka.sasl,
        topics,
        createTopics: kafka.createTopics,
        onClientLog,
      })
    default:
      return options.publisher satisfies never
  }
}

function tlsOf(tls: boolean | TlsFiles): KafkaTls | undefined {
  if (typeof tls === 'boolean') return tls ? {} : undefined
  const { ca, cert, key, serverName } = tls
  return {
    ...(ca === undefined ? {} : { ca: pem(ca) }),
    ...(cert === undefined ? {} : { cert: pem(cert) }),
    ...(key === undefined ? {} : { key: pem(key) }),
    ...(serverName === undefined ? {} : { serverName }),
  }
}

function pem(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new ConfigError(`Cannot read the TLS file ${path}`, { cause })
  }
}
