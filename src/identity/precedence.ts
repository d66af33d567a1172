import type { Controller, Route, RouteRank } from './route.ts'

/**
 * Whether a gateway certainly asks `a` before `b`, where both are of the Gateway API: exact paths,
 * then expressions, then prefixes, the longer first; then conditions. Implementations weigh method,
 * headers and query differently, so without a known controller both ways of weighing must agree;
 * what is equal in all of this is in no order (Cilium makes one route of equal matches).
 * Source: cilium v1.20.2 operator/pkg/model/translation, envoyproxy/gateway v1.5 internal/gatewayapi.
 */
export function precedes(a: Route, b: Route, controller: Controller): boolean {
  const isUnsure = controller !== 'cilium' && a.rank.anyService !== b.rank.anyService
  if (isUnsure && a.rank.kind < 2 && b.rank.kind < 2) return false
  const byPath = a.rank.kind - b.rank.kind || a.rank.length - b.rank.length
  if (byPath !== 0) return byPath > 0
  const bySpecification =
    methods(a.rank) - methods(b.rank) ||
    a.headers.length - b.headers.length ||
    a.query.length - b.query.length
  const byEnvoyGateway =
    methods(a.rank) + a.headers.length - methods(b.rank) - b.headers.length ||
    a.query.length - b.query.length
  if (controller === 'cilium') return bySpecification > 0
  if (controller === 'envoy-gateway') return byEnvoyGateway > 0
  return bySpecification > 0 && byEnvoyGateway > 0
}

/** A method is one more header to Envoy Gateway. */
const methods = ({ method }: RouteRank): number => Number(method)
