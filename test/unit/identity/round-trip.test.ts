import fc from 'fast-check'
import { expect, it } from 'vitest'
import { Catalogue } from '../../../src/identity/catalogue.ts'
import { resolveAtBackend, resolveAtGateway } from '../../../src/identity/resolver.ts'
import { apiCr, backend, httpRoute, type RuleFields, rule } from './objects.ts'

/**
 * APK's router, written down a second time and straight forward (wso2/apk 1.3.0,
 * adapter/internal/oasparser): the expression that it matches, and what it puts in its place.
 */
interface ForwardRoute {
  readonly match: RegExp
  readonly put: string
  readonly method: string
}
const quoted = (text: string): string => text.replace(/[\\.+*?()|[\]{}^$]/g, '\\$&')
const bare = (text: string): string => text.replace(/\/$/, '')

function forward(context: string, before: string, fields: RuleFields): ForwardRoute {
  const { path, type = 'PathPrefix', full, prefix, method = 'GET' } = fields
  const target = full ?? prefix
  const to = target === undefined ? bare(before) + path : before + target
  const keepsRest = type === 'PathPrefix' && full === undefined
  if (type === 'RegularExpression') {
    return { match: new RegExp(`^${bare(quoted(context) + path)}([/]{0,1})$`), put: to, method }
  }
  const whole = quoted(bare(context + path))
  const match = type === 'Exact' ? `^${whole}([/]{0,1})$` : `^${whole}((?:/.*)*)$`
  const put = type === 'Exact' ? to : bare(to) + (keepsRest ? '\\1' : '')
  return { match: new RegExp(match), put, method }
}

function sent({ match, put }: ForwardRoute, path: string): string | null {
  const found = match.exec(path)
  if (found === null) return null
  return put.replace(/\\(\d)/g, (_, group: string) => found[Number(group)] ?? '') || '/'
}

const word = fc.constantFrom('a', 'b', 'orders', 'v1.0')
const literal = fc.array(word, { maxLength: 3 }).map((parts) => `/${parts.join('/')}`)
const slashed = fc
  .tuple(literal, fc.boolean())
  .map(([path, more]) => (more ? `${bare(path)}/` : path))
const groups = fc
  .array(fc.oneof(word, fc.constantFrom('([^/]+)', '(.*)')), { minLength: 1, maxLength: 4 })
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
          fc.integer({ min: 1, max: Math.max(1, count) }).map((n) => `\\${n}`),
        ),
        { maxLength: 4 },
      )
      .map((parts) => ({
        path,
        type: 'RegularExpression',
        // Without groups a reference would mean the optional slash of the router's own.
        full: `/${parts.filter((part) => count > 0 || !part.startsWith('\\')).join('/')}`,
      })),
  ),
)
const api = fc.record({
  before: fc.constantFrom('', '/base', '/base/'),
  isDefaultVersion: fc.boolean(),
  rules: fc.array(fc.tuple(rules, fc.constantFrom(undefined, 'GET', 'POST')), {
    minLength: 1,
    maxLength: 4,
  }),
})
const tail = fc.array(fc.constantFrom('a', 'b', 'orders', 'v1.0', '7', 'x-y', ''), { maxLength: 5 })

it('always has the true API among the candidates, on both legs, whatever the router rewrites', () => {
  let reached = 0
  const property = fc.property(
    fc.array(api, { minLength: 1, maxLength: 3 }),
    fc.nat(2),
    fc.array(tail, { minLength: 8, maxLength: 8 }),
    (apis, index, tails) => {
      const catalogue = new Catalogue(
        apis.flatMap(({ before, isDefaultVersion, rules: own }, n) => [
          apiCr(`api-${n}`, {
            basePath: `/api-${n}/1.0.0`,
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
      )
      expect(catalogue.problems).toEqual([])
      const n = index % apis.length
      const chosen = apis[n]
      if (chosen === undefined) return
      const contexts = [`/api-${n}/1.0.0`, ...(chosen.isDefaultVersion ? [`/api-${n}`] : [])]
      for (const context of contexts) {
        for (const rest of tails) {
          const path = `${context}/${rest.join('/')}`
          for (const [fields, method] of chosen.rules) {
            const route = forward(context, chosen.before, { ...fields, ...(method && { method }) })
            const rewritten = sent(route, path)
            if (rewritten === null) continue
            reached++
            const atGateway = resolveAtGateway(catalogue, {
              method: route.method,
              host: 'gw.example.com',
              path,
              headers: null,
              query: null,
            })
            expect(atGateway.api?.name).toBe(`api-${n}`)
            expect(atGateway.confidence).toBe('exact')
            const destination = {
              service: 'shop/shared',
              ip: '',
              port: 8080,
              names: [],
              endpoint: null,
              host: '',
            }
            const atBackend = resolveAtBackend(catalogue, {
              method: route.method,
              path: rewritten,
              destination,
              behindGateway: true,
            })
            expect(atBackend.candidates.map(({ name }) => name)).toContain(`api-${n}`)
            expect(['high', 'ambiguous']).toContain(atBackend.confidence)
          }
        }
      }
    },
  )
  fc.assert(property, { numRuns: 400 })
  expect(reached).toBeGreaterThan(500)
})
