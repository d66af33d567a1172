import { expect, it } from 'vitest'
import { timeTextOf } from '../../../src/app/time-text.ts'

it.each([
  { why: 'no flow yet', ms: 0, text: null },
  { why: 'a time', ms: 1_760_000_000_123, text: '2025-10-09T08:53:20.123Z' },
  { why: 'an agent whose clock is beyond any date', ms: 9e15, text: null },
])('$why: $ms is $text', ({ ms, text }) => expect(timeTextOf(ms)).toBe(text))
