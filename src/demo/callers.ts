import { GATEWAY } from './shop.ts'
import type { OperationName } from './shop-operations.ts'

/** How often one workload asks one thing. */
export interface Habit {
  /** NAMESPACE/NAME of the workload. */
  readonly from: string
  readonly operation: OperationName
  /** Calls a second when the demo runs at CALLS_PER_SECOND. */
  readonly perSecond: number
}

/**
 * Everybody who behaves. No workload asks one API more than twice a second: well below what counts
 * as a flood before there is a baseline (240 a minute).
 */
export const HABITS: readonly Habit[] = Object.entries({
  'shop/web': {
    listProducts: 0.8,
    getProduct: 0.8,
    search: 0.3,
    listOrders: 0.5,
    createOrder: 0.35,
    getOrder: 0.6,
    login: 0.5,
    getAccount: 0.6,
    getPayment: 0.5,
  },
  'shop/mobile-bff': {
    listProducts: 0.7,
    getProduct: 0.8,
    search: 0.2,
    listOrders: 0.7,
    createOrder: 0.3,
    getOrder: 0.5,
    login: 0.5,
    getAccount: 0.6,
    getPayment: 0.4,
  },
  [GATEWAY]: {
    listProducts: 0.8,
    getProduct: 0.8,
    search: 0.3,
    listOrders: 0.6,
    createOrder: 0.2,
    getOrder: 0.7,
    login: 0.5,
    getAccount: 0.7,
    pay: 0.2,
    getPayment: 0.8,
  },
  'shop/recommendations': { getProduct: 1.6, listOrders: 0.5 },
  'shop/search-indexer': { listProducts: 0.9, getProduct: 0.9 },
  'shop/notifications': { getAccount: 1, getOrder: 1 },
  'shop/loyalty': { getAccount: 1.1, getPayment: 1 },
  'logistics/warehouse': { getOrder: 1.2, getStock: 1.4 },
  'backoffice/support-desk': { getAccount: 0.8, getOrder: 0.8, getPayment: 0.5 },
  'backoffice/admin-console': { updateAccount: 0.3, cancelOrder: 0.1 },
  'backoffice/fraud-check': { getPayment: 1.2, getAccount: 1 },
  'partners/partner-portal': { getProduct: 0.9, search: 0.3, createOrder: 0.2 },
  'partners/partner-sync': { listProducts: 0.4 },
} satisfies Record<string, { [name in OperationName]?: number }>).flatMap(([from, asked]) =>
  Object.entries(asked).map(([operation, perSecond]) => ({
    from,
    operation: operation as OperationName,
    perSecond,
  })),
)

/** A job that does its work in bursts. */
export const BATCH = {
  from: 'backoffice/reports',
  operations: ['listOrders', 'getPayment'],
  everyMs: 10_000,
  /** Calls of one burst, of each operation. */
  calls: 6,
} as const satisfies {
  from: string
  operations: readonly OperationName[]
  everyMs: number
  calls: number
}

/** Who looks at each pod by its own address, and for what. */
export const PROBES = [
  { from: 'monitoring/blackbox-exporter', path: '/healthz', everyMs: 5_000 },
  { from: 'monitoring/prometheus', path: '/metrics', everyMs: 5_000 },
] as const

/** Calls a second of all of the above, and of what the backends ask each other for them. */
export const CALLS_PER_SECOND = 40
