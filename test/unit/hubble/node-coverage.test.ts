import { describe, expect, it } from 'vitest'
import { NodeCoverage } from '../../../src/hubble/node-coverage.ts'

const T = 1_760_000_000_000
const SECOND_NS = 1e9

function receive(coverage: NodeCoverage, count: number): void {
  for (let i = 0; i < count; i++) coverage.received()
}

/** A node that is asked every ten seconds; `seen` counts from its start. */
function node(isWhole = true) {
  const coverage = new NodeCoverage(T)
  let seconds = 0
  return {
    coverage,
    answers: (seen: number, uptimeSeconds?: number) => {
      seconds += 10
      const uptimeNs = (uptimeSeconds ?? 1_000 + seconds) * SECOND_NS
      coverage.answered({ seenFlows: seen, uptimeNs, ringMax: 4_095 }, isWhole)
      coverage.advance(T + seconds * 1_000)
    },
    isAway: (forSeconds: number) => {
      for (let i = 0; i <= forSeconds; i += 10) {
        coverage.absent(T + seconds * 1_000)
        seconds += 10
      }
    },
    passes: (forSeconds: number) => {
      seconds += forSeconds
      coverage.advance(T + seconds * 1_000)
    },
  }
}

describe('NodeCoverage', () => {
  it('is whole where all that the node has seen came', () => {
    const { coverage, answers } = node()
    answers(500)
    for (let i = 1; i <= 5; i++) {
      receive(coverage, 100)
      answers(500 + i * 100)
    }
    expect(coverage.recent()).toEqual({ received: 500, missed: 0 })
  })

  it('does not miss what is only on its way', () => {
    const { coverage, answers } = node()
    answers(0)
    answers(100)
    receive(coverage, 100)
    answers(130)
    receive(coverage, 30)
    expect(coverage.recent()).toEqual({ received: 130, missed: 0 })
  })

  it('misses what the node counted and two answers show did not come', () => {
    const { coverage, answers } = node()
    answers(0)
    receive(coverage, 60)
    answers(100)
    answers(100)
    expect(coverage.recent()).toEqual({ received: 60, missed: 40 })
  })

  it('is made whole by what comes late', () => {
    const { coverage, answers } = node()
    answers(0)
    receive(coverage, 60)
    answers(100)
    answers(100)
    receive(coverage, 40)
    answers(100)
    expect(coverage.recent()).toEqual({ received: 100, missed: 0 })
  })

  it('counts what was lost before the ring beside, and what was lost in it once', () => {
    const { coverage, answers } = node()
    answers(0)
    receive(coverage, 50)
    coverage.lost(30, true)
    coverage.lost(5, false)
    answers(80)
    answers(80)
    expect(coverage.recent()).toEqual({ received: 50, missed: 35 })
  })

  it('an old part of the ring that came first did not make up for later losses', () => {
    const { coverage, answers } = node()
    answers(10_000)
    receive(coverage, 4_000)
    answers(10_000)
    receive(coverage, 100)
    answers(10_150)
    answers(10_150)
    expect(coverage.recent()).toEqual({ received: 4_100, missed: 50 })
  })

  it('guesses from its rate what a node has while nobody can ask it', () => {
    const { coverage, answers, isAway } = node()
    answers(0)
    receive(coverage, 1_000)
    answers(1_000)
    isAway(40)
    expect(coverage.recent().missed).toBe(Math.round((1_000 / 20) * 40))
  })

  it('goes by the count, not the guess, once the node is back, and by the guess where it started anew', () => {
    const kept = node()
    kept.answers(0)
    receive(kept.coverage, 1_000)
    kept.answers(1_000)
    kept.isAway(40)
    receive(kept.coverage, 300)
    kept.answers(1_300)
    expect(kept.coverage.recent().missed).toBe(0)

    const restarted = node()
    restarted.answers(0)
    receive(restarted.coverage, 1_000)
    restarted.answers(1_000)
    restarted.isAway(40)
    restarted.answers(10, 5)
    expect(restarted.coverage.recent().missed).toBe(2_000)
  })

  it('a node that left did not alarm for ever', () => {
    const { coverage, answers, isAway, passes } = node()
    answers(0)
    receive(coverage, 1_000)
    answers(1_000)
    isAway(1_200)
    passes(60)
    passes(60)
    isAway(600)
    expect(coverage.recent()).toEqual({ received: 0, missed: 0 })
  })

  it('forgets after two windows', () => {
    const { coverage, passes } = node()
    receive(coverage, 10)
    coverage.lost(10, true)
    passes(60)
    expect(coverage.recent()).toEqual({ received: 10, missed: 10 })
    passes(60)
    expect(coverage.recent()).toEqual({ received: 0, missed: 0 })
  })

  it('does not hold the count of a node against a stream that asks for some of its flows only', () => {
    const { coverage, answers } = node(false)
    answers(0)
    receive(coverage, 10)
    answers(5_000)
    answers(9_000)
    coverage.lost(3, true)
    expect(coverage.recent()).toEqual({ received: 10, missed: 3 })
  })

  it('what a node sent between its start and its first answer was taken for missed', () => {
    const { coverage, answers, isAway } = node()
    answers(10_000)
    answers(10_000)
    isAway(10)
    receive(coverage, 500)
    answers(520, 5)
    receive(coverage, 20)
    answers(520, 15)
    answers(520, 25)
    expect(coverage.recent()).toEqual({ received: 520, missed: 0 })
  })

  it('a guess that turned out wrong hid what was lost later', () => {
    const { coverage, answers, isAway, passes } = node()
    answers(0)
    receive(coverage, 6_000)
    answers(6_000)
    isAway(60)
    passes(60)
    passes(60)
    receive(coverage, 6_000)
    answers(12_000)
    coverage.lost(500, false)
    expect(coverage.recent().missed).toBe(500)
  })

  describe('of a stream that asks for some of its flows only', () => {
    /** A thousand flows in 20 s of twice as many that the node saw; then a minute away, in which it saw `seen`. */
    const away = (seen: number, uptimeSeconds?: number) => {
      const { coverage, answers, isAway } = node(false)
      answers(0)
      receive(coverage, 1_000)
      answers(2_000)
      isAway(60)
      const guess = coverage.recent().missed
      answers(seen, uptimeSeconds)
      answers(seen + 10, uptimeSeconds === undefined ? undefined : uptimeSeconds + 10)
      return { guess, missed: coverage.recent().missed }
    }

    it('forgives an absence that the ring of the node reaches back over', () => {
      expect(away(2_000 + 4_000).missed).toBe(0)
    })

    it('an absence longer than the ring was forgiven whole', () => {
      const { guess, missed } = away(2_000 + 2 * 4_095)
      expect(guess).toBeGreaterThan(1_000)
      expect(missed).toBe(Math.round(guess / 2))
    })

    it('what a node lost by its restart was forgiven with its second answer', () => {
      const { guess, missed } = away(100, 5)
      expect(missed).toBe(guess)
    })
  })
})
