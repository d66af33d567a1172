import type { Api, Client } from '../../../src/model/api.ts'
import { ApiCall, type ApiCallFields } from '../../../src/model/api-call.ts'
import type { Discovery } from '../../../src/model/discovery.ts'
import { EndpointTable, NO_FIELDS } from '../../../src/model/endpoint.ts'
import { Exchange, type ExchangeFields, type Report } from '../../../src/model/exchange.ts'
import type { Finding } from '../../../src/model/finding.ts'
import { Direction } from '../../../src/model/flow-view.ts'
import type { Limit } from '../../../src/model/limit.ts'
import { PLAIN_CALL, PLAIN_EXCHANGE, PLAIN_REPORT } from '../../fixtures/plain-call.ts'

const endpoints = new EndpointTable()

export const API: Api = {
  name: 'Orders',
  version: 'v1',
  context: '/orders/v1',
  type: 'REST',
  organization: 'acme',
  environment: 'production',
  namespace: 'shop',
  id: 'shop/orders',
}
const CLIENT: Client = { kind: 'ip', value: '10.0.0.7', addresses: ['10.0.0.7'] }

/** 2026-03-01T12:00:00.250Z */
export const START_MS = 1_772_366_400_250

const REPORT: Report = {
  ...PLAIN_REPORT,
  node: 'node-a',
  uuid: '0b0e7b9a-8f3c-4c0e-9d3b-1a2b3c4d5e6f',
  seenMs: START_MS + 0.75,
  startMs: START_MS - 3,
  durationMs: 12.345_678,
  source: endpoints.intern({ ...NO_FIELDS, identity: 2, reserved: 'world' }),
  sourceIp: '10.0.0.7',
  destination: endpoints.intern({
    ...NO_FIELDS,
    identity: 7,
    namespace: 'shop',
    pod: 'orders-1',
    workload: 'orders',
    workloadKind: 'Deployment',
  }),
  destinationIp: '10.1.0.9',
  destinationService: 'shop/orders',
  destinationNames: ['orders.shop.svc'],
}

const EXCHANGE: ExchangeFields = {
  ...PLAIN_EXCHANGE,
  report: REPORT,
  twin: { ...REPORT, direction: Direction.egress },
  host: 'api.example.com:8080',
  path: '/orders/v1/7',
  requestId: 'r-1',
  traceParent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
}

interface Overrides {
  readonly call?: Partial<ApiCallFields>
  readonly exchange?: Partial<ExchangeFields>
  readonly report?: Partial<Report>
}

/** A call of which everything is known, but for what is said otherwise. */
export function callOf({ call = {}, exchange = {}, report = {} }: Overrides = {}): ApiCall {
  return new ApiCall({
    ...PLAIN_CALL,
    exchange: new Exchange({ ...EXCHANGE, ...exchange, report: { ...REPORT, ...report } }),
    api: API,
    operation: { method: 'GET', template: '/{id}' },
    confidence: 'exact',
    how: 'gateway-host',
    candidates: [API],
    client: CLIENT,
    clientAddress: '10.0.0.7',
    via: 'gateway',
    ...call,
  })
}

export const EMPTY_ENDPOINT = endpoints.none

export function findingOf(fields: Partial<Finding> = {}): Finding {
  return {
    id: 'f-1',
    rule: 'auth-bruteforce',
    ruleVersion: 1,
    kind: 'bruteforce',
    severity: 'high',
    client: CLIENT,
    target: null,
    api: API,
    operation: { method: 'POST', template: '/login' },
    first: '2026-03-01T12:00:00Z',
    last: '2026-03-01T12:01:00.5Z',
    score: 9.5,
    threshold: 4.6,
    baseline: { source: 'population', failureShare: 0.02 },
    coverage: 1,
    counts: { failures: 40 },
    samples: ['0123456789abcdef0123456789abcdef'],
    sentence: '40 of 41 logins failed.',
    suggestion: { limit: { rate: 10, per: '1s', burst: 10, scope: 'operation' } },
    ...fields,
  }
}

export function limitOf(fields: Partial<Limit> = {}): Limit {
  return {
    id: 'l-1',
    finding: 'f-1',
    client: CLIENT,
    api: API,
    operation: null,
    rate: 10,
    per: '1s',
    burst: 10,
    scope: 'api',
    mode: 'enforce',
    state: 'enforced',
    reason: 'Arms were set.',
    since: '2026-03-01T12:02:00Z',
    until: '2026-03-01T13:02:00Z',
    revision: '0a1b2c3d',
    effect: 'undecided',
    evidence: { limited: 0, passed: 0, others_limited: 0 },
    ...fields,
  }
}

export function discoveryOf(fields: Partial<Discovery> = {}): Discovery {
  return {
    id: 'd-1',
    kind: 'undocumented',
    state: 'open',
    cluster: 'east',
    api: API,
    operation: { method: 'GET', template: '/debug/{int}' },
    workload: 'shop/orders',
    port: 8_080,
    first: '2026-03-01T12:00:00Z',
    last: '2026-03-01T12:01:00.5Z',
    counts: { requests: 20, succeeded: 19 },
    evidence: 'shop/orders:8080 answers GET /debug/{int}.',
    ...fields,
  }
}
