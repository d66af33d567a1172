import { gzipSync } from 'node:zlib'
import { stringify } from 'yaml'
import { allServices, allWorkloads, NODE_NAMES, type Service } from './shop.ts'
import { APIS, type DemoApi, GATEWAY_HOST, ORGANIZATION } from './shop-apis.ts'

const NAMESPACE = 'shop'
const GATEWAY_NAME = 'apk-gateway'
const GATEWAY_NAMESPACE = 'apk'

/**
 * The shop as it stands in its cluster: YAML documents of WSO2 APK (API, Backend), Gateway API
 * (Gateway, HTTPRoute), Services with their EndpointSlices, and the API definitions. Only the
 * namespace `shop` is opted in for limits.
 */
export function demoManifests(): string {
  const documents = [
    ...namespaces(),
    gateway(),
    ...allServices().flatMap((service) => [serviceManifest(service), endpointSlice(service)]),
    ...APIS.flatMap((api) => [definition(api), backend(api), route(api), apiManifest(api)]),
  ]
  return documents.map((document) => stringify(document, { lineWidth: 100 })).join('---\n')
}

function namespaces(): object[] {
  const names = new Set(allWorkloads().map(({ namespace }) => namespace))
  return [...names].map((name) => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: {
      name,
      labels: {
        'kubernetes.io/metadata.name': name,
        ...(name === NAMESPACE ? { 'weir.dev/enforce': 'enabled' } : {}),
      },
    },
  }))
}

function gateway(): object {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'Gateway',
    metadata: { name: GATEWAY_NAME, namespace: GATEWAY_NAMESPACE },
    spec: {
      gatewayClassName: 'wso2-apk-default',
      listeners: [
        {
          name: 'httpslistener',
          hostname: GATEWAY_HOST,
          port: 9095,
          protocol: 'HTTPS',
          allowedRoutes: { namespaces: { from: 'All' } },
          tls: { mode: 'Terminate', certificateRefs: [{ kind: 'Secret', name: 'gateway-cert' }] },
        },
      ],
    },
  }
}

function serviceManifest(service: Service): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: service.name,
      namespace: service.namespace,
      // Fixed, as an API server would give it: owner references of a limit name it.
      uid: `00000000-0000-4000-8000-${service.clusterIp.replaceAll('.', '').padStart(12, '0')}`,
      labels: { app: service.name },
    },
    spec: {
      type: 'ClusterIP',
      clusterIP: service.clusterIp,
      clusterIPs: [service.clusterIp],
      selector: { app: service.name },
      ports: [
        { name: 'http', port: service.port, targetPort: service.targetPort, protocol: 'TCP' },
      ],
    },
  }
}

function endpointSlice(service: Service): object {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `${service.name}-1`,
      namespace: service.namespace,
      labels: { 'kubernetes.io/service-name': service.name },
    },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: service.targetPort, protocol: 'TCP' }],
    endpoints: service.workload.pods.map((pod) => ({
      addresses: [pod.ip],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: NODE_NAMES[pod.node],
      targetRef: { kind: 'Pod', name: pod.name, namespace: pod.namespace },
    })),
  }
}

/** APK keeps an API's OpenAPI document compressed in a ConfigMap: there alone parameters have names. */
function definition(api: DemoApi): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const { method, template } of api.operations) {
    const path = (paths[template] ??= {})
    path[method.toLowerCase()] = { responses: { default: { description: 'The answer.' } } }
  }
  const openApi = { openapi: '3.0.1', info: { title: api.name, version: api.version }, paths }
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: `${api.service}-definition`, namespace: NAMESPACE },
    binaryData: { definition: gzipSync(JSON.stringify(openApi)).toString('base64') },
  }
}

function backend(api: DemoApi): object {
  const port = allServices().find(({ name }) => name === api.service)?.port
  return {
    apiVersion: 'dp.wso2.com/v1alpha2',
    kind: 'Backend',
    metadata: { name: `${api.service}-backend`, namespace: NAMESPACE },
    spec: {
      protocol: 'http',
      ...(api.backendPath === '' ? {} : { basePath: api.backendPath }),
      services: [{ host: `${api.service}.${NAMESPACE}`, port }],
    },
  }
}

function route(api: DemoApi): object {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name: `${api.service}-route`, namespace: NAMESPACE },
    spec: {
      parentRefs: [
        {
          group: 'gateway.networking.k8s.io',
          kind: 'Gateway',
          name: GATEWAY_NAME,
          namespace: GATEWAY_NAMESPACE,
          sectionName: 'httpslistener',
        },
      ],
      hostnames: [GATEWAY_HOST],
      rules: api.operations.map(({ method, template }) => {
        const regex = template.replaceAll(/\{[^}]+\}/g, '([^/]+)')
        let group = 0
        const rewritten = template.replaceAll(/\{[^}]+\}/g, () => `\\${++group}`)
        const type = regex === template ? 'Exact' : 'RegularExpression'
        return {
          matches: [{ method, path: { type, value: regex } }],
          filters: [
            {
              type: 'URLRewrite',
              urlRewrite: { path: { type: 'ReplaceFullPath', replaceFullPath: rewritten } },
            },
          ],
          backendRefs: [{ group: 'dp.wso2.com', kind: 'Backend', name: `${api.service}-backend` }],
        }
      }),
    },
  }
}

function apiManifest(api: DemoApi): object {
  return {
    apiVersion: 'dp.wso2.com/v1alpha2',
    kind: 'API',
    metadata: { name: `${api.service}-api`, namespace: NAMESPACE },
    spec: {
      apiName: api.name,
      apiVersion: api.version,
      apiType: 'REST',
      basePath: api.basePath,
      organization: ORGANIZATION,
      isDefaultVersion: false,
      definitionFileRef: `${api.service}-definition`,
      definitionPath: '/api-definition',
      production: [{ routeRefs: [`${api.service}-route`] }],
    },
  }
}
