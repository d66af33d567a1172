import type { Api } from '../model/api.ts'
import { type ApiDefinition, parseDefinition, readDefinition } from './api-definition.ts'
import { apkRoutesOf } from './apk-routes.ts'
import { addressesOf, type BackendAddress, DP_GROUP } from './backend-refs.ts'
import { gatewayRoutesOf } from './gateway-api-routes.ts'
import {
  backendRefOf,
  GATEWAY_GROUP,
  hostsOf,
  pathRewriteOf,
  type RouteRule,
  rulesOf,
} from './http-route.ts'
import {
  fieldOf,
  type KubernetesObject,
  keyOfObject,
  listOf,
  namespaceOf,
  type ObjectIndex,
  stringsOf,
  textOf,
  titleOf,
} from './kubernetes-object.ts'
import type { CatalogueProblem, Route } from './route.ts'

export interface ReadRoutes {
  /** Every API that the objects declare, those without a route too. */
  readonly apis: readonly Api[]
  readonly routes: readonly Route[]
}

const LEGS = ['production', 'sandbox'] as const
const ENV_ANNOTATION = 'gateway.envoyproxy.io/kgw-envtype'
const PLAIN_NAME_LABELS = ['weir.dev/api', 'kgw.wso2.com/name']
const PLAIN_VERSION_LABELS = [
  'weir.dev/version',
  'kgw.wso2.com/version',
  'version',
  'app.kubernetes.io/version',
]

/** Reads all routes of a set of objects: APK's API CRs first, then what the Gateway API serves without one. */
export function readRoutes(
  objects: ObjectIndex,
  report: (problem: CatalogueProblem) => void,
): ReadRoutes {
  const reader = new RouteReader(objects, report)
  for (const cr of objects.all(DP_GROUP, 'API')) reader.readApi(cr)
  for (const kind of ['HTTPRoute', 'GRPCRoute']) {
    for (const route of objects.all(GATEWAY_GROUP, kind)) reader.readPlain(route)
  }
  return { apis: [...reader.apis.values()], routes: reader.routes }
}

class RouteReader {
  readonly apis = new Map<string, Api>()
  readonly routes: Route[] = []
  readonly #objects: ObjectIndex
  readonly #report: (problem: CatalogueProblem) => void
  /** Routes that an API CR refers to: its rules count, not those of the Gateway API. */
  readonly #taken = new Set<KubernetesObject>()
  readonly #definitions = new Map<string, ApiDefinition | null>()

  constructor(objects: ObjectIndex, report: (problem: CatalogueProblem) => void) {
    this.#objects = objects
    this.#report = report
  }

  readApi(cr: KubernetesObject): void {
    const spec = fieldOf(cr, 'spec')
    const legs = LEGS.map((leg) => {
      const names = refsOf(fieldOf(spec, leg))
      return { leg, routes: this.#routesNamed(cr, names) }
    })
    if (fieldOf(spec, 'systemAPI') === true) return
    const refusal = refusalOf(cr)
    if (refusal !== null) return this.#problem(cr, refusal)
    const served = legs.filter(({ routes }) => routes.length > 0)
    // An API whose routes are missing is still an API.
    for (const { leg, routes } of served.length > 0 ? served : legs.slice(0, 1)) {
      const api = this.#intern(apkApiOf(cr, leg))
      for (const route of routes) this.#readApkRoute(cr, api, route)
    }
  }

  #readApkRoute(cr: KubernetesObject, api: Api, route: KubernetesObject): void {
    const shared = {
      api,
      isDefaultVersion: fieldOf(cr, 'spec', 'isDefaultVersion') === true,
      hosts: this.#hostsOf(route),
      grpc: route.kind === 'GRPCRoute',
      definition: this.#definitionOf(cr, textOf(cr, 'spec', 'definitionFileRef'), ''),
    }
    const problem = (reason: string): void => this.#problem(route, reason)
    for (const rule of route.kind === 'GQLRoute' ? [graphqlRuleOf(route)] : rulesOf(route)) {
      const addresses = this.#addressesOf(route, rule)
      for (const match of rule.matches) {
        this.routes.push(...apkRoutesOf(shared, rule, match, addresses, problem))
      }
    }
  }

  readPlain(route: KubernetesObject): void {
    if (this.#taken.has(route)) return
    const hosts = this.#hostsOf(route)
    for (const read of rulesOf(route)) {
      const rule = this.#withRewriteFilter(read)
      const metadata = this.#metadataOf(route, rule)
      const api = this.#intern(
        metadata === undefined ? plainApiOf(route) : metadataApiOf(metadata, route, hosts),
      )
      const definition =
        metadata === undefined
          ? null
          : this.#definitionOf(
              metadata,
              textOf(metadata, 'spec', 'api', 'definitionFileRef'),
              textOf(metadata, 'spec', 'api', 'definition'),
            )
      const addresses = this.#addressesOf(route, rule)
      const problem = (reason: string): void => this.#problem(route, reason)
      for (const match of rule.matches) {
        const shared = { api, hosts, definition }
        this.routes.push(...gatewayRoutesOf(shared, rule, match, addresses, problem))
      }
    }
  }

  #problem(object: KubernetesObject, reason: string): void {
    this.#report({ object: titleOf(object), reason })
  }

  #intern(api: Api): Api {
    const key = [api.id, api.name, api.version, api.context, api.environment].join('\n')
    const known = this.apis.get(key)
    if (known !== undefined) return known
    this.apis.set(key, api)
    return api
  }

  #routesNamed(cr: KubernetesObject, names: readonly string[]): KubernetesObject[] {
    const namespace = namespaceOf(cr)
    return names.flatMap((name) => {
      const route =
        this.#objects.get(GATEWAY_GROUP, 'HTTPRoute', namespace, name) ??
        this.#objects.get(DP_GROUP, 'GQLRoute', namespace, name) ??
        this.#objects.get(GATEWAY_GROUP, 'GRPCRoute', namespace, name)
      if (route !== undefined) {
        this.#taken.add(route)
        return [route]
      }
      this.#problem(cr, `its route ${name} is not there`)
      return []
    })
  }

  #hostsOf(route: KubernetesObject): string[] {
    return hostsOf(route, (namespace, name) =>
      this.#objects.get(GATEWAY_GROUP, 'Gateway', namespace, name),
    )
  }

  #addressesOf(route: KubernetesObject, rule: RouteRule): BackendAddress[] {
    return rule.backends.flatMap((ref) => {
      const addresses = addressesOf(ref, this.#objects)
      if (typeof addresses !== 'string') return addresses
      this.#problem(route, addresses)
      return []
    })
  }

  #definitionOf(owner: KubernetesObject, name: string, inline: string): ApiDefinition | null {
    const key = inline === '' ? `${namespaceOf(owner)}/${name}` : keyOfObject(owner)
    if (name === '' && inline === '') return null
    const known = this.#definitions.get(key)
    if (known !== undefined) return known
    const configMap = this.#objects.get('', 'ConfigMap', namespaceOf(owner), name)
    // A definition that is not there costs readable templates, nothing else.
    if (inline === '' && configMap === undefined) return null
    const read = configMap === undefined ? parseDefinition(inline) : readDefinition(configMap)
    if (typeof read === 'string') this.#problem(configMap ?? owner, `its definition: ${read}`)
    const definition = typeof read === 'string' ? null : read
    this.#definitions.set(key, definition)
    return definition
  }

  /** The RouteMetadata of a rule, or of the whole route by its labels where no rule can refer to it (gRPC). */
  #metadataOf(route: KubernetesObject, rule: RouteRule): KubernetesObject | undefined {
    const ref = rule.extensions.find(
      ({ group, kind }) => group === DP_GROUP && kind === 'RouteMetadata',
    )
    if (ref !== undefined) {
      const found = this.#objects.get(DP_GROUP, 'RouteMetadata', ref.namespace, ref.name)
      if (found === undefined) this.#problem(route, `its RouteMetadata ${ref.name} is not there`)
      return found
    }
    const uuid = stringsOf(route.metadata.labels).get('kgw.wso2.com/uuid')
    if (uuid === undefined) return undefined
    return this.#objects
      .all(DP_GROUP, 'RouteMetadata')
      .find(
        (metadata) =>
          namespaceOf(metadata) === namespaceOf(route) &&
          stringsOf(metadata.metadata.labels).get('kgw.wso2.com/uuid') === uuid,
      )
  }

  /** Envoy Gateway keeps rewrites by expression in an object of their own. */
  #withRewriteFilter(rule: RouteRule): RouteRule {
    const ref = rule.extensions.find(({ kind }) => kind === 'HTTPRouteFilter')
    if (ref === undefined) return rule
    const filter = this.#objects.get(ref.group, ref.kind, ref.namespace, ref.name)
    const rewrite = pathRewriteOf(fieldOf(filter, 'spec', 'urlRewrite', 'path'))
    return rewrite === null ? rule : { ...rule, rewrite }
  }
}

/** Names of the routes of one leg: `httpRouteRefs` until v1alpha1, `routeRefs` since, whatever the version says. */
function refsOf(leg: unknown): string[] {
  const entries = Array.isArray(leg) ? leg : [leg]
  return entries
    .flatMap((entry) => [...listOf(entry, 'httpRouteRefs'), ...listOf(entry, 'routeRefs')])
    .map((ref) => (typeof ref === 'string' ? ref : textOf(ref, 'name')))
    .filter((name) => name !== '')
}

/** APK's router has one route for all of GraphQL: a POST to the context. The operation is in the body. */
function graphqlRuleOf(route: KubernetesObject): RouteRule {
  const [backend] = listOf(route, 'spec', 'backendRefs')
  return {
    matches: [{ type: 'Exact', path: '', method: 'POST', headers: [], query: [] }],
    rewrite: { kind: 'full', target: '' },
    redirects: false,
    backends: backend === undefined ? [] : [backendRefOf(backend, namespaceOf(route))],
    extensions: [],
  }
}

/** Why an API CR is passed over; null where it is not. */
function refusalOf(cr: KubernetesObject): string | null {
  if (fieldOf(cr, 'status', 'deploymentStatus', 'accepted') === false) {
    return 'its deployment was not accepted, so it is not served'
  }
  if (textOf(cr, 'spec', 'basePath') !== '') return null
  const old = fieldOf(cr, 'spec', 'context') !== undefined
  return old ? 'a version before 1.0, which Weir does not read' : 'no basePath'
}

function apkApiOf(cr: KubernetesObject, leg: (typeof LEGS)[number]): Api {
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

function metadataApiOf(
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
function plainApiOf(route: KubernetesObject): Api {
  const labels = stringsOf(route.metadata.labels)
  const first = (names: readonly string[]): string =>
    names.map((name) => labels.get(name) ?? '').find((value) => value !== '') ?? ''
  const name = first(PLAIN_NAME_LABELS)
  return {
    name: name || route.metadata.name,
    version: first(PLAIN_VERSION_LABELS),
    context: '',
    type: route.kind === 'GRPCRoute' ? 'GRPC' : '',
    organization: labels.get('kgw.wso2.com/organization') ?? '',
    environment: labels.get('weir.dev/environment') ?? '',
    namespace: namespaceOf(route),
    id: labels.get('kgw.wso2.com/uuid') || `${namespaceOf(route)}/${name || route.metadata.name}`,
  }
}
