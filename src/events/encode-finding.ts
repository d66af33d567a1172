import { clientKeyOf } from '../model/api.ts'
import type { Finding } from '../model/finding.ts'
import type { Encoded } from '../pipeline/contract.ts'
import { contentId, type EventTarget, encodeEvent } from './cloud-event.ts'
import { apiData, clientData, operationData } from './event-parts.ts'
import type { FindingData } from './schema.ts'

/**
 * Encodes FINDING of the public face. The event's id is of its content: an abuse that is told again
 * with other numbers is another event on the same `subject`, which a consumer must not drop.
 */
export function encodeFinding(target: EventTarget, finding: Finding): Encoded {
  const text = JSON.stringify(findingData(finding))
  return encodeEvent(target, {
    kind: 'finding',
    id: contentId(text),
    subject: finding.id,
    time: finding.last,
    key: keyOf(finding),
    data: text,
  })
}

/** `KIND:VALUE` of the client; of a distributed attack `target:…`, else `api:ID`. */
function keyOf(finding: Finding): string {
  if (finding.client !== null) return clientKeyOf(finding.client)
  if (finding.target !== null) {
    const fields = Object.entries(finding.target).map(([field, value]) => `${field}=${value}`)
    return `target:${fields.toSorted().join(',')}`
  }
  return finding.api === null ? `finding:${finding.id}` : `api:${finding.api.id}`
}

function findingData(finding: Finding): FindingData {
  const { suggestion } = finding
  return {
    id: finding.id,
    rule: finding.rule,
    ruleVersion: finding.ruleVersion,
    kind: finding.kind,
    severity: finding.severity,
    client: finding.client === null ? null : clientData(finding.client),
    target: finding.target === null ? null : { ...finding.target },
    api: finding.api === null ? null : apiData(finding.api),
    operation: finding.operation === null ? null : operationData(finding.operation),
    first: finding.first,
    last: finding.last,
    score: finding.score,
    threshold: finding.threshold,
    baseline: { ...finding.baseline },
    coverage: finding.coverage,
    counts: { ...finding.counts },
    samples: [...finding.samples],
    sentence: finding.sentence,
    suggestion:
      suggestion === null
        ? null
        : {
            limit: {
              rate: suggestion.limit.rate,
              per: suggestion.limit.per,
              burst: suggestion.limit.burst,
              scope: suggestion.limit.scope,
            },
          },
  }
}
