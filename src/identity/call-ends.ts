import type { Endpoint } from '../model/endpoint.ts'
import type { Catalogue } from './catalogue.ts'
import type { Destination } from './destination.ts'
import { normalHost } from './host-index.ts'

/** Who a request came from, and where it went, as one proxy reported it. */
export interface CallEnds {
  readonly source: Endpoint
  readonly sourceIp: string
  readonly destination: Endpoint
  readonly destinationIp: string
  readonly destinationPort: number
  /** `NAMESPACE/NAME`; ''. */
  readonly destinationService: string
  readonly destinationNames: readonly string[]
}

export function isGatewaySource(
  { gateways, services }: Catalogue,
  { source, sourceIp }: CallEnds,
): boolean {
  return (
    gateways.isEndpoint(source) ||
    services.ofEndpointIp(sourceIp).some((service) => gateways.isService(service))
  )
}

export function isGatewayDestination({ gateways, services }: Catalogue, ends: CallEnds): boolean {
  const behind = services.ofClusterIp(ends.destinationIp)
  return (
    gateways.isService(ends.destinationService) ||
    (behind !== undefined && gateways.isService(behind)) ||
    gateways.isAddress(ends.destinationIp) ||
    gateways.isEndpoint(ends.destination)
  )
}

export function destinationOf(ends: CallEnds, host: string): Destination {
  return {
    service: ends.destinationService,
    ip: ends.destinationIp,
    port: ends.destinationPort,
    names: ends.destinationNames,
    endpoint: ends.destination,
    host: normalHost(host),
  }
}
