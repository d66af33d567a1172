import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Catalogue } from '../../../src/identity/catalogue.ts'
import type { KubernetesObject } from '../../../src/identity/kubernetes-object.ts'
import { type ForwardApi, sentByApk } from './apk-router.ts'
import { atBackend, atGateway } from './asking.ts'
import { apiCr, backend, httpRoute, type RuleFields, rule } from './objects.ts'

const quoted = (text: string): string => text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')
const bare = (text: string): string => text.replace(/\/$/, '')
const word = fc.constantFrom('a', 'b', 'orders', 'v1.0', '1.0.0')
const literal = fc.array(word, { maxLength: 3 }).map((parts) => `/${parts.join('/')}`)
const slashed = fc
  .tuple(literal, fc.boolean())
  .map(([path, more]) => (more ? `${bare(path)}/` : path))
const groups = fc
  .array(fc.oneof(word, fc.constantFrom('([^/]+)', '(.*)', '([0-9]+)')), {
    minLength: 1,
    maxLength: 4,
  })
  .map((parts) => ({
    path: `/${parts.map((part) => (part.startsWith('(') ? part : quoted(part))).join('/')}`,
    count: parts.filter((part) => part.startsWith('(')).length,
  }))
const rules: fc.Arbitrary<RuleFields> = fc.oneof(
  fc.record({ path: slashed, type: fc.constantFrom('Exact', 'PathPrefix') }),
  fc.record({ path: slashed, type: fc.constantFrom('Exact', 'PathPrefix'), full: slashed }),
  fc.record({ path: slashed, type: fc.constant('PathPrefix'), prefix: slashed }),
  groups.chain(({ path, count }) =>
    fc
      .array(
        fc.oneof(
          word,
          // One more than there are groups: the slash at the end.
          fc.integer({ min: 1, max: count + 1 }).map((n) => `\\${n}`),
        ),
        { maxLength: 4 },
      )
      .map((parts) => ({ path, type: 'RegularExpression', full: `/${parts.join('/')}` })),
  ),
)
const api = fc.record({
  before: fc.constantFrom('', '/base', '/base/'),
  separator: fc.constantFrom('/', '.'),
  slash: fc.constantFrom('', '', '/'),
  isDefaultVersion: fc.boolean(),
  rules: fc.array(fc.tuple(rules, fc.constantFrom(undefined, 'GET', 'POST')), {
    minLength: 1,
    maxLength: 4,
  }),
})
const tail = fc.array(fc.constantFrom('a', 'b', 'orders', 'v1.0', '1.0.0', '7', 'x-y', ''), {
  maxLength: 5,
})

/** Other people's APIs on the same host and the same Service. */
const FOREIGN: readonly KubernetesObject[] = Array.from({ length: 300 }, (_, n) => [
  apiCr(`foreign-${n}`, { production: [{ routeRefs: [`f-${n}`] }] }),
  httpRoute(
    `f-${n}`,
    ['gw.example.com'],
    [
      rule({ path: `/x${n}`, backend: 'foreign' }),
      rule({
        path: `/y${n}/(.*)`,
        type: 'RegularExpression',
        full: `/y${n}/\\1`,
        backend: 'foreign',
      }),
    ],
  ),
]).flat()

it.each([
  { beside: 'nothing else', foreign: [], runs: 300 },
  { beside: '300 others', foreign: [...FOREIGN, backend('foreign', 'shared.shop')], runs: 30 },
])('always finds the true API on both legs, beside $beside', ({ foreign, runs }) => {
  let reached = 0
  const property = fc.property(
    fc.array(api, { minLength: 1, maxLength: 3 }),
    fc.nat(2),
    fc.array(tail, { minLength: 8, maxLength: 8 }),
    (apis, index, tails) => {
      const made = apis.map(({ separator, slash }, n) => `/api-${n}${separator}1.0.0${slash}`)
      const catalogue = new Catalogue([
        ...foreign,
        ...apis.flatMap(({ before, isDefaultVersion, rules: own }, n) => [
          apiCr(`api-${n}`, {
            basePath: made[n],
            isDefaultVersion,
            production: [{ routeRefs: [`r-${n}`] }],
          }),
          httpRoute(
            `r-${n}`,
            ['gw.example.com'],
            own.map(([fields, method]) =>
              rule({ ...fields, ...(method && { method }), backend: `b-${n}` }),
            ),
          ),
          backend(`b-${n}`, 'shared.shop', 8080, before),
        ]),
      ])
      expect(catalogue.problems).toEqual([])
      const n = index % apis.length
      const chosen = apis[n]
      const context = made[n]
      if (chosen === undefined || context === undefined) return
      const forward: ForwardApi = { ...chosen, context, version: '1.0.0' }
      const short = context.replace(/[./]1\.0\.0/, '')
      for (const start of [context, short]) {
        for (const rest of tails) {
          const path = `${start}/${rest.join('/')}`
          for (const [fields, method] of chosen.rules) {
            const own = { ...fields, ...(method && { method }) }
            const asked = method ?? 'GET'
            const sent = sentByApk(forward, own, asked, path)
            if (sent === null) continue
            reached++
            const inFront = atGateway(catalogue, 'gw.example.com', path, asked)
            expect(inFront.api?.name).toBe(`api-${n}`)
            // Whoever merges slashes first may find no route.
            expect(inFront.confidence).toBe(path.includes('//') ? inFront.confidence : 'exact')
            expect(['exact', 'high']).toContain(inFront.confidence)
            const behind = atBackend(catalogue, sent, {
              service: 'shop/shared',
              port: 8080,
              method: asked,
              host: 'shared.shop',
            })
            expect(behind.candidates.map(({ name }) => name)).toContain(`api-${n}`)
            expect(['high', 'ambiguous']).toContain(behind.confidence)
          }
        }
      }
    },
  )
  fc.assert(property, { numRuns: runs })
  expect(reached).toBeGreaterThan(runs)
})
