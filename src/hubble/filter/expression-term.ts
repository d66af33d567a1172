import { RE2JS } from 're2js'
import { ConfigError, describeError } from '../../errors.ts'
import type { FlowKind, FlowView } from '../../model/flow-view.ts'
import { type FilterTerm, filterTerm } from './filter-term.ts'

const PATTERN_MAX = 1_024
/** Instructions of the compiled program: `(a{500}){2}` is short to write and long to run. */
const PROGRAM_MAX = 5_000

/**
 * A key whose values are expressions of RE2, run in linear time: one of them is to be found in the
 * text. Only flows of `kind` have one; undefined matches nothing.
 */
export function expressionTerm(
  kind: FlowKind,
  textOf: (view: FlowView) => string | undefined,
): FilterTerm {
  return filterTerm({
    reads: ['l7'],
    parse: expressionOf,
    test: (expressions) => (view) => {
      if (view.kind !== kind) return false
      const text = textOf(view)
      if (text === undefined) return false
      for (const expression of expressions) if (expression.test(text)) return true
      return false
    },
  })
}

function expressionOf(text: string): RE2JS {
  if (text.length > PATTERN_MAX) {
    throw new ConfigError(`must be an expression of at most ${PATTERN_MAX} characters`)
  }
  let expression: RE2JS
  try {
    expression = RE2JS.compile(text)
  } catch (error) {
    const reason = describeError(error).replace('error parsing regexp: ', '')
    throw new ConfigError(`must be a regular expression of RE2: ${reason}`)
  }
  if (expression.programSize() <= PROGRAM_MAX) return expression
  throw new ConfigError(
    `must be a smaller expression: it has ${expression.programSize()} instructions, more than ${PROGRAM_MAX}`,
  )
}
