import type { Outcome } from './contract.ts'

/** A stage's books, in units of its input. `unaccounted` is checked, not true by construction. */
export interface StageAccount {
  readonly stage: string
  readonly in: number
  readonly out: number
  readonly inFlight: number
  readonly unaccounted: number
  /** Ended inputs by `OUTCOME` or `OUTCOME:REASON`. */
  readonly ended: { readonly [outcome: string]: number }
}

/** Counts one stage's inputs. Whoever calls the stage counts; the stage itself never does. */
export class StageLedger {
  in = 0
  out = 0
  readonly stage: string
  readonly outcomes: readonly string[]
  readonly #ended: number[]
  readonly #held: () => number

  constructor(stage: string, outcomes: readonly string[], held: () => number) {
    this.stage = stage
    this.outcomes = outcomes
    this.#ended = outcomes.map(() => 0)
    this.#held = held
  }

  /** Books an ended input; outcome 0 books nothing. `count` for a batch that ended alike. */
  ended(outcome: Outcome, count = 1): void {
    if (outcome === 0) return
    this.#ended[outcome] = (this.#ended[outcome] ?? 0) + count
  }

  /** The same by name, for whoever learns of an end as `OUTCOME:REASON`; a name that is not in the table is a defect that shows as unaccounted. */
  endedAs(name: string, count: number): void {
    const outcome = this.outcomes.indexOf(name)
    if (outcome > 0) this.ended(outcome, count)
  }

  account(): StageAccount {
    const inFlight = this.#held()
    let sum = 0
    const ended: Record<string, number> = {}
    this.#ended.forEach((count, outcome) => {
      if (outcome === 0) return
      ended[this.outcomes[outcome] ?? `unknown:${outcome}`] = count
      sum += count
    })
    const unaccounted = this.in - this.out - sum - inFlight
    return { stage: this.stage, in: this.in, out: this.out, inFlight, unaccounted, ended }
  }
}

/** The books of the whole pipeline, in the order of the data. */
export class Ledger {
  readonly #stages: StageLedger[] = []

  /** `outcomes`: the stage's closed table, index 0 being "went on". `held`: inputs that it holds now. */
  open(stage: string, outcomes: readonly string[], held: () => number): StageLedger {
    const ledger = new StageLedger(stage, outcomes, held)
    this.#stages.push(ledger)
    return ledger
  }

  accounts(): StageAccount[] {
    return this.#stages.map((stage) => stage.account())
  }

  /** Sum over all stages of what cannot be explained; 0 when nothing was lost silently. */
  unaccounted(): number {
    return this.accounts().reduce((sum, { unaccounted }) => sum + Math.abs(unaccounted), 0)
  }
}
