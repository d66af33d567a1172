import type { Discovery } from '../model/discovery.ts'
import type { Encoded } from '../pipeline/contract.ts'
import { contentId, type EventTarget, encodeEvent } from './cloud-event.ts'
import { apiData, operationData } from './event-parts.ts'
import type { DiscoveryData } from './schema.ts'

/**
 * Encodes DISCOVERY of the public face, keyed by the discovery: its states keep their order. The
 * event's id is of its content. Its source is the discovery's cluster, else the target's.
 */
export function encodeDiscovery(target: EventTarget, discovery: Discovery): Encoded {
  const text = JSON.stringify(discoveryData(discovery))
  const cluster = discovery.cluster === '' ? target.cluster : discovery.cluster
  return encodeEvent(
    { topic: target.topic, cluster },
    {
      kind: 'discovery',
      id: contentId(text),
      subject: discovery.id,
      time: discovery.last,
      key: discovery.id,
      data: text,
    },
  )
}

function discoveryData(discovery: Discovery): DiscoveryData {
  return {
    id: discovery.id,
    kind: discovery.kind,
    state: discovery.state,
    cluster: discovery.cluster,
    api: discovery.api === null ? null : apiData(discovery.api),
    operation: discovery.operation === null ? null : operationData(discovery.operation),
    workload: discovery.workload,
    port: discovery.port,
    first: discovery.first,
    last: discovery.last,
    counts: { ...discovery.counts },
    evidence: discovery.evidence,
  }
}
