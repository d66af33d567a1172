import fc from 'fast-check'
import { expect, it } from 'vitest'
import {
  exactPattern,
  type PathPattern,
  prefixPattern,
  regexPattern,
} from '../../../src/identity/path-pattern.ts'
import { SegmentIndex } from '../../../src/identity/segment-index.ts'

const word = fc.constantFrom('a', 'b', 'v1', '')
const literal = fc.array(word, { maxLength: 4 }).map((parts) => `/${parts.join('/')}`)
const varying = fc
  .array(fc.constantFrom('a', 'b', '([^/]+)', '([^/]*)', 'x([^/]+)', '(.*)', 'a?'), {
    minLength: 1,
    maxLength: 4,
  })
  .chain((parts) => fc.constantFrom(`/${parts.join('/')}`, `/${parts.join('/')}/?`))
const pattern = fc.oneof(
  literal.map((path) => exactPattern(path)),
  literal.map((path) => exactPattern(path, true)),
  literal.map(prefixPattern),
  varying.map(regexPattern),
)
const path = fc.oneof(
  literal,
  literal.map((text) => `${text}/`),
  fc.constantFrom('', '*', '/\0'),
)

it('finds everything that matches, with few patterns and with many', () => {
  const property = fc.property(
    fc.array(pattern, { minLength: 1, maxLength: 60 }),
    fc.array(path, { minLength: 10, maxLength: 10 }),
    (patterns, paths) => {
      const index = new SegmentIndex<PathPattern>()
      const all = patterns.filter((one) => typeof one !== 'string')
      for (const one of all) index.add(one, one)
      for (const asked of paths) {
        const near = new Set<PathPattern>()
        index.near(asked, (found) => near.add(found))
        const missed = all.filter((one) => one.matches(asked) && !near.has(one))
        expect([asked, missed.map(({ source }) => source)]).toEqual([asked, []])
      }
    },
  )
  fc.assert(property, { numRuns: 500 })
})

it('passes by what is elsewhere', () => {
  const index = new SegmentIndex<number>()
  for (let n = 0; n < 1_000; n++) index.add(prefixPattern(`/api-${n}/v1`), n)
  const near: number[] = []
  index.near('/api-7/v1/orders', (found) => near.push(found))
  expect(near).toEqual([7])
})
