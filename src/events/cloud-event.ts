import { hash } from 'node:crypto'
import type { Encoded } from '../pipeline/contract.ts'

/** Where the events of one kind go, and whom they come from. */
export interface EventTarget {
  readonly topic: string
  /** Name of the cluster; the `source` is `/weir/CLUSTER`. */
  readonly cluster: string
}

export type EventKind = 'call' | 'finding' | 'limit' | 'discovery'

interface EventFields {
  readonly kind: EventKind
  /** The same event told twice has the same id; anything else has another. */
  readonly id: string
  /** What the event is about, where that is not the event itself. */
  readonly subject?: string
  /** RFC 3339. */
  readonly time: string
  readonly key: string
  /** A well-formed `traceparent`; ''. */
  readonly traceParent?: string
  readonly data: object | string
}

const LATEST_MS = Date.parse('9999-12-31T23:59:59.999Z')

/** `$id` of the schema of an event's data: the value of its `dataschema`. */
export function schemaIdOf(kind: EventKind): string {
  return `https://weir.dev/schemas/${kind}.v1.schema.json`
}

/**
 * A CloudEvent 1.0 in Kafka's binary mode: attributes as `ce_` headers, the data as the value.
 * `data` that is text already stands as it is.
 * Source: CloudEvents spec 1.0.2, kafka-protocol-binding.md 3.2.
 */
export function encodeEvent(target: EventTarget, fields: EventFields): Encoded {
  const { kind, id, subject, time, key, traceParent, data } = fields
  const headers: Record<string, string> = {
    ce_specversion: '1.0',
    ce_id: id,
    ce_type: `dev.weir.${kind}.v1`,
    ce_source: `/weir/${target.cluster}`,
    ce_time: time,
    ce_partitionkey: key,
    ce_dataschema: schemaIdOf(kind),
  }
  if (subject !== undefined) headers['ce_subject'] = subject
  if (traceParent !== undefined && traceParent !== '') headers['ce_traceparent'] = traceParent
  headers['content-type'] = 'application/json'
  const text = typeof data === 'string' ? data : JSON.stringify(data)
  return { topic: target.topic, key, headers, value: Buffer.from(text) }
}

/** RFC 3339 with ms, of Unix ms; never throws: agents' clocks may say anything. */
export function rfc3339Of(unixMs: number): string {
  const ms = Number.isNaN(unixMs) ? 0 : Math.min(Math.max(unixMs, 0), LATEST_MS)
  return new Date(ms).toISOString()
}

/** Id of an event that has no identity but what it says: the first 16 bytes of SHA-256, in hex. */
export function contentId(text: string): string {
  return hash('sha256', text, 'hex').slice(0, 32)
}
