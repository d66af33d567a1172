import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  exactNodePattern,
  fqdnPattern,
  nodePattern,
} from '../../../../src/hubble/filter/name-pattern.ts'

describe('fqdnPattern()', () => {
  it.each([
    ['example.com', 'example.com', true],
    ['example.com', 'examplexcom', false],
    [' Example.COM. ', 'example.com', true],
    ['example.com', 'EXAMPLE.com', false],
    ['*', '', true],
    ['*', 'a.b', true],
    ['*.com', '.com', true],
    ['a*b*c', 'a.b.b.c', true],
    ['a*b*c', 'acb', false],
    ['*', 'a_b', false],
    ['a_*', 'a_b', true],
    ['*', 'A', false],
    ['**', 'ab', true],
  ])('%j matches %j: %s', (pattern, name, isMatch) => {
    expect(fqdnPattern(pattern)(name)).toBe(isMatch)
  })

  it.each(['', ' ', '.', 'a..', 'a b', 'a/b', 'ä', 'a'.repeat(2_000)])('refuses %j', (pattern) => {
    expect(() => fqdnPattern(pattern)).toThrow(/must be a name of letters/)
  })

  it('means what the expression of Hubble means', () => {
    const unit = fc.constantFrom('a', 'b', '.', '-', '_', '*', 'a*')
    const pattern = fc.string({ unit, minLength: 1, maxLength: 8 })
    const name = fc.string({ unit: fc.constantFrom('a', 'b', '.', '-', '_'), maxLength: 10 })
    fc.assert(
      fc.property(pattern, name, (text, subject) => {
        const glob = text.replace(/\.$/, '')
        fc.pre(glob !== '' && !glob.endsWith('.'))
        const source = glob.replaceAll('.', '\\.').replaceAll('*', '[-.0-9a-z]*')
        expect(fqdnPattern(text)(subject)).toBe(new RegExp(`^(?:${source})$`).test(subject))
      }),
      { numRuns: 2_000 },
    )
  })

  it('a name that is made to be slow is not', () => {
    const matches = fqdnPattern(`${'a*'.repeat(30)}b`)
    const startedMs = performance.now()
    expect(matches('a'.repeat(1_000))).toBe(false)
    expect(matches('a'.repeat(1_000_000))).toBe(false)
    expect(performance.now() - startedMs).toBeLessThan(1_000)
  })
})

describe('nodePattern()', () => {
  it.each([
    ['n1', 'n1', true],
    ['n1', 'east/n1', true],
    ['n1', 'n10', false],
    ['n1*', 'n10', true],
    ['east/', 'east/n1', true],
    ['east/', 'east/', false],
    ['east/n*', 'east/n1', true],
    ['east/n*', 'n1', false],
    ['default/n1', 'n1', true],
    ['def*/', 'n1', true],
    ['/n1', 'west/n1', true],
    ['/', 'west/n1', true],
    ['n1', 'a/b/n1', false],
    ['n1', 'East/n1', false],
    ['*', '', false],
    ['*', '/', false],
  ])('%j matches %j: %s', (pattern, name, isMatch) => {
    expect(nodePattern(pattern)(name)).toBe(isMatch)
  })

  it.each(['', 'a/b/c', 'a b', 'a/b!'])('refuses %j', (pattern) => {
    expect(() => nodePattern(pattern)).toThrow(/must be/)
  })
})

it.each([
  ['n1', 'default/n1'],
  ['east/n1.example.com', 'east/n1.example.com'],
  ['n*', undefined],
  ['N1', undefined],
  ['n1.', undefined],
  ['east/', undefined],
  ['/n1', undefined],
  ['a/b/c', undefined],
  ['', undefined],
])('exactNodePattern(%j) is %j', (name, pattern) => {
  expect(exactNodePattern(name)).toBe(pattern)
  if (pattern !== undefined) expect(nodePattern(pattern)(name)).toBe(true)
})
