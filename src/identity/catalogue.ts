import type { Api, LimitTarget, Operation } from '../model/api.ts'
import { type Applications, readApplications } from './applications.ts'
import { BackendIndex } from './backend-index.ts'
import { Gateways } from './gateways.ts'
import { HostIndex } from './host-index.ts'
import { GATEWAY_GROUP } from './http-route.ts'
import { type KubernetesObject, ObjectIndex, stringsOf } from './kubernetes-object.ts'
import { limitTargetsOf } from './limit-targets.ts'
import { type ReadOptions, readRoutes } from './read-routes.ts'
import { ResolutionCache } from './resolution-cache.ts'
import type { CatalogueProblem, Route } from './route.ts'
import { ServiceIndex } from './service-index.ts'
import { labelledApis } from './service-labels.ts'

/** Enough to find an API again, such as the `api` of a finding's JSON. '' and absent say nothing. */
export type ApiReference = Partial<Omit<Api, 'name' | 'version'>> & Pick<Api, 'name' | 'version'>

export interface CatalogueApi {
  readonly api: Api
  /** Each once, in the order of declaration. */
  readonly operations: readonly Operation[]
}

const PROBLEMS_MAX = 1_000
const CILIUM_GROUP = 'cilium.io'
/** Kinds that the catalogue reads; all others are counted and passed over. */
const READ_KINDS = new Set([
  'dp.wso2.com/API',
  'dp.wso2.com/Backend',
  'dp.wso2.com/GQLRoute',
  'dp.wso2.com/RouteMetadata',
  'gateway.networking.k8s.io/Gateway',
  'gateway.networking.k8s.io/GatewayClass',
  'gateway.networking.k8s.io/ReferenceGrant',
  'gateway.networking.k8s.io/HTTPRoute',
  'gateway.networking.k8s.io/GRPCRoute',
  'gateway.envoyproxy.io/Backend',
  'gateway.envoyproxy.io/HTTPRouteFilter',
  'discovery.k8s.io/EndpointSlice',
  'cilium.io/CiliumEnvoyConfig',
  'cilium.io/CiliumClusterwideEnvoyConfig',
  'cp.wso2.com/Application',
  'cp.wso2.com/ApplicationMapping',
  'cp.wso2.com/Subscription',
  '/Service',
  '/Namespace',
  '/ConfigMap',
  '/Pod',
])

/** Everything that a catalogue is made of; whole before any of it is used. */
interface CatalogueParts {
  readonly objects: ObjectIndex
  readonly apis: readonly CatalogueApi[]
  readonly problems: readonly CatalogueProblem[]
  readonly moreProblems: number
  readonly applications: Applications
  readonly services: ServiceIndex
  readonly gateways: Gateways
  readonly hosts: HostIndex
  readonly backends: BackendIndex
  readonly documented: BackendIndex
  readonly routesByApi: ReadonlyMap<Api, Route[]>
  readonly cache: ResolutionCache
}

/** Objects that are taken up, or routes that are put into the tables, between two rests. */
const STEP = 200

/** Makes the parts, and rests often: whoever drives it may let others run. */
export function* cataloguePartsOf(
  given: readonly KubernetesObject[],
  options: ReadOptions,
): Generator<void, CatalogueParts> {
  const problems = new Map<string, CatalogueProblem>()
  let moreProblems = 0
  const objects = new ObjectIndex()
  for (const [index, object] of given.entries()) {
    objects.add(object)
    if (index % STEP === 0) yield
  }
  const services = new ServiceIndex()
  yield* services.fill(objects)
  const gateways = new Gateways(objects, services)
  yield
  const report = (problem: CatalogueProblem): void => {
    const key = `${problem.object}: ${problem.reason}`
    if (problems.size < PROBLEMS_MAX) problems.set(key, problem)
    else if (!problems.has(key)) moreProblems++
  }
  const read = yield* readRoutes(objects, options, report)
  const applications = yield* readApplications(objects, report)
  const cache = new ResolutionCache()
  const newId = (): number => cache.newOwner()
  const hosts = new HostIndex(newId)
  const backends = new BackendIndex(services, newId)
  const documented = new BackendIndex(services, newId)
  const operations = new Map<Api, Map<string, Operation>>()
  const routesByApi = new Map<Api, Route[]>()
  for (const api of read.apis) {
    operations.set(api, new Map())
    routesByApi.set(api, [])
  }
  const all = [...read.routes, ...read.documented]
  for (const [index, unshared] of all.entries()) {
    const route = withSharedOperation(unshared, operations.get(unshared.api))
    routesByApi.get(route.api)?.push(route)
    if (index < read.routes.length) {
      hosts.add(route)
      backends.add(route)
    } else documented.add(route)
    if (index % STEP === 0) yield
  }
  const apis = read.apis.map((api) => ({
    api,
    operations: [...(operations.get(api)?.values() ?? [])],
  }))
  return {
    objects,
    apis,
    problems: [...problems.values()],
    moreProblems,
    applications,
    services,
    gateways,
    hosts,
    backends,
    documented,
    routesByApi,
    cache,
  }
}

function atOnce<T>(steps: Generator<void, T>): T {
  for (;;) {
    const { done, value } = steps.next()
    if (done === true) return value
  }
}

/**
 * What the cluster declares about its APIs: an immutable snapshot, made whole from objects. What is
 * wrong with them is in `problems`; nothing in an object makes it throw. `buildCatalogue` makes a big
 * one without holding up the process.
 */
export class Catalogue {
  readonly apis: readonly CatalogueApi[]
  readonly problems: readonly CatalogueProblem[]
  /** Problems beyond those in `problems`. */
  readonly moreProblems: number
  /** Objects by `GROUP/KIND` that say nothing about APIs. */
  readonly ignoredKinds: ReadonlyMap<string, number>
  /** By their OAuth client ids. */
  readonly applications: Applications
  readonly services: ServiceIndex
  readonly gateways: Gateways
  readonly hosts: HostIndex
  readonly backends: BackendIndex
  /** Routes of OpenAPI documents: asked where no declared route leads. */
  readonly documented: BackendIndex
  /** What Services without any API are called, by `NAMESPACE/NAME`. */
  readonly labelled: ReadonlyMap<string, Api>
  /** Forgets nothing that matters: what it holds follows from the rest. */
  readonly cache: ResolutionCache
  readonly #objects: ObjectIndex
  readonly #routesByApi: ReadonlyMap<Api, Route[]>
  #byName: ReadonlyMap<string, readonly Api[]> | undefined

  constructor(
    objects: readonly KubernetesObject[],
    options: ReadOptions = {},
    parts: CatalogueParts = atOnce(cataloguePartsOf(objects, options)),
  ) {
    this.#objects = parts.objects
    this.#routesByApi = parts.routesByApi
    this.apis = parts.apis
    this.problems = parts.problems
    this.moreProblems = parts.moreProblems
    this.services = parts.services
    this.gateways = parts.gateways
    this.hosts = parts.hosts
    this.backends = parts.backends
    this.documented = parts.documented
    this.cache = parts.cache
    this.labelled = labelledApis(parts.services, parts.gateways)
    this.applications = parts.applications
    this.ignoredKinds = ignoredIn(parts.objects)
  }

  /** Whether a gateway takes requests for it: only then it can be bypassed. */
  isBehindGateway(api: Api): boolean {
    const known = this.#routesByApi.has(api) ? api : this.findApi(api)
    const routes = known === undefined ? undefined : this.#routesByApi.get(known)
    return routes?.some(({ entries }) => entries.length > 0) ?? false
  }

  /**
   * Where a limit on `api`, or on one of its operations, can be put. A backend that is no Service is
   * no target. For scope `operation` without an operation there is none.
   */
  limitTargets(
    api: Api,
    operation: Operation | null,
    scope: 'operation' | 'api',
  ): readonly LimitTarget[] {
    const found = this.findApi(api)
    const routes = found === undefined ? [] : (this.#routesByApi.get(found) ?? [])
    if (scope === 'api') return limitTargetsOf(routes)
    return limitTargetsOf(
      routes.filter(
        (route) =>
          route.operation.method === operation?.method &&
          route.operation.template === operation.template,
      ),
    )
  }

  /** The API that `reference` means; undefined where none or more than one answers to it. */
  findApi(reference: ApiReference): Api | undefined {
    const says = (own: string, asked: string | undefined): boolean =>
      asked === undefined || asked === '' || own === asked
    const named = this.apis
      .map(({ api }) => api)
      .filter(
        (api) =>
          api.name === reference.name &&
          api.version === reference.version &&
          says(api.namespace, reference.namespace) &&
          says(api.environment, reference.environment) &&
          says(api.organization, reference.organization) &&
          says(api.context, reference.context),
      )
    if (named.length === 1) return named[0]
    const exact = named.filter((api) => api.id === reference.id)
    return exact.length === 1 ? exact[0] : undefined
  }

  /** All APIs of that name and version; production and sandbox are two. */
  apisNamed(name: string, version: string): readonly Api[] {
    this.#byName ??= Map.groupBy(
      this.apis.map(({ api }) => api),
      (api) => `${api.name}\n${api.version}`,
    )
    return this.#byName.get(`${name}\n${version}`) ?? []
  }

  service(namespace: string, name: string): KubernetesObject | undefined {
    return this.services.get(namespace, name)
  }

  /** undefined: the Namespace is not in the catalogue, so its labels are not known. */
  namespaceLabels(namespace: string): ReadonlyMap<string, string> | undefined {
    const found = this.#objects.get('', 'Namespace', '', namespace)
    return found === undefined ? undefined : stringsOf(found.metadata.labels)
  }

  ciliumEnvoyConfigs(): readonly KubernetesObject[] {
    return ['CiliumEnvoyConfig', 'CiliumClusterwideEnvoyConfig'].flatMap((kind) =>
      this.#objects.all(CILIUM_GROUP, kind),
    )
  }

  httpRoutes(): readonly KubernetesObject[] {
    return this.#objects.all(GATEWAY_GROUP, 'HTTPRoute')
  }

  /** Addresses of the pods behind a Service, ready or not; empty where no EndpointSlice tells. */
  endpointAddresses(namespace: string, service: string): readonly string[] {
    return this.services.addresses(namespace, service)
  }
}

/** The same operation of an API is the same object, so that tables can be keyed by it. */
function withSharedOperation(route: Route, known: Map<string, Operation> | undefined): Route {
  const { method, template } = route.operation
  const key = `${method} ${template}`
  const operation = known?.get(key) ?? route.operation
  known?.set(key, operation)
  return operation === route.operation ? route : { ...route, operation }
}

function ignoredIn(objects: ObjectIndex): ReadonlyMap<string, number> {
  const ignored = new Map<string, number>()
  for (const [kind, count] of objects.kinds()) if (!READ_KINDS.has(kind)) ignored.set(kind, count)
  return ignored
}
