import type { Random } from './random.ts'

/** One thing that can be asked of a backend, in the paths that the backend sees. */
export interface ShopOperation {
  readonly service: string
  readonly method: string
  readonly path: (random: Random) => string
  /** Median time to the response's headers, in ms. */
  readonly latencyMs: number
  readonly status: number
  /** What goes wrong, and in which share of the calls. */
  readonly failures: readonly { readonly status: number; readonly share: number }[]
  /** What the backend asks others meanwhile, one after the other. */
  readonly asks: readonly OperationName[]
}

/** Few objects, as in a small shop: nobody who behaves sees more than these. */
const OBJECTS = 16

const idAfter = (prefix: string, first: number) => (random: Random) =>
  `${prefix}${first + random.int(OBJECTS)}`
const fixed = (path: string) => () => path
const WORDS = ['lamp', 'desk', 'chair', 'shelf', 'rug'] as const

const NOT_FOUND = { status: 404, share: 0.01 }
const ERROR = { status: 500, share: 0.004 }

export type OperationName =
  | 'listProducts'
  | 'getProduct'
  | 'search'
  | 'listOrders'
  | 'getOrder'
  | 'createOrder'
  | 'cancelOrder'
  | 'login'
  | 'getAccount'
  | 'updateAccount'
  | 'pay'
  | 'getPayment'
  | 'getStock'

type Rest = Partial<Pick<ShopOperation, 'status' | 'failures' | 'asks'>>

function operation(
  service: string,
  method: string,
  path: ShopOperation['path'],
  latencyMs: number,
  { status = 200, failures = [ERROR], asks = [] }: Rest = {},
): ShopOperation {
  return { service, method, path, latencyMs, status, failures, asks }
}

export const OPERATIONS: { readonly [name in OperationName]: ShopOperation } = {
  listProducts: operation('catalog', 'GET', fixed('/products'), 9),
  getProduct: operation('catalog', 'GET', idAfter('/products/', 1_001), 5, {
    failures: [NOT_FOUND, ERROR],
  }),
  search: operation('catalog', 'GET', (random) => `/search?q=${random.pick(WORDS)}`, 24),
  listOrders: operation('orders', 'GET', fixed('/orders'), 22),
  getOrder: operation('orders', 'GET', idAfter('/orders/', 50_001), 12, {
    failures: [NOT_FOUND, ERROR],
  }),
  createOrder: operation('orders', 'POST', fixed('/orders'), 18, {
    status: 201,
    failures: [{ status: 409, share: 0.01 }, ERROR],
    asks: ['getProduct', 'getAccount', 'pay'],
  }),
  cancelOrder: operation('orders', 'DELETE', idAfter('/orders/', 50_001), 15, { status: 204 }),
  login: operation('accounts', 'POST', fixed('/login'), 70, {
    failures: [{ status: 401, share: 0.04 }, ERROR],
  }),
  getAccount: operation('accounts', 'GET', idAfter('/accounts/', 201), 8),
  updateAccount: operation('accounts', 'PUT', idAfter('/accounts/', 201), 14),
  pay: operation('payments', 'POST', fixed('/v1/payments'), 120, {
    status: 201,
    failures: [
      { status: 402, share: 0.02 },
      { status: 503, share: 0.01 },
    ],
  }),
  getPayment: operation('payments', 'GET', idAfter('/v1/payments/', 9_001), 10),
  getStock: operation('inventory', 'GET', idAfter('/stock/', 1_001), 6),
}
