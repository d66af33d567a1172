import { createDetector, type DetectorOptions } from '../../../src/detect/detector.ts'
import type { Api, ClientKind, Operation } from '../../../src/model/api.ts'
import { ApiCall } from '../../../src/model/api-call.ts'
import { EndpointTable, NO_FIELDS } from '../../../src/model/endpoint.ts'
import { Exchange } from '../../../src/model/exchange.ts'
import type { Finding } from '../../../src/model/finding.ts'
import { PLAIN_CALL, PLAIN_EXCHANGE, PLAIN_REPORT } from '../../fixtures/plain-call.ts'

/** 2026-01-01T00:00:00Z: where the tests' time begins. */
export const START_MS = 1_767_225_600_000

export const ORDERS: Api = {
  name: 'orders',
  version: '1.0',
  context: '/orders/1.0',
  type: 'REST',
  organization: 'default',
  environment: 'production',
  namespace: 'shop',
  id: 'orders-1',
}
export const LOGIN: Operation = { method: 'POST', template: '/login' }
const LIST: Operation = { method: 'GET', template: '/items' }

const endpoints = new EndpointTable()

export interface CallSketch {
  /** Seconds after START_MS. */
  readonly at: number
  readonly client?: string
  readonly kind?: ClientKind
  readonly status?: number
  readonly api?: Api | null
  readonly operation?: Operation | null
  readonly method?: string
  readonly path?: string
  readonly limitedBy?: 'weir' | 'other'
  readonly outcome?: ApiCall['outcome']
  readonly revises?: boolean
  /** `NAMESPACE/WORKLOAD` of who was called. */
  readonly to?: string
  /** Reserved identity of who called. */
  readonly reserved?: string
  readonly addresses?: readonly string[]
}

/** A whole call out of what a test cares for: by default a GET of the orders API's list, answered with 200. */
export function callOf(sketch: CallSketch): ApiCall {
  const client = sketch.client ?? '203.0.113.1'
  const kind = sketch.kind ?? 'ip'
  const api = sketch.api === undefined ? ORDERS : sketch.api
  const operation = sketch.operation === undefined ? LIST : sketch.operation
  const [namespace = '', workload = ''] = (sketch.to ?? 'shop/orders').split('/')
  const [fromNamespace = '', fromWorkload = ''] = kind === 'workload' ? client.split('/') : []
  const reserved = sketch.reserved ?? (kind === 'workload' ? '' : 'world')
  const startMs = START_MS + sketch.at * 1_000
  const exchange = new Exchange({
    ...PLAIN_EXCHANGE,
    outcome: sketch.outcome === 'limited' ? 'answered' : (sketch.outcome ?? 'answered'),
    report: {
      ...PLAIN_REPORT,
      seenMs: startMs,
      startMs,
      durationMs: sketch.outcome === 'unanswered' ? -1 : 0,
      status: sketch.outcome === 'unanswered' ? 0 : (sketch.status ?? 200),
      source: endpoints.intern({
        ...NO_FIELDS,
        namespace: fromNamespace,
        workload: fromWorkload,
        labels: reserved === '' ? [] : [`reserved:${reserved}`],
        reserved,
      }),
      sourceIp: kind === 'ip' ? client : '10.0.0.9',
      destination: endpoints.intern({ ...NO_FIELDS, namespace, workload, pod: `${workload}-0` }),
      destinationIp: '10.0.0.5',
    },
    method: sketch.method ?? operation?.method ?? 'GET',
    host: 'shop.example.com',
    path: sketch.path ?? `${api?.context ?? ''}${operation?.template ?? '/'}`,
    revises: sketch.revises ?? false,
  })
  return new ApiCall({
    ...PLAIN_CALL,
    exchange,
    outcome: sketch.outcome ?? 'answered',
    api,
    operation,
    confidence: api === null ? 'none' : 'exact',
    client: { kind, value: client, addresses: sketch.addresses ?? [client] },
    clientAddress: sketch.addresses?.at(-1) ?? client,
    limitedBy: sketch.limitedBy ?? null,
  })
}

/** A sign-in that fails, unless `status` says otherwise. */
export function signIn(sketch: CallSketch): ApiCall {
  return callOf({ operation: LOGIN, status: 401, ...sketch })
}

/** `count` calls, evenly over `seconds`. */
export function burst(count: number, seconds: number, sketch: CallSketch): ApiCall[] {
  const calls: ApiCall[] = []
  for (let i = 0; i < count; i++) {
    calls.push(callOf({ ...sketch, at: sketch.at + (i * seconds) / count }))
  }
  return calls
}

/** In the order of time, as the pipeline hands them over. */
export function inOrder(...groups: readonly (readonly ApiCall[])[]): ApiCall[] {
  return groups.flat().sort((a, b) => a.exchange.endMs - b.exchange.endMs)
}

/** What the detector says about the calls, to their end. */
export function findingsOf(calls: readonly ApiCall[], options: DetectorOptions = {}): Finding[] {
  const findings: Finding[] = []
  const detector = createDetector(options, (finding) => findings.push(finding))
  for (const call of calls) detector.accept(call)
  detector.advance(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)
  return findings
}

/**
 * An hour of ordinary life, from `fromSeconds`: 40 clients that read a few items a minute every other
 * minute, and sign in at times, one time in ten with a typing error.
 */
export function ordinaryLife(fromSeconds = 0, minutes = 60): ApiCall[] {
  const calls: ApiCall[] = []
  for (let minute = 0; minute < minutes; minute++) {
    for (let client = minute % 2; client < 40; client += 2) {
      const at = fromSeconds + minute * 60 + client
      const who = { client: `198.51.100.${client}` }
      for (let i = 0; i < 3 + (client % 5); i++) calls.push(callOf({ ...who, at: at + i }))
      if ((minute + client) % 10 !== 0) continue
      if ((minute + client) % 100 === 0) calls.push(signIn({ ...who, at: at + 8 }))
      calls.push(signIn({ ...who, at: at + 9, status: 200 }))
    }
  }
  return inOrder(calls)
}
