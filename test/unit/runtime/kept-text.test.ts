import fc from 'fast-check'
import { expect, it } from 'vitest'
import { keptText, ownText } from '../../../src/runtime/kept-text.ts'

it('is the same text, whatever it is', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => ownText(text) === text))
  expect(ownText('half a pair: \ud83d')).toBe('half a pair: \ud83d')
})

it('keeps no more than it may', () => {
  expect(keptText('abc', 3)).toBe('abc')
  expect(keptText('abcd', 3)).toBe('abc')
})
