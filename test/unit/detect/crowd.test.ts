import { describe, expect, it } from 'vitest'
import { Crowd, newMember } from '../../../src/detect/crowd.ts'

const T0 = 1_767_225_600_000
const MINUTE_MS = 60_000

/** `seen` clients of which the first `struck` are in trouble; the first `known` have done well before. */
function crowdOf({ seen = 0, struck = 0, known = 0 }): Crowd {
  const crowd = new Crowd({ windowMs: 10 * MINUTE_MS, share: 0.3, clientsMin: 5 })
  for (let i = 0; i < seen; i++) {
    const member = newMember()
    for (let again = 0; again < 3; again++) {
      crowd.see(member, T0, i < known)
      if (i < struck) crowd.strike(member, T0)
    }
  }
  return crowd
}

describe('Crowd', () => {
  it.each([
    { why: 'a third of all', seen: 20, struck: 6, known: 0, incident: true },
    { why: 'less than a third', seen: 20, struck: 5, known: 0, incident: false },
    { why: 'too few to be many', seen: 4, struck: 4, known: 0, incident: false },
    { why: 'those who did well before are hit', seen: 20, struck: 10, known: 10, incident: true },
    { why: 'a good share of them at least', seen: 100, struck: 5, known: 17, incident: false },
  ])('$why of $seen clients: $incident', ({ seen, struck, known, incident }) => {
    const crowd = crowdOf({ seen, struck, known })
    expect([crowd.seen, crowd.struck]).toEqual([seen, struck])
    expect(crowd.isIncident()).toBe(incident)
  })

  it('is no incident while those who did well before go on doing well', () => {
    const crowd = crowdOf({ seen: 10, known: 10 })
    for (let i = 0; i < 100; i++) {
      const attacker = newMember()
      crowd.see(attacker, T0, false)
      crowd.strike(attacker, T0)
    }
    expect(crowd.isIncident()).toBe(false)
  })

  it('forgets after its window', () => {
    const crowd = crowdOf({ seen: 10, struck: 10 })
    crowd.see(newMember(), T0 + 4 * MINUTE_MS, false)
    expect(crowd.isIncident()).toBe(true)
    crowd.see(newMember(), T0 + 10 * MINUTE_MS, false)
    expect([crowd.isIncident(), crowd.struck]).toEqual([false, 0])
  })
})
