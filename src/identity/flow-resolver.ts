import type { Via } from '../model/api-call.ts'
import type { FlowView } from '../model/flow-view.ts'
import { resolveAtBackend } from './backend-resolver.ts'
import { destinationOf, isGatewayDestination, isGatewaySource } from './call-ends.ts'
import type { Catalogue } from './catalogue.ts'
import { type Resolution, type Trace, unresolved } from './resolution.ts'

const INGRESS = unresolved('gateway-ingress')

/**
 * What a flow without HTTP (TLS up to the backend, no layer 7 visibility, drops) tells of the API: by
 * its destination alone, so one API or a set of them, never an operation. A connection into a gateway
 * may be to any API there.
 */
export function resolveFlow(
  catalogue: Catalogue,
  flow: FlowView,
  trace?: Trace,
): { readonly resolution: Resolution; readonly via: Via } {
  // A reply goes back to whoever asked.
  const isReply = flow.isReply === 1
  const ends = {
    source: isReply ? flow.destination : flow.source,
    sourceIp: isReply ? flow.destinationIp() : flow.sourceIp(),
    destination: isReply ? flow.source : flow.destination,
    destinationIp: isReply ? flow.sourceIp() : flow.destinationIp(),
    destinationPort: isReply ? flow.sourcePort : flow.destinationPort,
    destinationService: isReply ? flow.sourceService() : flow.destinationService(),
    destinationNames: isReply ? flow.sourceNames() : flow.destinationNames(),
  }
  const fromGateway = isGatewaySource(catalogue, ends)
  const resolution = resolveAtBackend(catalogue, {
    method: '',
    path: '',
    destination: destinationOf(ends, ''),
    behindGateway: fromGateway,
    ...(trace && { trace }),
  })
  if (resolution.confidence === 'none' && isGatewayDestination(catalogue, ends)) {
    return { resolution: INGRESS, via: 'client' }
  }
  return { resolution, via: fromGateway ? 'gateway' : 'direct' }
}
