import { vi } from 'vitest'
import type { Api, LimitTarget } from '../../../src/model/api.ts'
import { ApiCall, type ApiCallFields } from '../../../src/model/api-call.ts'
import { Exchange, type ExchangeFields, type Report } from '../../../src/model/exchange.ts'
import type { Finding } from '../../../src/model/finding.ts'
import { Direction } from '../../../src/model/flow-view.ts'
import { type Bucket, rateOf } from '../../../src/respond/bucket.ts'
import type { CecTarget } from '../../../src/respond/cec-target.ts'
import type { ServiceFacts } from '../../../src/respond/eligibility.ts'
import {
  type LimitedOperation,
  limitedOperationOf,
} from '../../../src/respond/limited-operation.ts'
import type { Decision } from '../../../src/respond/plan.ts'
import type { ArmedService } from '../../../src/respond/scaffold.ts'
import { PLAIN_CALL, PLAIN_EXCHANGE, PLAIN_REPORT } from '../../fixtures/plain-call.ts'

export const API: Api = {
  name: 'orders',
  version: 'v1',
  context: '/orders/v1',
  type: 'REST',
  organization: 'default',
  environment: 'production',
  namespace: 'shop',
  id: 'shop/orders',
}
const GET_ORDER = { method: 'GET', template: '/orders/{id}' }
export const GET_ORDER_MATCH = {
  method: 'GET',
  pathRegex: '^/orders/[^/]+$',
  template: '/orders/{id}',
}
export const POST_ORDER_MATCH = { method: 'POST', pathRegex: '^/orders$', template: '/orders' }
export const SERVICE: ArmedService = {
  namespace: 'shop',
  service: 'checkout',
  port: 8080,
  uid: null,
}
export const START_MS = Date.parse('2026-01-01T00:00:00.000Z')

function getOrder(): LimitedOperation {
  return operationOf({ operation: GET_ORDER, matches: [GET_ORDER_MATCH] })
}

export function operationOf(
  scope: Partial<Parameters<typeof limitedOperationOf>[0]>,
): LimitedOperation {
  const operation = limitedOperationOf({
    api: API,
    operation: GET_ORDER,
    scope: 'operation',
    matches: [GET_ORDER_MATCH],
    ...scope,
  })
  if ('refusal' in operation) throw new Error(operation.refusal)
  return operation
}

/** An API's every operation: several methods, paths of fixed and of varying parts, and a path of every method. */
export function wholeApi(): LimitedOperation {
  const operations = [
    ['GET', '/orders'],
    ['POST', '/orders'],
    ['GET', '/orders/[^/]+'],
    ['PUT', '/orders/[^/]+'],
    ['DELETE', '/orders/[^/]+'],
    ['GET', '/orders/[^/]+/items/[0-9]+'],
    ['POST', '/orders/[^/]+/items'],
    ['GET', '/customers/[^/]+/orders'],
    ['GET', '/customers/[^/]+/addresses/[^/]+'],
    ['PATCH', '/customers/[^/]+/addresses/[^/]+'],
    ['GET', '/reports/v1\\.0/.+'],
    [null, '/health'],
  ] as const
  const matches = operations.map(([method, path]) => {
    return { method, pathRegex: `^${path}$`, template: path }
  })
  return operationOf({ scope: 'api', operation: null, matches })
}

export function bucketOf(rate: number, burst = rate, per = '1s'): Bucket {
  const made = rateOf({ rate, per, burst })
  if (made === undefined) throw new Error('no bucket')
  return made.bucket
}

export function decisionOf(fields: Partial<Decision> = {}): Decision {
  return {
    id: 'limit-1',
    mode: 'enforce',
    operation: getOrder(),
    addresses: ['10.0.0.2'],
    bucket: bucketOf(10),
    until: '2026-01-01T00:10:00.000Z',
    ...fields,
  }
}

export function serviceObject(spec: object = {}, annotations: object = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'checkout', namespace: 'shop', uid: 'uid-1', annotations },
    spec: {
      type: 'ClusterIP',
      clusterIP: '10.96.0.7',
      ports: [{ port: 8080, protocol: 'TCP' }],
      ...spec,
    },
  }
}

export function factsOf(fields: Partial<ServiceFacts> = {}): ServiceFacts {
  return {
    service: serviceObject(),
    namespaceLabels: { 'weir.dev/enforce': 'enabled' },
    cecs: [],
    routes: [],
    endpointAddresses: ['10.0.9.1'],
    ...fields,
  }
}

export const TARGET: LimitTarget = {
  namespace: 'shop',
  service: 'checkout',
  port: 8080,
  matches: [GET_ORDER_MATCH],
}

export function findingOf(fields: Partial<Finding> = {}): Finding {
  return {
    id: 'finding-1',
    rule: 'request-flood',
    ruleVersion: 1,
    kind: 'flood',
    severity: 'high',
    client: { kind: 'workload', value: 'shop/bot', addresses: ['10.0.0.2'] },
    target: null,
    api: API,
    operation: GET_ORDER,
    first: '2025-12-31T23:59:00.000Z',
    last: '2026-01-01T00:00:00.000Z',
    score: 2,
    threshold: 1,
    baseline: { source: 'none' },
    coverage: 1,
    counts: {},
    samples: [],
    sentence: 'too many calls',
    suggestion: { limit: { rate: 10, per: '1s', burst: 10, scope: 'operation' } },
    ...fields,
  }
}

/** A call of 10.0.0.2 to GET /orders/{id} that was answered, at `startMs`. */
export function callOf(
  startMs: number,
  fields: Partial<ApiCallFields> = {},
  exchange: Partial<ExchangeFields> = {},
): ApiCall {
  const address = fields.clientAddress ?? '10.0.0.2'
  const report: Report = {
    ...PLAIN_REPORT,
    direction: Direction.egress,
    startMs,
    seenMs: startMs + 1,
    durationMs: 1,
    sourceIp: address,
    destinationIp: '10.96.0.7',
    destinationService: 'shop/checkout',
  }
  return new ApiCall({
    ...PLAIN_CALL,
    exchange: new Exchange({
      ...PLAIN_EXCHANGE,
      report,
      host: 'checkout',
      path: '/orders/7',
      ...exchange,
    }),
    api: API,
    operation: GET_ORDER,
    confidence: 'exact',
    how: 'test',
    candidates: [API],
    more: 0,
    client: { kind: 'workload', value: 'shop/bot', addresses: [address] },
    clientAddress: address,
    via: 'direct',
    limitedBy: null,
    wouldLimit: false,
    ...fields,
  })
}

/** A target in memory: what stands there by name, and each text that was written. */
export function memoryTarget(initial: readonly object[] = []) {
  const standing = new Map<string, string>()
  const written: string[] = []
  const failing = { error: undefined as Error | undefined }
  const keyOf = (cec: object): string => {
    const { metadata } = cec as { metadata: { namespace: string; name: string } }
    return `${metadata.namespace}/${metadata.name}`
  }
  for (const cec of initial) standing.set(keyOf(cec), JSON.stringify(cec))
  const target: CecTarget = {
    list: vi.fn(async () => {
      if (failing.error !== undefined) throw failing.error
      return [...standing.values()].map((text): object => JSON.parse(text))
    }),
    async write(cec) {
      if (failing.error !== undefined) throw failing.error
      written.push(JSON.stringify(cec))
      standing.set(keyOf(cec), JSON.stringify(cec))
    },
  }
  return { target, standing, written, failing }
}
