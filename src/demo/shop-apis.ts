/** The shop's APIs as WSO2 APK describes them, and how their requests look at the backends. */

interface DemoOperation {
  readonly method: string
  /** Below the API's base path. */
  readonly template: string
}

export interface DemoApi {
  /** Name of the Service behind it, and stem of all resource names. */
  readonly service: string
  readonly name: string
  readonly version: string
  readonly basePath: string
  /** What the Backend puts before every path; '' for most. */
  readonly backendPath: string
  readonly operations: readonly DemoOperation[]
}

export const ORGANIZATION = 'shop'
export const GATEWAY_HOST = 'api.shop.example'

export const APIS: readonly DemoApi[] = [
  {
    service: 'catalog',
    name: 'Catalog API',
    version: '1.0.0',
    basePath: '/catalog/1.0.0',
    backendPath: '',
    operations: [
      { method: 'GET', template: '/products' },
      { method: 'GET', template: '/products/{productId}' },
      { method: 'GET', template: '/search' },
    ],
  },
  {
    service: 'orders',
    name: 'Orders API',
    version: '2.1.0',
    basePath: '/orders/2.1.0',
    backendPath: '',
    operations: [
      { method: 'GET', template: '/orders' },
      { method: 'POST', template: '/orders' },
      { method: 'GET', template: '/orders/{orderId}' },
      { method: 'DELETE', template: '/orders/{orderId}' },
    ],
  },
  {
    service: 'accounts',
    name: 'Accounts API',
    version: '1.2.0',
    basePath: '/accounts/1.2.0',
    backendPath: '',
    operations: [
      { method: 'POST', template: '/login' },
      { method: 'GET', template: '/accounts/{accountId}' },
      { method: 'PUT', template: '/accounts/{accountId}' },
    ],
  },
  {
    service: 'payments',
    name: 'Payments API',
    version: '1.0.0',
    basePath: '/payments/1.0.0',
    backendPath: '/v1',
    operations: [
      { method: 'POST', template: '/payments' },
      { method: 'GET', template: '/payments/{paymentId}' },
    ],
  },
]
