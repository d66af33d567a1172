import type { Encoded } from '../pipeline/contract.ts'
import type { RefusalReason } from './publisher.ts'

const NOTHING = Buffer.alloc(0)

/**
 * What is told of an event that no publisher takes: its headers, the reason, where it belonged, and
 * its data unless that was what was too large.
 */
export function deadLetterOf(record: Encoded, deadTopic: string, reason: RefusalReason): Encoded {
  return {
    topic: deadTopic,
    key: record.key,
    headers: {
      ...record.headers,
      weir_dead_reason: reason,
      weir_dead_topic: record.topic,
      weir_dead_bytes: String(record.value.length),
    },
    value: reason === 'too_large' ? NOTHING : record.value,
  }
}
