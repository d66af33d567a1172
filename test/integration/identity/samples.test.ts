import { existsSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { Catalogue } from '../../../src/identity/catalogue.ts'
import type { RouteMatch } from '../../../src/identity/http-route.ts'
import { rulesOf } from '../../../src/identity/http-route.ts'
import {
  fieldOf,
  type KubernetesObject,
  listOf,
  namespaceOf,
  textOf,
} from '../../../src/identity/kubernetes-object.ts'
import { readManifests } from '../../../src/identity/manifests.ts'
import { sentByApk } from '../../unit/identity/apk-router.ts'
import { atBackend, atGateway } from '../../unit/identity/asking.ts'

const SAMPLES = '../shared/samples/apk'

interface Case {
  readonly api: string
  readonly id: string
  readonly host: string
  readonly method: string
  readonly path: string
  readonly sent: string
  readonly service: string
}

/** A path that the match takes. */
function pathOf({ type, path }: RouteMatch): string {
  if (type === 'PathPrefix') return `${path.replace(/\/$/, '')}/some/7`
  return type === 'Exact' ? path : path.replace(/\(\[\^\/\][+*]\)|\(\.[*+]\)|\.\*/g, 'some')
}

/** What APK's router does with a request to each match of each API CR, by the second reading of its rules. */
function casesOf(objects: readonly KubernetesObject[]): Case[] {
  const find = (kind: string, namespace: string, name: string) =>
    objects.find((o) => o.kind === kind && namespaceOf(o) === namespace && o.metadata.name === name)
  const cases: Case[] = []
  for (const cr of objects.filter(({ kind }) => kind === 'API')) {
    const spec = cr['spec']
    const namespace = namespaceOf(cr)
    if (fieldOf(spec, 'systemAPI') === true) continue
    const names = ['production', 'sandbox'].flatMap((leg) =>
      listOf(spec, leg).flatMap((entry) => listOf(entry, 'routeRefs')),
    )
    for (const name of names) {
      const route = find('HTTPRoute', namespace, String(name))
      if (route === undefined) continue
      for (const { matches, rewrite, redirects, backends } of rulesOf(route)) {
        const [ref] = backends
        const backend = ref && find('Backend', ref.namespace, ref.name)
        const [service = '', of = ''] = textOf(
          listOf(backend, 'spec', 'services')[0],
          'host',
        ).split('.')
        if (backend === undefined || redirects || rewrite?.kind === 'regex') continue
        for (const match of matches) {
          const context = textOf(spec, 'basePath')
          const path = `${context}${pathOf(match)}`
          const method = match.method === '*' ? 'GET' : match.method
          const api = {
            context,
            version: textOf(spec, 'apiVersion'),
            isDefaultVersion: false,
            before: textOf(backend, 'spec', 'basePath'),
          }
          const target = rewrite === null ? {} : { [rewrite.kind]: rewrite.target }
          const sent = sentByApk(
            api,
            { path: match.path, type: match.type, ...target },
            method,
            path,
          )
          const host = listOf(route, 'spec', 'hostnames')[0]
          if (sent === null || typeof host !== 'string') continue
          const id = `${namespace}/${cr.metadata.name}`
          const at = `${of || namespace}/${service}`
          cases.push({ api: textOf(spec, 'apiName'), id, host, method, path, sent, service: at })
        }
      }
    }
  }
  return cases
}

describe.skipIf(!existsSync(SAMPLES))('upstream manifests', async () => {
  const { objects, problems } = existsSync(SAMPLES)
    ? await readManifests([SAMPLES])
    : { objects: [], problems: [] }
  const catalogue = new Catalogue(objects)

  it('are read, and nothing in them is fatal', () => {
    expect(problems.map(({ path }) => path.split('/').at(-1))).toEqual([
      'EmployeeServiceDefinition.json',
    ])
    expect(catalogue.problems.every(({ reason }) => reason.endsWith('is not there'))).toBe(true)
    expect(catalogue.apis.length).toBeGreaterThan(40)
    expect(catalogue.apis.every(({ operations }) => operations.length > 0)).toBe(true)
  })

  it('are all found in front of the gateway, and possible behind it', () => {
    const cases = casesOf(objects)
    expect(cases.length).toBeGreaterThan(50)
    for (const one of cases) {
      const { id, host, method, path, sent, service } = one
      const front = atGateway(catalogue, host, path, method)
      expect([one, front.candidates.map((api) => api.id)]).toEqual([
        one,
        expect.arrayContaining([id]),
      ])
      const behind = atBackend(catalogue, sent, { service, method })
      const isListed = behind.candidates.some((api) => api.id === id)
      expect([one, isListed || behind.more > 0]).toEqual([one, true])
    }
  })
})
