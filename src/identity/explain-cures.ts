import type { Via } from '../model/api-call.ts'
import type { Resolution } from './resolution.ts'

/** What whoever owns the APIs can do to make such calls sure; nothing where they are. */
export function curesOf(found: Resolution & { readonly via: Via }): readonly string[] {
  const { confidence, how, via } = found
  const ways = how.split('+')
  switch (confidence) {
    case 'exact':
      return []
    case 'ambiguous':
      return via === 'client' ? atGateway(ways) : atBackend(via)
    case 'none':
      return CURES_OF_NONE[ways[0] ?? ''] ?? []
    case 'high':
      return ways.includes('header')
        ? [
            'Let every other route to this backend set the same header, or remove it: one that does neither lets through what clients send.',
          ]
        : []
    case 'low':
      return likely(ways)
  }
}

function atGateway(ways: readonly string[]): string[] {
  if (!ways.includes('host')) {
    return ['The host is not known: it must reach Weir unredacted.']
  }
  return [
    'Give one of the routes a host, a longer path or a condition of its own: gateways differ in which of these they would take, or take either.',
  ]
}

function atBackend(via: Via): string[] {
  const own = [
    'Give each API a Service of its own, or a path of its own in the rewrite.',
    'Let each route set x-api-id with a RequestHeaderModifier: what a gateway writes is exact.',
    'Give Cilium layer 7 visibility on the way into the gateway: x-request-id then joins both.',
  ]
  return via === 'gateway' ? own : own.slice(0, 1)
}

function likely(ways: readonly string[]): string[] {
  if (ways.includes('labels')) {
    return [
      'Declare a route to this Service, or label a ConfigMap with its OpenAPI document weir.dev/service.',
    ]
  }
  if (ways[0] === 'workload' || ways[0] === 'host') {
    return ['Let Weir read Services and EndpointSlices: the backend was found by names alone.']
  }
  if (!ways.includes('path')) {
    return [
      'Declare this path and method, or find out who calls them: no route of the API leads there.',
    ]
  }
  return []
}

const CURES_OF_NONE: Readonly<Record<string, readonly string[]>> = {
  'no-route': [
    'No route of the gateway takes this host, path and method. Are all routes and Gateways among the manifests, and attached?',
  ],
  'no-backend': [
    'The destination is no Service that is known. Are Services and EndpointSlices among the manifests?',
  ],
  'no-api': [
    'Nothing is declared for this Service: declare a route, or label a ConfigMap with its OpenAPI document weir.dev/service.',
  ],
  'no-operation': [
    'Several APIs lead to this Service, and none has this path and method: declare it, or find out who calls it.',
  ],
  'gateway-ingress': [
    'The connection is TLS up to the gateway: the call shows behind it, where layer 7 visibility is given.',
  ],
}
