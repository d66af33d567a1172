import fc from 'fast-check'
import { RE2JS } from 're2js'
import { describe, expect, it } from 'vitest'
import {
  exactPattern,
  type PathPattern,
  prefixPattern,
  regexPattern,
} from '../../../src/identity/path-pattern.ts'

function regex(source: string): PathPattern {
  const pattern = regexPattern(source)
  if (typeof pattern === 'string') throw new Error(pattern)
  return pattern
}

describe('patterns', () => {
  it.each([
    { why: 'exact', pattern: exactPattern('/a'), yes: ['/a'], no: ['/a/', '/ab', '/A', ''] },
    { why: 'exact or slash', pattern: exactPattern('/a', true), yes: ['/a', '/a/'], no: ['/a//'] },
    {
      why: 'prefix',
      pattern: prefixPattern('/a/'),
      yes: ['/a', '/a/', '/a/b/c'],
      no: ['/ab', '/'],
    },
    { why: 'root prefix', pattern: prefixPattern('/'), yes: ['/', '/a', '//'], no: ['a'] },
    { why: 'one segment', pattern: regex('/a/([^/]+)'), yes: ['/a/7'], no: ['/a/', '/a/7/8'] },
    { why: 'the rest', pattern: regex('/a/(.*)'), yes: ['/a/', '/a/7/8'], no: ['/a', '/a/\n'] },
    {
      why: 'engine',
      pattern: regex('/a/(\\d+|x)'),
      yes: ['/a/12', '/a/x'],
      no: ['/a/y', '/a/12/'],
    },
    { why: 'whole path', pattern: regex('a|/b'), yes: ['a', '/b'], no: ['/ab', 'ab'] },
    {
      why: 'a word of JavaScript',
      pattern: regex('/(constructor)'),
      yes: ['/constructor'],
      no: ['/x'],
    },
  ])('$why', ({ pattern, yes, no }) => {
    expect(yes.filter((path) => !pattern.matches(path))).toEqual([])
    expect(no.filter((path) => pattern.matches(path))).toEqual([])
    const source = RE2JS.compile(pattern.source)
    for (const path of yes.filter((path) => path !== '')) expect(source.testExact(path)).toBe(true)
    for (const path of no) expect(source.testExact(path)).toBe(false)
  })

  it.each(['(?!a)', '(?<=a)b', '(a)\\1', '[', '(', 'a{1001}'])(
    'refuses %s with a reason',
    (source) => {
      expect(regexPattern(source)).toEqual(expect.stringMatching(/.+/))
    },
  )

  it('refuses an expression of more than 2,048 characters', () => {
    expect(regexPattern('a'.repeat(2_048))).not.toEqual(expect.any(String))
    expect(regexPattern('a'.repeat(2_049))).toMatch(/2049 characters/)
  })

  it('refuses what is short to write and long to run', () => {
    expect(regexPattern('(?:(?:[a-z]{30}){30}[0-9]{100}){3}')).toEqual(expect.any(String))
    expect(regexPattern('[a-z]{1000}[0-9]{1000}[a-f]{1000}[x-z]{1000}.{1000}.{900}')).toMatch(
      /instr/,
    )
  })

  it('answers for a hostile path at once', () => {
    const pattern = regex('/(a*)*b')
    const started = performance.now()
    expect(pattern.matches(`/${'a'.repeat(50_000)}`)).toBe(false)
    expect(performance.now() - started).toBeLessThan(2_000)
  })

  it.each([
    { source: '/a/b/([^/]+)', segments: 2, fixed: '/a/b/\0' },
    { source: '/a/([^/]+)/b/?', segments: 2, fixed: '/a/\0/b' },
    { source: '/a/([^/]+)(.*)', segments: 1, fixed: '/a' },
    { source: '/a/([^/]*)/b', segments: 2, fixed: '/a' },
    { source: '/a/b/?', segments: 2, fixed: '/a/b' },
    { source: '/a/b(.*)', segments: 1, fixed: '/a' },
    { source: '/a([^/]+)/b', segments: 1, fixed: '' },
    { source: '/(.*)', segments: 0, fixed: '' },
    { source: '/a?/b', segments: 1, fixed: '' },
  ])('knows the fixed text of $source', ({ source, segments, fixed }) => {
    const pattern = regex(source)
    expect(pattern.literalSegments).toBe(segments)
    expect(pattern.fixed).toBe(fixed)
  })

  it('decides without the engine as the engine does', () => {
    const piece = fc.constantFrom('/', 'a', 'b.c', '([^/]+)', '[^/]*', '(.*)', '.+', '/?', 'x?')
    const path = fc
      .array(fc.constantFrom('/', 'a', 'b.c', 'x', '7', '\n'), { maxLength: 8 })
      .map((parts) => `/${parts.join('')}`)
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 7 }), path, (pieces, candidate) => {
        const source = `/${pieces.join('').replaceAll('b.c', 'b\\.c')}`
        const pattern = regexPattern(source)
        if (typeof pattern === 'string') return
        expect(pattern.matches(candidate)).toBe(RE2JS.compile(source).testExact(candidate))
      }),
      { numRuns: 2_000 },
    )
  })
})
