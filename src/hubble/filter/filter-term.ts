import { ConfigError } from '../../errors.ts'
import type { FlowView } from '../../model/flow-view.ts'

export type FlowTest = (view: FlowView) => boolean

/** What one key of a flow filter means. */
export interface FilterTerm {
  /** Paths of `flow.Flow` that the test looks at: a field mask must not leave them out. */
  readonly reads: readonly string[]
  /** `onProblem` hears of each bad value: its index, and why. */
  compile(values: readonly unknown[], onProblem: OnProblem): CompiledTerm
}

type OnProblem = (at: number, reason: string) => void

interface CompiledTerm {
  /** The values as a request carries them: enums are numbers. */
  readonly wire: readonly unknown[]
  readonly test: FlowTest
}

interface TermParts<Value, Parsed> {
  readonly reads: readonly string[]
  /** @throws {ConfigError} saying what is wrong with the value. */
  readonly parse: (value: Value) => Parsed
  /** Default: the value as it is configured. */
  readonly wire?: (parsed: Parsed) => unknown
  /** The test of the values together: one of them is enough. */
  readonly test: (parsed: readonly Parsed[]) => FlowTest
}

/** `Value` is what the configuration's schema lets through. */
export function filterTerm<Value, Parsed>(parts: TermParts<Value, Parsed>): FilterTerm {
  const { reads, parse, wire, test } = parts
  return {
    reads,
    compile(values, onProblem) {
      const parsed: Parsed[] = []
      const wired: unknown[] = []
      values.forEach((value, at) => {
        try {
          const one = parse(value as Value)
          parsed.push(one)
          wired.push(wire === undefined ? value : wire(one))
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error
          onProblem(at, error.message)
        }
      })
      return { wire: wired, test: test(parsed) }
    },
  }
}

/** Numbers or strings that are wanted, of which one is usual. */
export function equalsOne<T>(wanted: readonly T[], of: (view: FlowView) => T): FlowTest {
  const [first] = wanted
  if (wanted.length === 1 && first !== undefined) return (view) => of(view) === first
  return (view) => wanted.includes(of(view))
}

/** True where one of the tests is; false for none. */
export function anyOf(tests: readonly FlowTest[]): FlowTest {
  const [first] = tests
  if (tests.length === 1 && first !== undefined) return first
  return (view) => {
    for (const test of tests) if (test(view)) return true
    return false
  }
}

/** True where all of the tests are; for none, too. */
export function allOf(tests: readonly FlowTest[]): FlowTest {
  const [first] = tests
  if (tests.length === 1 && first !== undefined) return first
  return (view) => {
    for (const test of tests) if (!test(view)) return false
    return true
  }
}
