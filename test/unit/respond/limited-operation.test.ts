import fc from 'fast-check'
import { RE2JS } from 're2js'
import { describe, expect, it } from 'vitest'
import { pathExpressionOf, pathInsideOf } from '../../../src/respond/backend-path.ts'
import type { JsonObject } from '../../../src/respond/canonical-json.ts'
import { fieldAt, fieldOf, textOf } from '../../../src/respond/canonical-json.ts'
import { limitedOperationOf } from '../../../src/respond/limited-operation.ts'
import { re2ProgramBoundOf } from '../../../src/respond/re2-expression.ts'
import { API, GET_ORDER_MATCH, operationOf, POST_ORDER_MATCH } from './samples.ts'

/** How many entries take the call: what Envoy would charge. */
function entriesFor(
  entries: readonly (readonly JsonObject[])[],
  method: string,
  path: string,
): number {
  const takes = (matcher: JsonObject): boolean => {
    const value = fieldOf(matcher, 'name') === ':method' ? method : path
    const exact = fieldAt(matcher, 'string_match', 'exact')
    const regex = textOf(fieldAt(matcher, 'string_match', 'safe_regex', 'regex'))
    const matches = exact === undefined ? RE2JS.compile(regex).matches(value) : exact === value
    return matches !== (fieldOf(matcher, 'invert_match') === true)
  }
  return entries.filter((entry) => entry.every(takes)).length
}

describe('pathInsideOf()', () => {
  it.each([
    { regex: '^/orders/[^/]+$', takes: ['/orders/7', '/orders/7?a=/b/c'], not: ['/orders/7/x?'] },
    { regex: '/orders/[^/?]+', takes: ['/orders/7'], not: ['/orders/'] },
    { regex: '^/a(?:/.*)?$', takes: ['/a', '/a/b/c', '/a?x'], not: ['/ab', '/b?/a/'] },
    { regex: '^/a.*z$', takes: ['/abz', '/az?q'], not: ['/ab?z'] },
    { regex: '^/a$|^/b$', takes: ['/a', '/b?q'], not: ['/a/b', '/ab'] },
    { regex: '/\\S/x|/y', takes: ['/1/x', '/y?1'], not: ['/?/x'] },
  ])('$regex takes its paths with any query, and no more', ({ regex, takes, not }) => {
    const expression = RE2JS.compile(pathExpressionOf([pathInsideOf(regex) ?? 'none']))
    expect(takes.filter((path) => !expression.matches(path))).toEqual([])
    expect(not.filter((path) => expression.matches(path))).toEqual([])
  })
  it('refuses an anchor inside', () => {
    expect(pathInsideOf('^/a(?:b$)$')).toBeUndefined()
  })
  it.each([
    { why: 'a flag', regex: '(?i)/a' },
    { why: 'a look-ahead', regex: '/a(?!b)' },
    { why: 'a Unicode class, of a thousand instructions', regex: '/\\pL' },
    { why: 'a quoted part', regex: '/\\Qa.b\\E' },
    { why: 'an expression that does not compile', regex: '/a(' },
    { why: 'a text beyond all bounds', regex: `/${'a'.repeat(9_000)}` },
  ])('refuses $why', ({ regex }) => {
    expect(pathInsideOf(regex)).toBeUndefined()
    expect(re2ProgramBoundOf(regex)).toBe(Number.POSITIVE_INFINITY)
  })
})

// Sizes as Envoy 1.37 reported them, when it refused the expression behind a padding of known size.
it.each([
  { expression: '^(?:/orders/[^/?]+)(\\?.*)?$', size: 30 },
  { expression: '^(?:/orders(?:/[^?]*)?)(\\?.*)?$', size: 30 },
  { expression: '^(?:/a/[0-9a-f]{8}-[0-9a-f]{4})(\\?.*)?$', size: 40 },
  { expression: '^(?:/\\d+/\\w+/[^?\\s]+)(\\?.*)?$', size: 33 },
  { expression: '^(?:/é/x)(\\?.*)?$', size: 17 },
  { expression: '^(?:/[^/?]+/[^/?]+/[^/?]+/[^/?]+/[^/?]+)(\\?.*)?$', size: 67 },
  { expression: '^(?:/x|/y/[^/?]+|/z/[^/?]+/w)(\\?.*)?$', size: 41 },
])('re2ProgramBoundOf($expression) is not below what RE2 in Envoy has', ({ expression, size }) => {
  const bound = re2ProgramBoundOf(expression)
  expect(bound).toBeGreaterThanOrEqual(size)
  expect(bound).toBeLessThan(size * 2.5)
})

describe('limitedOperationOf()', () => {
  const all = { method: null, pathRegex: '^/any/.*$', template: '/any/*' }

  it('charges each call of an API once, whatever its method, and no other call', () => {
    const matches = [GET_ORDER_MATCH, POST_ORDER_MATCH, all]
    const { entries } = operationOf({ scope: 'api', matches })
    expect(entriesFor(entries, 'GET', '/orders/7?x=1')).toBe(1)
    expect(entriesFor(entries, 'POST', '/orders')).toBe(1)
    expect(entriesFor(entries, 'GET', '/any/1')).toBe(1)
    expect(entriesFor(entries, 'PUT', '/any/1')).toBe(1)
    expect(entriesFor(entries, 'POST', '/orders/7')).toBe(0)
    expect(entriesFor(entries, 'PUT', '/orders/7')).toBe(0)
  })

  it('splits an API that is too large for one expression, and still charges each call once', () => {
    const matches = Array.from({ length: 30 }, (_, i) => ({
      method: 'GET',
      pathRegex: i % 2 === 0 ? `^/things${i}/[^/]+$` : '^/things[0-9]+/special$',
      template: `/things${i}`,
    }))
    const { entries } = operationOf({ scope: 'api', matches })
    expect(entries.length).toBeGreaterThan(2)
    for (let i = 0; i < 30; i += 2) {
      expect(entriesFor(entries, 'GET', `/things${i}/special`)).toBe(1)
      expect(entriesFor(entries, 'GET', `/things${i}/x`)).toBe(1)
      expect(entriesFor(entries, 'GET', `/things${i}/x/y`)).toBe(0)
    }
  })

  it('depends on the set of matches, not on their order', () => {
    const matches = [GET_ORDER_MATCH, POST_ORDER_MATCH, all]
    expect(operationOf({ scope: 'api', matches: matches.toReversed() })).toEqual(
      operationOf({ scope: 'api', matches: [...matches, GET_ORDER_MATCH] }),
    )
  })

  it.each([
    { why: 'no match', matches: [], says: /not known/ },
    {
      why: 'a path of its own kind',
      matches: [{ ...all, pathRegex: '/a(?!b)' }],
      says: /translated/,
    },
    { why: 'a method that is none', matches: [{ ...all, method: 'get\n' }], says: /method/ },
    {
      why: 'a path too large for Envoy',
      matches: [{ ...all, pathRegex: '/[^/]+'.repeat(20) }],
      says: /too large/,
    },
  ])('refuses $why', ({ matches, says }) => {
    const scope = { api: API, operation: null, scope: 'api', matches } as const
    expect(limitedOperationOf(scope)).toEqual({ refusal: expect.stringMatching(says) })
  })

  it('gives no two operations or scopes of a Service one slug, and none is `any`', () => {
    const word = fc.constantFrom('a', 'b', 'A', 'a-b', 'any', '%')
    const scopes = fc.uniqueArray(
      fc.record({
        name: word,
        method: fc.constantFrom('GET', 'POST'),
        template: word,
        scope: fc.constantFrom('operation' as const, 'api' as const),
      }),
      { selector: (s) => JSON.stringify(s.scope === 'api' ? [s.name] : s), minLength: 2 },
    )
    const property = fc.property(scopes, (many) => {
      const slugs = many.map(({ name, method, template, scope }) => {
        const api = { ...API, id: name, name }
        return operationOf({ api, operation: { method, template }, scope }).slug
      })
      return (
        new Set(slugs).size === slugs.length &&
        slugs.every((slug) => /^([a-z0-9]+-)*[0-9a-f]{8}$/.test(slug))
      )
    })
    fc.assert(property)
  })
})
