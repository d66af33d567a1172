import type { Api } from '../model/api.ts'
import { type ApiDefinition, readDefinition } from './api-definition.ts'
import { NO_EDITS } from './http-route.ts'
import {
  type KubernetesObject,
  namespaceOf,
  type ObjectIndex,
  stringsOf,
  titleOf,
} from './kubernetes-object.ts'
import { regexPattern } from './path-pattern.ts'
import { regexOfTemplate } from './path-template.ts'
import { quoteMeta } from './regex-source.ts'
import type { Route } from './route.ts'

/** Label of a ConfigMap: its document describes that Service, of its own namespace. */
export const DOCUMENT_LABEL = 'weir.dev/service'
/** As labels or as annotations, which may have blanks in them; else what the document says. */
const NAME = 'weir.dev/api'
const VERSION = 'weir.dev/version'

export interface DocumentedApi {
  readonly api: Api
  readonly definition: ApiDefinition
  readonly routes: readonly Route[]
}

/**
 * APIs that OpenAPI documents declare for a Service, by `NAMESPACE/SERVICE`; of several documents for
 * one Service the last counts. A ConfigMap speaks for Services of its own namespace only.
 */
export function documentedApis(
  objects: ObjectIndex,
  problem: (object: KubernetesObject, reason: string) => void,
): Map<string, DocumentedApi> {
  const byService = new Map<string, DocumentedApi>()
  for (const configMap of objects.all('', 'ConfigMap')) {
    const said = new Map([
      ...stringsOf(configMap.metadata.labels),
      ...stringsOf(configMap.metadata.annotations),
    ])
    const service = stringsOf(configMap.metadata.labels).get(DOCUMENT_LABEL) ?? ''
    if (service === '') continue
    const definition = readDefinition(configMap)
    if (typeof definition === 'string') problem(configMap, `its definition: ${definition}`)
    else if (definition.operations.length === 0) problem(configMap, 'it declares no operation')
    else {
      const api = apiOf(configMap, service, definition, said)
      const routes = routesOf(configMap, service, api, definition)
      byService.set(`${namespaceOf(configMap)}/${service}`, { api, definition, routes })
    }
  }
  return byService
}

function apiOf(
  configMap: KubernetesObject,
  service: string,
  { title, version, basePath }: ApiDefinition,
  said: ReadonlyMap<string, string>,
): Api {
  const namespace = namespaceOf(configMap)
  return {
    name: said.get(NAME) || title || service,
    version: said.get(VERSION) || version,
    context: basePath,
    type: 'REST',
    organization: '',
    environment: '',
    namespace,
    id: `${namespace}/${configMap.metadata.name}`,
  }
}

function routesOf(
  configMap: KubernetesObject,
  service: string,
  api: Api,
  { operations, basePath }: ApiDefinition,
): Route[] {
  const backend = {
    namespace: namespaceOf(configMap),
    service,
    host: '',
    port: 0,
    sentHost: '',
    mirror: false,
  }
  return operations.flatMap(({ method, template }, index): Route[] => {
    const path = regexPattern(`${quoteMeta(basePath)}${regexOfTemplate(template)}`)
    if (typeof path === 'string') return []
    return [
      {
        api,
        operation: { method, template },
        origin: { object: titleOf(configMap), rule: index + 1 },
        model: 'gateway-api',
        method,
        entries: [],
        path,
        rank: { kind: 1, length: path.source.length, method: true, anyService: false },
        headers: [],
        query: [],
        last: false,
        edits: NO_EDITS,
        sentHost: '',
        backwards: null,
        backends: [{ ...backend, paths: [path] }],
      },
    ]
  })
}
