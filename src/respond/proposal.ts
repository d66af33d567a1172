import type { Api, Client, LimitTarget, Operation } from '../model/api.ts'
import type { LimitSuggestion } from '../model/finding.ts'
import type { AddressList } from './address.ts'
import { type Rate, rateOf } from './bucket.ts'
import { fieldAt, textOf } from './canonical-json.ts'
import {
  backendProblem,
  type IneligibleCode,
  isOptedIn,
  limitableAddresses,
  OPT_IN_LABEL,
  type ServiceFacts,
  serviceProblems,
} from './eligibility.ts'
import { type LimitedOperation, limitedOperationOf } from './limited-operation.ts'
import type { ArmedService } from './scaffold.ts'
import { sentenceOf } from './sentence.ts'

/** What is asked for: the part of a finding that a limit is made of. */
export interface LimitRequest {
  readonly client: Client | null
  readonly api: Api | null
  readonly operation: Operation | null
  readonly suggestion: { readonly limit: LimitSuggestion } | null
}

export interface ProposalContext {
  /** Where a limit on the API, or on its operation (null: all of it), can be put. */
  readonly targetsOf: (
    api: Api,
    operation: Operation | null,
    scope: 'operation' | 'api',
  ) => readonly LimitTarget[]
  readonly factsOf: (namespace: string, service: string) => ServiceFacts
  /** Addresses that are never limited, besides loopback, link-local and multicast. */
  readonly protect: AddressList
  /** Addresses of one client. */
  readonly addressesMax: number
  /** A namespace that is not visible: refuse (a responder), or tell (manifests only). */
  readonly unseenNamespace: 'refuse' | 'warn'
}

/** One Service that the limit is put on. */
interface Place extends ArmedService {
  readonly operation: LimitedOperation
}

/** A limit as it may be put in force. */
export interface Proposal extends Rate {
  readonly client: Client
  readonly api: Api
  readonly operation: Operation | null
  readonly scope: 'operation' | 'api'
  /** As Envoy writes them, sorted. */
  readonly addresses: readonly string[]
  readonly places: readonly Place[]
  readonly warnings: readonly string[]
}

export type RefusalCode =
  | IneligibleCode
  | 'no_client'
  | 'no_api'
  | 'no_operation'
  | 'no_suggestion'
  | 'bad_rate'
  | 'no_target'
  | 'no_expression'
  | 'two_ports'

export interface Refusal {
  readonly code: RefusalCode
  /** A sentence for the operator. */
  readonly refusal: string
}

/**
 * Turns a finding into a limit on every Service behind its API, or refuses with all that stands
 * against it. A limit is never widened: what cannot be put on all of them is put on none.
 */
export function proposeLimit(request: LimitRequest, context: ProposalContext): Proposal | Refusal {
  const { client, api, suggestion } = request
  if (client === null) return refuse('no_client', 'the finding names no single client')
  if (suggestion === null) return refuse('no_suggestion', 'the finding suggests no limit')
  if (api === null) return refuse('no_api', 'the finding names no API')
  const { limit } = suggestion
  const rate = rateOf(limit)
  if (rate === undefined) {
    const told = `${limit.rate} per ${limit.per}, burst ${limit.burst}`
    return refuse('bad_rate', `the suggested rate (${told}) is no limit`)
  }
  const operation = limit.scope === 'api' ? null : request.operation
  if (limit.scope === 'operation' && operation === null) {
    return refuse('no_operation', 'the limit is for one operation, and the finding names none')
  }
  const keys = limitableAddresses(addressesOf(client), context)
  if ('code' in keys) return refuse(keys.code, keys.message)
  const targets = context.targetsOf(api, operation, limit.scope)
  if (targets.length === 0) {
    return refuse('no_target', `no Service is known behind ${api.name} ${api.version}`)
  }
  const places: Place[] = []
  const refusals: Refusal[] = []
  const warnings: string[] = []
  for (const target of targets) {
    const facts = context.factsOf(target.namespace, target.service)
    const place = placeOf(target, { api, operation, scope: limit.scope }, facts)
    if ('refusal' in place) refusals.push(place)
    else places.push(place)
    for (const { code, message } of serviceProblems(target, facts))
      refusals.push(refuse(code, message))
    const backend = backendProblem(keys.addresses, facts)
    if (backend !== undefined) refusals.push(refuse(backend.code, backend.message))
    const consent = consentOf(target.namespace, facts)
    if (consent === undefined) continue
    if (consent.seen || context.unseenNamespace === 'refuse') {
      refusals.push(refuse('not_opted_in', consent.message))
    } else warnings.push(consent.message)
  }
  const names = places.map(({ namespace, service }) => `${namespace}/${service}`)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) {
    refusals.push(refuse('two_ports', `the API is behind several ports of ${twice}`))
  }
  if (refusals[0] !== undefined) {
    const sentences = new Set(refusals.map(({ refusal }) => refusal))
    return { code: refusals[0].code, refusal: [...sentences].join('; ') }
  }
  return {
    ...rate,
    client,
    api,
    operation,
    scope: limit.scope,
    addresses: keys.addresses,
    places,
    warnings,
  }
}

function placeOf(
  target: LimitTarget,
  scope: Pick<Proposal, 'api' | 'operation' | 'scope'>,
  facts: ServiceFacts,
): Place | Refusal {
  const { namespace, service, port } = target
  const operation = limitedOperationOf({ ...scope, matches: target.matches })
  if ('refusal' in operation) {
    return refuse('no_expression', `${namespace}/${service}: ${operation.refusal}`)
  }
  const uid = textOf(fieldAt(facts.service, 'metadata', 'uid'))
  return { namespace, service, port, uid: uid === '' ? null : uid, operation }
}

/** Undefined where the namespace has opted in. */
function consentOf(
  namespace: string,
  facts: ServiceFacts,
): { readonly seen: boolean; readonly message: string } | undefined {
  const label = `${OPT_IN_LABEL}: enabled`
  switch (isOptedIn(facts)) {
    case true:
      return undefined
    case false:
      return { seen: true, message: `namespace ${namespace} has not opted in (label ${label})` }
    case undefined:
      return {
        seen: false,
        message: `namespace ${namespace} is not visible: it must have the label ${label}`,
      }
  }
}

function addressesOf(client: Client): readonly string[] {
  return client.addresses.length === 0 && client.kind === 'ip' ? [client.value] : client.addresses
}

function refuse(code: RefusalCode, refusal: string): Refusal {
  return { code, refusal: sentenceOf(refusal) }
}
