import { describe, expect, it } from 'vitest'
import { groupsOf, quoteMeta, tokensOf } from '../../../src/identity/regex-source.ts'

describe('groupsOf()', () => {
  it.each([
    { why: 'in order', source: '/a/([^/]+)/b/(.*)', groups: ['[^/]+', '.*'] },
    { why: 'outer before inner', source: '((a)b)', groups: ['(a)b', 'a'] },
    { why: 'named ones', source: '(?P<id>\\d+)', groups: ['\\d+'] },
    { why: 'not those that capture nothing', source: '(?:a)(b)', groups: ['b'] },
    { why: 'not in classes or escapes', source: '[(]\\((x)', groups: ['x'] },
    { why: 'a class that begins with its bracket', source: '([]a/]+)', groups: ['[]a/]+'] },
    { why: 'nothing of what does not end', source: '(a', groups: [] },
  ])('counts groups $why: $source', ({ source, groups }) => {
    expect(groupsOf(source)).toEqual(groups)
  })
})

describe('tokensOf()', () => {
  it('splits text and what varies', () => {
    expect(tokensOf('^/a\\.b/([^/]+)x?$')).toEqual([
      ...['/a', '.', 'b/'].map((literal) => ({ literal })),
      { source: '[^/]+' },
      { source: 'x?' },
    ])
  })
  it.each(['a|b', 'a)b', '[a', '(a', 'a$b'])('does not split %s', (source) => {
    expect(tokensOf(source)).toBeNull()
  })
})

it('quotes what RE2 would read as more than text', () => {
  expect(quoteMeta('/a.b/(c)+')).toBe('/a\\.b/\\(c\\)\\+')
})
