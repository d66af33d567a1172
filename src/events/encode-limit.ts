import type { Limit } from '../model/limit.ts'
import type { Encoded } from '../pipeline/contract.ts'
import { contentId, type EventTarget, encodeEvent, rfc3339Of } from './cloud-event.ts'
import { apiData, clientData, operationData } from './event-parts.ts'
import type { LimitData } from './schema.ts'

/**
 * Encodes LIMIT of the public face, keyed by the limit: its states keep their order. The event's id
 * is of its content. `atMs`: when it came into this state, in Unix ms; `since` where that is not told.
 */
export function encodeLimit(target: EventTarget, limit: Limit, atMs?: number): Encoded {
  const text = JSON.stringify(limitData(limit))
  return encodeEvent(target, {
    kind: 'limit',
    id: contentId(text),
    subject: limit.id,
    time: atMs === undefined ? limit.since : rfc3339Of(atMs),
    key: limit.id,
    data: text,
  })
}

function limitData(limit: Limit): LimitData {
  const { limited, passed, others_limited } = limit.evidence
  return {
    id: limit.id,
    finding: limit.finding,
    client: clientData(limit.client),
    api: limit.api === null ? null : apiData(limit.api),
    operation: limit.operation === null ? null : operationData(limit.operation),
    rate: limit.rate,
    per: limit.per,
    burst: limit.burst,
    scope: limit.scope,
    mode: limit.mode,
    state: limit.state,
    reason: limit.reason,
    since: limit.since,
    until: limit.until,
    revision: limit.revision,
    effect: limit.effect,
    evidence: { limited, passed, others_limited },
  }
}
