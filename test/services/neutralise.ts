import { isObject, type JsonObject, objectAt, objectsAt, textAt } from './json-object.ts'

/** Where the parts that Cilium would provide are found instead. */
export interface Surroundings {
  /** Port of 127.0.0.1 that the listener is to have. */
  readonly port: number
  /** Port of 127.0.0.1 that stands behind every EDS cluster. */
  readonly upstreamPort: number
  readonly accessLogFile: string
  /** The file that brings the named RouteConfiguration. */
  routesFile(name: string): string
  /** The file that brings the endpoints of the named cluster or service. */
  endpointsFile(name: string): string
}

const TYPE = 'type.googleapis.com/envoy'
const CILIUM_TYPE = 'type.googleapis.com/cilium.'
const HTTP_CONNECTION_MANAGER = `${TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`
const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions'

/** Keys of a line of the access log, and what Envoy puts there. */
const ACCESS_LOG_FORMAT = {
  time: '%START_TIME%',
  method: '%REQ(:METHOD)%',
  path: '%REQ(:PATH)%',
  authority: '%REQ(:AUTHORITY)%',
  protocol: '%PROTOCOL%',
  code: '%RESPONSE_CODE%',
  flags: '%RESPONSE_FLAGS%',
  details: '%RESPONSE_CODE_DETAILS%',
  source: '%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%',
  request_id: '%REQ(X-REQUEST-ID)%',
  x_weir: '%RESP(X-WEIR)%',
  x_weir_would_limit: '%REQ(X-WEIR-WOULD-LIMIT)%',
}

/**
 * A listener of the agent's as an Envoy without Cilium can run it: filters of Cilium's go, the
 * address becomes `port`, routes come from a file, every call is logged.
 *
 * `cilium.l7policy` is replaced in place, under its name, by a filter that leaves a mark:
 * `x-l7-resp: seen-req=1 …` on an answer says that the policy saw the request, `seen-req=-` that it
 * saw the answer only.
 */
export function neutraliseListener(listener: JsonObject, around: Surroundings): JsonObject {
  const { additionalAddresses: _, ...rest } = listener
  return {
    ...rest,
    address: socketAddress(around.port),
    listenerFilters: objectsAt(listener, 'listenerFilters').filter((filter) => !isCilium(filter)),
    filterChains: objectsAt(listener, 'filterChains').map((chain) => ({
      ...chain,
      filters: objectsAt(chain, 'filters')
        .filter((filter) => !isCilium(filter))
        .map((filter) => neutraliseNetworkFilter(filter, around)),
    })),
  }
}

function neutraliseNetworkFilter(filter: JsonObject, around: Surroundings): JsonObject {
  const manager = objectAt(filter, 'typedConfig')
  if (manager['@type'] !== HTTP_CONNECTION_MANAGER) return filter
  const rds = objectAt(manager, 'rds')
  const routes = textAt(rds, 'routeConfigName')
  const fromFile = { ...rds, configSource: pathSource(around.routesFile(routes)) }
  return {
    ...filter,
    typedConfig: {
      ...manager,
      ...(routes === '' ? {} : { rds: fromFile }),
      httpFilters: objectsAt(manager, 'httpFilters').map((http) => markerFor(http, DOWNSTREAM)),
      accessLog: [...objectsAt(manager, 'accessLog'), accessLog(around.accessLogFile)],
    },
  }
}

/** Names of the RouteConfigurations that a listener wants by RDS. */
export function routeNamesOf(listener: JsonObject): string[] {
  const names = objectsAt(listener, 'filterChains')
    .flatMap((chain) => objectsAt(chain, 'filters'))
    .map((filter) => textAt(objectAt(objectAt(filter, 'typedConfig'), 'rds'), 'routeConfigName'))
  return [...new Set(names.filter((name) => name !== ''))]
}

/** The cluster with its endpoints from a file, and Cilium's upstream filter replaced by a marker. */
export function neutraliseCluster(cluster: JsonObject, around: Surroundings): JsonObject {
  const options = objectAt(cluster, 'typedExtensionProtocolOptions')
  const http = options[HTTP_OPTIONS]
  const filters = isObject(http) ? objectsAt(http, 'httpFilters') : []
  const edsConfig = pathSource(around.endpointsFile(serviceNameOf(cluster)))
  return {
    ...cluster,
    ...(cluster['type'] === 'EDS'
      ? { edsClusterConfig: { ...objectAt(cluster, 'edsClusterConfig'), edsConfig } }
      : {}),
    ...(isObject(http) && filters.length > 0
      ? {
          typedExtensionProtocolOptions: {
            ...options,
            [HTTP_OPTIONS]: {
              ...http,
              httpFilters: filters.map((filter) => markerFor(filter, UPSTREAM)),
            },
          },
        }
      : {}),
  }
}

/** The endpoints of an EDS cluster: the one upstream. */
export function endpointsOf(cluster: JsonObject, around: Surroundings): JsonObject {
  const endpoint = { address: socketAddress(around.upstreamPort) }
  return {
    '@type': `${TYPE}.config.endpoint.v3.ClusterLoadAssignment`,
    clusterName: serviceNameOf(cluster),
    endpoints: [{ lbEndpoints: [{ endpoint }] }],
  }
}

export function serviceNameOf(cluster: JsonObject): string {
  const service = textAt(objectAt(cluster, 'edsClusterConfig'), 'serviceName')
  return service === '' ? textAt(cluster, 'name') : service
}

/** `file` is read again whenever another file is renamed to it; a write in place is never seen. */
export function pathSource(file: string): JsonObject {
  return { pathConfigSource: { path: file }, resourceApiVersion: 'V3' }
}

function isCilium(filter: JsonObject): boolean {
  return textAt(objectAt(filter, 'typedConfig'), '@type').startsWith(CILIUM_TYPE)
}

const DOWNSTREAM = {
  requestMutations: [header('x-l7-req', '1')],
  responseMutations: [
    header('x-l7-resp', 'seen-req=%REQ(x-l7-req)% path=%REQ(:path)% code=%RESPONSE_CODE%'),
  ],
}
const UPSTREAM = {
  responseMutations: [header('x-l7-upstream', 'would=%REQ(x-weir-would-limit)%')],
}

function markerFor(filter: JsonObject, mutations: JsonObject): JsonObject {
  if (!isCilium(filter)) return filter
  return {
    name: filter['name'],
    typedConfig: {
      '@type': `${TYPE}.extensions.filters.http.header_mutation.v3.HeaderMutation`,
      mutations,
    },
  }
}

function header(key: string, value: string): JsonObject {
  return { append: { header: { key, value }, appendAction: 'OVERWRITE_IF_EXISTS_OR_ADD' } }
}

function accessLog(path: string): JsonObject {
  return {
    name: 'envoy.access_loggers.file',
    typedConfig: {
      '@type': `${TYPE}.extensions.access_loggers.file.v3.FileAccessLog`,
      path,
      logFormat: { jsonFormat: ACCESS_LOG_FORMAT },
    },
  }
}

function socketAddress(port: number): JsonObject {
  return { socketAddress: { address: '127.0.0.1', portValue: port } }
}
