import type { Api } from '../model/api.ts'
import {
  fieldOf,
  type KubernetesObject,
  namespaceOf,
  stringsOf,
  textOf,
} from './kubernetes-object.ts'

export type Leg = 'production' | 'sandbox'

const ENV_ANNOTATION = 'gateway.envoyproxy.io/kgw-envtype'
const NAME_LABELS = ['weir.dev/api', 'kgw.wso2.com/name']
const VERSION_LABELS = [
  'weir.dev/version',
  'kgw.wso2.com/version',
  'version',
  'app.kubernetes.io/version',
]

/** Why an API CR is passed over; null where it is not. */
export function refusalOf(cr: KubernetesObject): string | null {
  if (fieldOf(cr, 'status', 'deploymentStatus', 'accepted') === false) {
    return 'its deployment was not accepted, so it is not served'
  }
  if (textOf(cr, 'spec', 'basePath') !== '') return null
  const old = fieldOf(cr, 'spec', 'context') !== undefined
  return old ? 'a version before 1.0, which Weir does not read' : 'no basePath'
}

/** One side of an API CR of APK 1.x. */
export function apkApiOf(cr: KubernetesObject, leg: Leg): Api {
  const spec = fieldOf(cr, 'spec')
  const path = `${namespaceOf(cr)}/${cr.metadata.name}`
  return {
    name: textOf(spec, 'apiName') || cr.metadata.name,
    version: textOf(spec, 'apiVersion'),
    context: textOf(spec, 'basePath'),
    type: textOf(spec, 'apiType'),
    organization: textOf(spec, 'organization'),
    environment: leg === 'sandbox' ? leg : textOf(spec, 'environment') || leg,
    namespace: namespaceOf(cr),
    id: stringsOf(cr.metadata.labels).get('apiUUID') || path,
  }
}

/** The API of a RouteMetadata, as one of its routes serves it. `hosts`: the route's. */
export function metadataApiOf(
  metadata: KubernetesObject,
  route: KubernetesObject,
  hosts: readonly string[],
): Api {
  const api = fieldOf(metadata, 'spec', 'api')
  // One RouteMetadata is shared by production and sandbox: only the route tells them apart.
  const leg = stringsOf(route.metadata.annotations).get(ENV_ANNOTATION)?.toLowerCase()
  const sandbox =
    leg === undefined ? hosts.some((host) => /(?:^|\.)sandbox\./.test(host)) : leg === 'sandbox'
  const environment = textOf(api, 'environment') || textOf(api, 'envType') || 'production'
  return {
    name: textOf(api, 'name') || metadata.metadata.name,
    version: textOf(api, 'version'),
    context: textOf(api, 'context'),
    type: textOf(api, 'type'),
    organization: textOf(api, 'organization'),
    environment: sandbox ? 'sandbox' : environment,
    namespace: namespaceOf(metadata),
    id: textOf(api, 'uuid') || `${namespaceOf(metadata)}/${metadata.metadata.name}`,
  }
}

/** A route without an API object is an API itself, by its labels or its name. */
export function plainApiOf(route: KubernetesObject): Api {
  const labels = stringsOf(route.metadata.labels)
  const first = (names: readonly string[]): string =>
    names.map((name) => labels.get(name) ?? '').find((value) => value !== '') ?? ''
  const name = first(NAME_LABELS)
  return {
    name: name || route.metadata.name,
    version: first(VERSION_LABELS),
    context: '',
    type: route.kind === 'GRPCRoute' ? 'GRPC' : '',
    organization: labels.get('kgw.wso2.com/organization') ?? '',
    environment: labels.get('weir.dev/environment') ?? '',
    namespace: namespaceOf(route),
    id: labels.get('kgw.wso2.com/uuid') || `${namespaceOf(route)}/${name || route.metadata.name}`,
  }
}
