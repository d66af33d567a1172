import { Catalogue } from '../../../src/identity/catalogue.ts'
import type { KubernetesObject } from '../../../src/identity/kubernetes-object.ts'

type Fields = Readonly<Record<string, unknown>>

export function object(
  apiVersion: string,
  kind: string,
  name: string,
  fields: Fields = {},
  metadata: Fields = {},
): KubernetesObject {
  return { apiVersion, kind, metadata: { name, namespace: 'shop', ...metadata }, ...fields }
}

export function apiCr(name: string, spec: Fields, version = 'v1alpha2'): KubernetesObject {
  const whole = { apiName: name, apiVersion: '1.0.0', basePath: `/${name}/1.0.0`, apiType: 'REST' }
  return object(`dp.wso2.com/${version}`, 'API', `${name}-cr`, { spec: { ...whole, ...spec } })
}

export interface RuleFields {
  readonly path: string
  readonly type?: string
  readonly method?: string
  readonly headers?: readonly Fields[]
  readonly full?: string
  readonly prefix?: string
  readonly backend?: string
  readonly filters?: readonly Fields[]
}

/** One rule with one match; `backend` names an APK Backend, or a Service as `service:NAME:PORT`. */
export function rule(fields: RuleFields): Fields {
  const { path, type = 'PathPrefix', method, headers, full, prefix, backend, filters = [] } = fields
  const rewrite = (how: Fields): Fields => ({ type: 'URLRewrite', urlRewrite: { path: how } })
  return {
    matches: [
      { path: { type, value: path }, ...(method && { method }), ...(headers && { headers }) },
    ],
    filters: [
      ...filters,
      ...(full === undefined ? [] : [rewrite({ type: 'ReplaceFullPath', replaceFullPath: full })]),
      ...(prefix === undefined
        ? []
        : [rewrite({ type: 'ReplacePrefixMatch', replacePrefixMatch: prefix })]),
    ],
    backendRefs: backend === undefined ? [] : [backendRef(backend)],
  }
}

function backendRef(backend: string): Fields {
  const [kind, name, port] = backend.split(':')
  if (kind === 'service') return { name, port: Number(port) }
  if (kind === 'envoy') return { group: 'gateway.envoyproxy.io', kind: 'Backend', name }
  return { group: 'dp.wso2.com', kind: 'Backend', name: backend }
}

export function httpRoute(
  name: string,
  hostnames: readonly string[],
  rules: readonly Fields[],
  metadata: Fields = {},
): KubernetesObject {
  const group = 'gateway.networking.k8s.io/v1'
  return object(group, 'HTTPRoute', name, { spec: { hostnames, rules } }, metadata)
}

export function backend(name: string, host: string, port = 8080, basePath = ''): KubernetesObject {
  const spec = { services: [{ host, port }], ...(basePath !== '' && { basePath }) }
  return object('dp.wso2.com/v1alpha1', 'Backend', name, { spec })
}

export function service(name: string, spec: Fields, metadata: Fields = {}): KubernetesObject {
  return object('v1', 'Service', name, { spec }, metadata)
}

export function endpointSlice(
  serviceName: string,
  addresses: readonly string[],
  port: number,
  pod = '',
): KubernetesObject {
  const endpoint = { addresses, ...(pod !== '' && { targetRef: { kind: 'Pod', name: pod } }) }
  return object(
    'discovery.k8s.io/v1',
    'EndpointSlice',
    `${serviceName}-x`,
    { endpoints: [endpoint], ports: [{ name: 'http', port }] },
    { labels: { 'kubernetes.io/service-name': serviceName } },
  )
}

export function routeMetadata(name: string, api: Fields): KubernetesObject {
  return object('dp.wso2.com/v2alpha1', 'RouteMetadata', name, { spec: { api } })
}

export function metadataFilter(name: string): Fields {
  const extensionRef = { group: 'dp.wso2.com', kind: 'RouteMetadata', name }
  return { type: 'ExtensionRef', extensionRef }
}

/** An API of APK with one HTTPRoute: `orders.example.com`, Service shop/orders. */
export function ordersApi(rules: readonly RuleFields[], spec: Fields = {}): KubernetesObject[] {
  return [
    apiCr('orders', { production: [{ routeRefs: ['orders-route'] }], ...spec }),
    httpRoute(
      'orders-route',
      ['orders.example.com'],
      rules.map((fields) => rule({ backend: 'orders-backend', ...fields })),
    ),
    backend('orders-backend', 'orders.shop'),
  ]
}

export function catalogueOf(...objects: readonly KubernetesObject[]): Catalogue {
  return new Catalogue(objects)
}
