import type { Api } from '../model/api.ts'
import type { Via } from '../model/api-call.ts'
import type { ApiClaim, Exchange, Report, TokenClaim } from '../model/exchange.ts'
import { resolveAtBackend } from './backend-resolver.ts'
import { destinationOf, isGatewayDestination, isGatewaySource } from './call-ends.ts'
import type { Catalogue } from './catalogue.ts'
import { IDENTITY_HEADERS } from './evidence.ts'
import { resolveAtGateway } from './gateway-resolver.ts'
import type { Resolution, Trace } from './resolution.ts'

export interface ResolvedExchange {
  readonly resolution: Resolution
  readonly via: Via
  readonly fromGateway: boolean
}

/** The API of an exchange by itself: by the way into a gateway, by what a gateway wrote, or by its backend. */
export function resolveExchange(
  catalogue: Catalogue,
  exchange: Exchange,
  trace?: Trace,
): ResolvedExchange {
  const { method, host, path, report, twin } = exchange
  const fromGateway =
    isGatewaySource(catalogue, report) || (twin !== null && isGatewaySource(catalogue, twin))
  let atGateway: Resolution | undefined
  if (isGatewayDestination(catalogue, report)) {
    const request = { method, host, path, headers: null, query: null }
    atGateway = resolveAtGateway(catalogue, trace === undefined ? request : { ...request, trace })
    if (atGateway.confidence !== 'none')
      return { resolution: atGateway, via: 'client', fromGateway }
  }
  const resolution =
    byToken(catalogue, exchange, fromGateway) ?? atBackends(catalogue, exchange, fromGateway, trace)
  // A gateway's own pods may stand behind an API like any others.
  if (atGateway !== undefined && resolution.confidence === 'none') {
    return { resolution: atGateway, via: 'client', fromGateway }
  }
  return { resolution, via: fromGateway ? 'gateway' : 'direct', fromGateway }
}

/** As a call of `only`, which something else told; `none` where its destination is no backend of that API. */
export function resolveAs(catalogue: Catalogue, exchange: Exchange, only: Api): Resolution {
  return atBackends(catalogue, exchange, true, undefined, only)
}

/** What the other proxy saw counts where the first one's account leads nowhere. */
function atBackends(
  catalogue: Catalogue,
  exchange: Exchange,
  fromGateway: boolean,
  trace?: Trace,
  only?: Api,
): Resolution {
  const { report, twin } = exchange
  const found = atBackend(catalogue, exchange, report, fromGateway, trace, only)
  if (found.confidence !== 'none' || twin === null) return found
  const other = atBackend(catalogue, exchange, twin, fromGateway, trace, only)
  return other.confidence === 'none' ? found : other
}

function atBackend(
  catalogue: Catalogue,
  { method, host, path, apiClaim }: Exchange,
  seen: Report,
  behindGateway: boolean,
  trace: Trace | undefined,
  only: Api | undefined,
): Resolution {
  const headers = behindGateway ? headersOf(apiClaim) : undefined
  return resolveAtBackend(catalogue, {
    method,
    path,
    destination: destinationOf(seen, host),
    behindGateway,
    gateway: behindGateway ? catalogue.gateways.nameOf(seen.source) : '',
    ...(headers && { headers }),
    ...(trace && { trace }),
    ...(only && { only }),
  })
}

function headersOf(claim: ApiClaim | null): ReadonlyMap<string, string> | undefined {
  if (claim === null) return undefined
  const [id, name, version] = IDENTITY_HEADERS
  const said = [
    [id, claim.id],
    [name, claim.name],
    [version, claim.version],
  ] as const
  const present = said.filter(([, value]) => value !== '')
  return present.length === 0 ? undefined : new Map(present)
}

/** A token that the gateway wrote for its backends names the API; a client's own would say what it likes. */
function byToken(
  catalogue: Catalogue,
  exchange: Exchange,
  fromGateway: boolean,
): Resolution | undefined {
  const token = exchange.apiClaim?.token ?? null
  const api = token !== null && fromGateway ? apiOfToken(catalogue, token) : undefined
  if (api === undefined) return undefined
  const { operation } = resolveAs(catalogue, exchange, api)
  return { api, operation, confidence: 'exact', how: 'backend-jwt', candidates: [api], more: 0 }
}

function apiOfToken(catalogue: Catalogue, token: TokenClaim): Api | undefined {
  const said = catalogue
    .apisNamed(token.name, token.version)
    .filter(
      ({ context, environment }) =>
        (token.context === '' || context === token.context) &&
        (environment === 'sandbox') === token.sandbox,
    )
  return said.length === 1 ? said[0] : undefined
}
