import { gunzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { demoManifests } from '../../../src/demo/manifests.ts'

interface Manifest {
  apiVersion: string
  kind: string
  metadata: { name: string; namespace?: string; labels?: Record<string, string> }
  spec: Record<string, unknown>
  binaryData?: Record<string, string>
}

const manifests = parseAllDocuments(demoManifests()).map((d) => d.toJS() as Manifest)
const ofKind = (kind: string): Manifest[] => manifests.filter((m) => m.kind === kind)
const named = (kind: string, name: unknown): Manifest => {
  const found = ofKind(kind).find((m) => m.metadata.name === name)
  if (found === undefined) throw new Error(`no ${kind} ${String(name)}`)
  return found
}

it('describes four APIs, each with all that stands behind it', () => {
  expect(ofKind('API').map(({ spec }) => spec['apiName'])).toEqual([
    'Catalog API',
    'Orders API',
    'Accounts API',
    'Payments API',
  ])
  for (const api of ofKind('API')) {
    const [{ routeRefs }] = api.spec['production'] as [{ routeRefs: string[] }]
    const route = named('HTTPRoute', routeRefs[0])
    const rules = route.spec['rules'] as { backendRefs: [{ name: string }] }[]
    const backend = named('Backend', rules[0]?.backendRefs[0].name)
    const [{ host, port }] = backend.spec['services'] as [{ host: string; port: number }]
    const service = named('Service', host.split('.')[0])
    expect(service.spec['ports']).toMatchObject([{ port }])
    expect(named('EndpointSlice', `${service.metadata.name}-1`)).toBeDefined()
    const definition = named('ConfigMap', api.spec['definitionFileRef'])?.binaryData?.['definition']
    const openApi = JSON.parse(gunzipSync(Buffer.from(definition ?? '', 'base64')).toString())
    const operations = Object.values(openApi.paths as object).flatMap((path) => Object.keys(path))
    expect(operations).toHaveLength(rules.length)
  }
})

it('opts in one namespace only', () => {
  const optedIn = ofKind('Namespace').filter((m) => m.metadata.labels?.['weir.dev/enforce'])
  expect(optedIn.map(({ metadata }) => metadata.name)).toEqual(['shop'])
})

it('says the same each time', () => {
  expect(demoManifests()).toBe(demoManifests())
})
