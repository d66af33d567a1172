import { ApiCall, type CallOutcome, type Via } from '../model/api-call.ts'
import type { Exchange, Report } from '../model/exchange.ts'
import type { LimitsInForce } from '../model/limit.ts'
import type { Stage } from '../pipeline/contract.ts'
import type { Catalogue } from './catalogue.ts'
import type { ClientNamer, NamedClient } from './client.ts'
import type { Destination } from './destination.ts'
import { normalHost } from './host-index.ts'
import { isShadowed, limiterOf } from './limit-mark.ts'
import { type Resolution, resolveAtBackend, resolveAtGateway } from './resolver.ts'

/** Nothing ends here: every exchange goes on as one call, whatever is known of it. */
export const IDENTITY_OUTCOMES = ['kept'] as const

export interface IdentityOptions {
  /** The snapshot of now; replaced whole. */
  readonly catalogue: () => Catalogue
  readonly limits: () => LimitsInForce
  readonly clients: ClientNamer
  /** As `exchange` hashes identity values: finds the application of a client id. Absent: no applications. */
  readonly hashIdentity?: (value: string) => string
}

/** Names the API, the operation and the client of each exchange. Holds nothing. */
export function createIdentityStage(options: IdentityOptions): Stage<Exchange, ApiCall> {
  const applications = createApplications(options.hashIdentity)
  return {
    held: 0,
    advance: () => {},
    accept(exchange, emit) {
      const catalogue = options.catalogue()
      const limits = options.limits()
      const fromGateway = isGatewaySource(catalogue, exchange)
      const { resolution, via } = resolve(catalogue, exchange, fromGateway)
      const { client, address } = clientOf(exchange, catalogue, fromGateway)
      const limitedBy = limiterOf(exchange, limits)
      const outcome: CallOutcome = limitedBy === null ? exchange.outcome : 'limited'
      emit(
        new ApiCall({
          ...resolution,
          exchange,
          outcome,
          client,
          clientAddress: address,
          via,
          limitedBy,
          wouldLimit: isShadowed(exchange, limits),
        }),
      )
      return 0
    },
  }

  function clientOf(exchange: Exchange, catalogue: Catalogue, fromGateway: boolean): NamedClient {
    const { source, sourceIp } = callerIn(exchange)
    return options.clients.nameOf({
      identityValues: exchange.identityValues,
      application: applications(catalogue, exchange.identityValues),
      forwardedFor: exchange.forwardedFor,
      source,
      sourceIp,
      // Cilium's own gateway keeps the client's address; a gateway's pod puts its own in its place.
      sharedAddress: fromGateway && source.reserved === '',
    })
  }
}

/** The report that knows the caller: the server's proxy may see no more than a node. */
function callerIn({ report, twin }: Exchange): Report {
  const known = report.source.pod !== '' || report.source.workload !== '' || report.sourceIp !== ''
  return known || twin === null ? report : twin
}

function isGatewaySource(catalogue: Catalogue, { report, twin }: Exchange): boolean {
  const { gateways, services } = catalogue
  return [report, twin].some(
    (seen) =>
      seen !== null &&
      (gateways.isEndpoint(seen.source) ||
        services.ofEndpointIp(seen.sourceIp).some((service) => gateways.isService(service))),
  )
}

function isGatewayDestination(catalogue: Catalogue, seen: Report): boolean {
  const { gateways, services } = catalogue
  const behind = services.ofClusterIp(seen.destinationIp)
  return (
    gateways.isService(seen.destinationService) ||
    (behind !== undefined && gateways.isService(behind)) ||
    gateways.isAddress(seen.destinationIp) ||
    gateways.isEndpoint(seen.destination)
  )
}

function resolve(
  catalogue: Catalogue,
  exchange: Exchange,
  fromGateway: boolean,
): { resolution: Resolution; via: Via } {
  const { method, host, path, report, twin } = exchange
  const toGateway = isGatewayDestination(catalogue, report)
  let atGateway: Resolution | undefined
  if (toGateway) {
    atGateway = resolveAtGateway(catalogue, { method, host, path, headers: null, query: null })
    if (atGateway.confidence !== 'none') return { resolution: atGateway, via: 'client' }
  }
  let resolution = atBackend(catalogue, exchange, report, fromGateway)
  if (resolution.confidence === 'none' && twin !== null) {
    const other = atBackend(catalogue, exchange, twin, fromGateway)
    if (other.confidence !== 'none') resolution = other
  }
  // A gateway's own pods may stand behind an API like any others.
  if (atGateway !== undefined && resolution.confidence === 'none') {
    return { resolution: atGateway, via: 'client' }
  }
  return { resolution, via: fromGateway ? 'gateway' : 'direct' }
}

function atBackend(
  catalogue: Catalogue,
  { method, host, path }: Exchange,
  seen: Report,
  behindGateway: boolean,
): Resolution {
  const destination: Destination = {
    service: seen.destinationService,
    ip: seen.destinationIp,
    port: seen.destinationPort,
    names: seen.destinationNames,
    endpoint: seen.destination,
    host: normalHost(host),
  }
  return resolveAtBackend(catalogue, { method, path, destination, behindGateway })
}

/** Finds a WSO2 application by the hash of its client id; the table is made once a catalogue. */
function createApplications(
  hashIdentity: IdentityOptions['hashIdentity'],
): (catalogue: Catalogue, identityValues: readonly string[]) => string {
  let of: Catalogue | undefined
  let byHash = new Map<string, string>()
  return (catalogue, identityValues) => {
    if (hashIdentity === undefined || catalogue.applications.size === 0) return ''
    if (of !== catalogue) {
      of = catalogue
      byHash = new Map([...catalogue.applications].map(([id, name]) => [hashIdentity(id), name]))
    }
    for (const value of identityValues) {
      const name = byHash.get(value)
      if (name !== undefined) return name
    }
    return ''
  }
}
