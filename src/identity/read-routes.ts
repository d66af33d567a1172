import type { Api } from '../model/api.ts'
import { type ApiDefinition, parseDefinition, readDefinition } from './api-definition.ts'
import { apkRoutesOf } from './apk-routes.ts'
import { Attachments } from './attachment.ts'
import { addressesOf, type BackendAddress, DP_GROUP } from './backend-refs.ts'
import { apkApiOf, type Leg, metadataApiOf, plainApiOf, refusalOf } from './declared-api.ts'
import { gatewayRoutesOf } from './gateway-api-routes.ts'
import {
  backendRefOf,
  GATEWAY_GROUP,
  NO_EDITS,
  type ObjectRef,
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
  textOf,
  titleOf,
} from './kubernetes-object.ts'
import { MetadataIndex } from './metadata-index.ts'
import { ReferenceGrants } from './reference-grants.ts'
import type { CatalogueProblem, Route } from './route.ts'
import { documentedApis } from './service-documents.ts'
import { versionAliases } from './version-aliases.ts'

export interface ReadRoutes {
  /** Every API that the objects declare, those without a route too. */
  readonly apis: readonly Api[]
  readonly routes: readonly Route[]
  /** What OpenAPI documents say of a Service: asked where no route leads to it. */
  readonly documented: readonly Route[]
}

export interface ReadOptions {
  /** APK's router answers to `v1` and `v1.2`, too, for the latest `v1.2.3`: its `EnableIntelligentRouting`. */
  readonly apkIntelligentRouting?: boolean
}

const LEGS: readonly Leg[] = ['production', 'sandbox']

/**
 * Reads all routes of a set of objects: APK's API CRs first, then what the Gateway API serves without
 * one, then documents. Rests after each object: whoever drives it may let others run.
 */
export function* readRoutes(
  objects: ObjectIndex,
  options: ReadOptions,
  report: (problem: CatalogueProblem) => void,
): Generator<void, ReadRoutes> {
  const reader = new RouteReader(objects, options, report)
  for (const cr of objects.all(DP_GROUP, 'API')) {
    reader.readApi(cr)
    yield
  }
  for (const kind of ['HTTPRoute', 'GRPCRoute']) {
    for (const route of objects.all(GATEWAY_GROUP, kind)) {
      reader.readPlain(route)
      yield
    }
  }
  const { apis, routes } = reader
  return {
    apis: [...apis.values(), ...[...reader.documents.values()].map(({ api }) => api)],
    routes,
    documented: [...reader.documents.values()].flatMap((document) => document.routes),
  }
}

class RouteReader {
  readonly apis = new Map<string, Api>()
  readonly routes: Route[] = []
  readonly documents: ReturnType<typeof documentedApis>
  readonly #objects: ObjectIndex
  readonly #report: (problem: CatalogueProblem) => void
  /** Routes that an API CR refers to: its rules count, not those of the Gateway API. */
  readonly #taken = new Set<KubernetesObject>()
  readonly #definitions = new Map<string, ApiDefinition | null>()
  readonly #attachments: Attachments
  readonly #grants: ReferenceGrants
  readonly #metadata: MetadataIndex
  readonly #aliases: ReadonlyMap<KubernetesObject, readonly string[]>

  constructor(
    objects: ObjectIndex,
    options: ReadOptions,
    report: (problem: CatalogueProblem) => void,
  ) {
    this.#objects = objects
    this.#report = report
    this.#attachments = new Attachments(objects)
    this.#grants = new ReferenceGrants(objects)
    this.#metadata = new MetadataIndex(objects)
    const apiCrs = options.apkIntelligentRouting === true ? objects.all(DP_GROUP, 'API') : []
    this.#aliases = versionAliases(apiCrs)
    this.documents = documentedApis(objects, (object, reason) => this.#problem(object, reason))
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
      aliases: this.#aliases.get(cr) ?? [],
      entries: this.#attachments.entriesOf(route, true, () => {}) ?? [],
      grpc: route.kind === 'GRPCRoute',
      definition: this.#definitionOf(cr, textOf(cr, 'spec', 'definitionFileRef'), ''),
    }
    const problem = (reason: string): void => this.#problem(route, reason)
    const rules = route.kind === 'GQLRoute' ? [graphqlRuleOf(route)] : rulesOf(route)
    for (const [index, rule] of rules.entries()) {
      const addresses = this.#addressesOf(route, rule, () => true)
      const of = { ...shared, origin: { object: titleOf(route), rule: index + 1 } }
      for (const match of rule.matches) {
        this.routes.push(...apkRoutesOf(of, rule, match, addresses, problem))
      }
    }
  }

  readPlain(route: KubernetesObject): void {
    if (this.#taken.has(route)) return
    const problem = (reason: string): void => this.#problem(route, reason)
    const entries = this.#attachments.entriesOf(route, false, problem)
    const hosts = entries?.flatMap((entry) => entry.hosts) ?? []
    for (const [index, read] of rulesOf(route).entries()) {
      const rule = this.#withRewriteFilter(read)
      const metadata = this.#metadataOf(route, rule)
      const api = this.#intern(
        metadata === undefined ? plainApiOf(route) : metadataApiOf(metadata, route, hosts),
      )
      // Nothing comes by way of a route that no gateway takes; its API is there all the same.
      if (entries === null) continue
      const addresses = this.#addressesOf(route, rule, (ref) => this.#grants.permits(route, ref))
      const definition =
        metadata === undefined
          ? this.#documentOf(addresses)
          : this.#definitionOf(
              metadata,
              textOf(metadata, 'spec', 'api', 'definitionFileRef'),
              textOf(metadata, 'spec', 'api', 'definition'),
            )
      const origin = { object: titleOf(route), rule: index + 1 }
      for (const match of rule.matches) {
        const shared = { api, entries, origin, definition }
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

  #addressesOf(
    route: KubernetesObject,
    rule: RouteRule,
    permits: (ref: ObjectRef) => boolean,
  ): BackendAddress[] {
    const of = (ref: ObjectRef, mirror: boolean): BackendAddress[] => {
      if (!permits(ref)) {
        const title = `${ref.kind} ${ref.namespace}/${ref.name}`
        this.#problem(route, `no ReferenceGrant of ${ref.namespace} lets it refer to ${title}`)
        return []
      }
      const addresses = addressesOf(ref, this.#objects)
      if (typeof addresses !== 'string') return addresses.map((a) => ({ ...a, mirror }))
      this.#problem(route, addresses)
      return []
    }
    const fed = rule.backends.filter(({ weight }) => weight > 0)
    return [
      ...fed.flatMap((ref) => of(ref, false)),
      ...rule.mirrors.flatMap((ref) => of(ref, true)),
    ]
  }

  /** The document of the Service behind a rule, where there is one Service, and one document of it. */
  #documentOf(addresses: readonly BackendAddress[]): ApiDefinition | null {
    const [first, ...others] = addresses.filter(({ mirror }) => !mirror)
    if (first === undefined || others.length > 0) return null
    return this.documents.get(`${first.namespace}/${first.service}`)?.definition ?? null
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
    if (ref === undefined) return this.#metadata.ofLabels(route)
    const found = this.#objects.get(DP_GROUP, 'RouteMetadata', ref.namespace, ref.name)
    if (found === undefined) this.#problem(route, `its RouteMetadata ${ref.name} is not there`)
    return found
  }

  /** Envoy Gateway keeps rewrites by expression in an object of their own. */
  #withRewriteFilter(rule: RouteRule): RouteRule {
    const ref = rule.extensions.find(({ kind }) => kind === 'HTTPRouteFilter')
    if (ref === undefined) return rule
    const filter = this.#objects.get(ref.group, ref.kind, ref.namespace, ref.name)
    const urlRewrite = fieldOf(filter, 'spec', 'urlRewrite')
    const sentHost = fieldOf(urlRewrite, 'hostname') === undefined ? rule.sentHost : undefined
    const rewrite = pathRewriteOf(fieldOf(urlRewrite, 'path')) ?? rule.rewrite
    return { ...rule, sentHost, rewrite }
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
    matches: [{ type: 'Exact', path: '', method: 'POST', headers: [], query: [], grpc: null }],
    rewrite: { kind: 'full', target: '' },
    sentHost: '',
    edits: NO_EDITS,
    redirects: false,
    backends: backend === undefined ? [] : [backendRefOf(backend, namespaceOf(route))],
    mirrors: [],
    extensions: [],
  }
}
