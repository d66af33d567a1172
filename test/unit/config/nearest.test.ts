import { expect, it } from 'vitest'
import { nearestOf } from '../../../src/config/nearest.ts'

const KEYS = ['log', 'hubble', 'stateDir', 'exchange', 'unansweredAfter']

it.each([
  ['lgo', 'log'],
  ['hubbel', 'hubble'],
  ['statedir', 'stateDir'],
  ['unansweredAfer', 'unansweredAfter'],
  ['kafka', undefined],
  ['', undefined],
])('nearestOf(%s) is %s', (name, nearest) => expect(nearestOf(name, KEYS)).toBe(nearest))
