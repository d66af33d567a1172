import type { Api } from '../../../src/model/api.ts'
import { ApiCall, type ApiCallFields } from '../../../src/model/api-call.ts'
import { type Endpoint, NO_FIELDS } from '../../../src/model/endpoint.ts'
import { Exchange, type ExchangeFields, type Report } from '../../../src/model/exchange.ts'
import { PLAIN_CALL, PLAIN_EXCHANGE, PLAIN_REPORT } from '../../fixtures/plain-call.ts'

export const ORDERS: Api = {
  name: 'Orders',
  version: '1.0.0',
  context: '/orders-api/1.0.0',
  type: 'REST',
  organization: 'shop',
  environment: 'production',
  namespace: 'shop',
  id: 'shop/orders',
}

export const CART: Endpoint = {
  ...NO_FIELDS,
  id: 1,
  generation: 0,
  cluster: 'east',
  namespace: 'shop',
  pod: 'cart-5d-x1',
  workload: 'cart',
  workloadKind: 'Deployment',
}

export const ORDERS_POD: Endpoint = {
  ...NO_FIELDS,
  id: 2,
  generation: 0,
  namespace: 'backend',
  pod: 'orders-0',
  workload: 'orders',
  workloadKind: 'StatefulSet',
}

/** The server's account of a call that took 12.5 ms. */
export function sampleReport(over: Partial<Report> = {}): Report {
  return {
    ...PLAIN_REPORT,
    node: 'east/node-1',
    uuid: 'uuid-1',
    seenMs: 1_700_000_000_124,
    startMs: 1_700_000_000_123.5,
    durationMs: 12.5,
    source: CART,
    sourceIp: '10.0.0.1',
    destination: ORDERS_POD,
    destinationIp: '10.0.0.2',
    ...over,
  }
}

export function sampleExchange(over: Partial<ExchangeFields> = {}): Exchange {
  return new Exchange({
    ...PLAIN_EXCHANGE,
    report: sampleReport(),
    host: 'orders.backend:8080',
    path: '/orders/7',
    userAgent: 'curl/8',
    ...over,
  })
}

/** `GET /orders/{id}` of the Orders API, called by the cart. */
export function sampleCall(
  over: Partial<Omit<ApiCallFields, 'exchange'>> & { readonly exchange?: Exchange } = {},
): ApiCall {
  return new ApiCall({
    ...PLAIN_CALL,
    exchange: sampleExchange(),
    api: ORDERS,
    operation: { method: 'GET', template: '/orders/{id}' },
    confidence: 'high',
    how: 'backend',
    candidates: [ORDERS],
    client: { kind: 'workload', value: 'shop/cart', addresses: ['10.0.0.1'] },
    clientAddress: '10.0.0.1',
    ...over,
  })
}
