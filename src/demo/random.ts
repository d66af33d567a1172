/** Everything in the demo that looks like chance; the same seed gives the same course of events. */
export interface Random {
  /** 0 ≤ x < 1. */
  next(): number
  /** A whole number, 0 ≤ x < `below`. */
  int(below: number): number
  pick<T>(list: readonly [T, ...T[]]): T
  chance(probability: number): boolean
  /** Exponentially distributed around `mean`, as the gaps between independent arrivals are. */
  gap(mean: number): number
  /** Roughly log-normal around `median`, as latencies are. */
  spread(median: number): number
  /** `digits` hex digits. */
  hex(digits: number): string
  uuid(): string
}

/** A 32-bit generator (mulberry32): not for secrets. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
  const int = (below: number): number => Math.floor(next() * below)
  const hex = (digits: number): string => {
    let text = ''
    for (let i = 0; i < digits; i++) text += int(16).toString(16)
    return text
  }
  return {
    next,
    int,
    pick: ([first, ...rest]) => {
      const index = int(rest.length + 1)
      return index === 0 ? first : (rest[index - 1] ?? first)
    },
    chance: (probability) => next() < probability,
    gap: (mean) => -Math.log(1 - next()) * mean,
    spread: (median) => median * Math.exp((next() + next() + next() - 1.5) * 0.9),
    hex,
    uuid: () => `${hex(8)}-${hex(4)}-4${hex(3)}-${'89ab'.charAt(int(4))}${hex(3)}-${hex(12)}`,
  }
}
