import { hash } from 'node:crypto'
import { type Bucket, compareStrictness } from './bucket.ts'
import { canonicalJson, type JsonObject, shortHashOf } from './canonical-json.ts'
import type { LimitedOperation } from './limited-operation.ts'
import { compareRules, type Rule, routeConfigurationOf } from './route-configuration.ts'
import {
  ARMED_ANNOTATION,
  type ArmedService,
  CEC_API_VERSION,
  CEC_KIND,
  cecNameOf,
  clusterOf,
  DECISIONS_ANNOTATION,
  listenerOf,
  MANAGED_BY,
  MANAGED_BY_LABEL,
  ORIGINAL_SOURCE_ANNOTATION,
  RESOURCE_NAME,
  SERVICE_LABEL,
} from './scaffold.ts'

/** `rate_limits` entries of one RouteConfiguration: each costs every call on the node 0.1 to 0.2 µs. */
export const OPERATIONS_MAX = 50
/** Buckets of one RouteConfiguration; looked up by hash. */
export const DESCRIPTORS_MAX = 1_000
/** As canonical JSON. `kubectl apply` keeps a copy in an annotation, and those may have 256 KiB. */
export const CEC_BYTES_MAX = 200 * 1_024

/** One limit on one Service. */
export interface Decision {
  /** The limit's id. */
  readonly id: string
  readonly mode: 'enforce' | 'shadow'
  readonly operation: LimitedOperation
  /** As Envoy writes them; see `canonicalAddress`. */
  readonly addresses: readonly string[]
  readonly bucket: Bucket
  /** RFC 3339. */
  readonly until: string
}

/** Deterministic: the finding's id, and how many limits it had caused before. */
export function limitIdOf(findingId: string, occurrence: number): string {
  return `limit-${hash('sha256', `${findingId}\n${occurrence}`, 'hex').slice(0, 16)}`
}

export interface CecPlan {
  readonly cec: JsonObject
  /** `r=` of `x-weir`; null for an inert plan. */
  readonly revision: string | null
}

/**
 * The whole CEC of one Service; inert without decisions. Depends on the set of decisions only, not
 * on their order, to the byte. Two decisions on one operation and address are merged, the stricter
 * one wins. `nonce` is the `r=` of `x-weir-would-limit` (8 hex digits), used by shadow decisions.
 * Refuses with a sentence what would go beyond the caps.
 */
export function planOf(
  service: ArmedService,
  decisions: readonly Decision[],
  nonce: string,
): CecPlan | { readonly refusal: string } {
  const rules = {
    enforce: rulesOf(decisions.filter(({ mode }) => mode === 'enforce')),
    shadow: rulesOf(decisions.filter(({ mode }) => mode === 'shadow')),
  }
  const all = [...rules.enforce, ...rules.shadow]
  const operations = entryCountOf(rules.enforce) + entryCountOf(rules.shadow)
  if (operations > OPERATIONS_MAX) {
    return {
      refusal: `${operations} rate_limits entries on one Service, at most ${OPERATIONS_MAX}`,
    }
  }
  if (all.length > DESCRIPTORS_MAX) {
    return { refusal: `${all.length} descriptors on one Service, at most ${DESCRIPTORS_MAX}` }
  }
  const unnumbered = routeConfigurationOf(rules, '', nonce)
  const revision =
    all.length === 0
      ? null
      : shortHashOf({
          service: [service.namespace, service.service, service.port],
          routes: unnumbered,
        })
  const cec = {
    apiVersion: CEC_API_VERSION,
    kind: CEC_KIND,
    metadata: metadataOf(service, decisions),
    spec: {
      services: [
        {
          name: service.service,
          namespace: service.namespace,
          listener: RESOURCE_NAME,
          ports: [service.port],
        },
      ],
      resources: [
        listenerOf(service),
        revision === null ? unnumbered : routeConfigurationOf(rules, revision, nonce),
        clusterOf(service),
      ],
    },
  }
  const bytes = Buffer.byteLength(canonicalJson(cec))
  if (bytes >= CEC_BYTES_MAX) {
    return { refusal: `the CEC would have ${bytes} bytes, below ${CEC_BYTES_MAX} are allowed` }
  }
  return { cec, revision }
}

/** One rule an operation and address, sorted. */
function rulesOf(decisions: readonly Decision[]): Rule[] {
  const rules = new Map<string, Rule>()
  for (const { operation, addresses, bucket } of decisions) {
    for (const address of addresses) {
      const key = `${operation.slug}\n${address}`
      const known = rules.get(key)
      if (known !== undefined && compareStrictness(known.bucket, bucket) <= 0) continue
      rules.set(key, { operation, address, bucket })
    }
  }
  return [...rules.values()].toSorted(compareRules)
}

function entryCountOf(rules: readonly Rule[]): number {
  const operations = new Map(rules.map(({ operation }) => [operation.slug, operation]))
  return [...operations.values()].reduce((sum, { entries }) => sum + Math.max(1, entries.length), 0)
}

function metadataOf(service: ArmedService, decisions: readonly Decision[]): JsonObject {
  const owner = {
    apiVersion: 'v1',
    kind: 'Service',
    name: service.service,
    uid: service.uid,
  }
  const told = decisions.map(({ id, mode, until }) => canonicalJson({ id, mode, until })).toSorted()
  return {
    name: cecNameOf(service.service),
    namespace: service.namespace,
    labels: { [MANAGED_BY_LABEL]: MANAGED_BY, [SERVICE_LABEL]: service.service },
    annotations: {
      [ORIGINAL_SOURCE_ANNOTATION]: 'true',
      [ARMED_ANNOTATION]: '1',
      ...(told.length > 0 ? { [DECISIONS_ANNOTATION]: `[${told.join(',')}]` } : {}),
    },
    ...(service.uid === null ? {} : { ownerReferences: [owner] }),
  }
}
