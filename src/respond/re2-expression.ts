import { RE2JS } from 're2js'

/**
 * Envoy refuses an expression whose compiled program is larger, unless its bootstrap raises
 * `re2.max_program_size.error_level`; seen on Envoy 1.37. A refused RouteConfiguration is a NACK.
 */
export const RE2_PROGRAM_MAX = 100

/** Upper bound of what one class costs RE2 that takes in most of UTF-8: `[^/]` is about 9 instructions. */
const WIDE_CLASS = '(?:aaaaaaaaaa)'
const EXPRESSION_MAX = 8_192

/** One element of an expression's text. */
export interface Re2Token {
  readonly kind:
    | 'class'
    | 'dot'
    | 'escape'
    | 'literal'
    | 'open'
    | 'close'
    | 'or'
    | 'anchor'
    | 'count'
  readonly text: string
}

/**
 * Cuts an RE2 expression into its elements; undefined for what we do not write and cannot bound:
 * flags, `\Q`, `\p{…}`, assertions other than `^` and `$`, and what does not compile.
 */
export function re2TokensOf(expression: string): Re2Token[] | undefined {
  if (expression.length > EXPRESSION_MAX || !compiles(expression)) return undefined
  const tokens: Re2Token[] = []
  for (let at = 0; at < expression.length; ) {
    const token = tokenAt(expression, at)
    if (token === undefined) return undefined
    tokens.push(token)
    at += token.text.length
  }
  return tokens
}

/**
 * An upper bound of the size that RE2 in Envoy gives the expression's program, Infinity where it
 * cannot be told. RE2JS counts code points and RE2 counts bytes: each class is replaced by as many
 * bytes as it may cost, so that RE2JS counts enough.
 */
export function re2ProgramBoundOf(expression: string): number {
  const tokens = re2TokensOf(expression)
  if (tokens === undefined) return Number.POSITIVE_INFINITY
  return RE2JS.compile(tokens.map(costOf).join('')).programSize()
}

function compiles(expression: string): boolean {
  try {
    RE2JS.compile(expression)
    return true
  } catch {
    return false // RE2JS throws for each kind of wrong expression; all of them mean no.
  }
}

function tokenAt(expression: string, at: number): Re2Token | undefined {
  const rest = expression.slice(at)
  const char = rest[0] ?? ''
  switch (char) {
    case '[': {
      const text = /^\[\^?\]?(?:\\[^pPQ]|\[:\^?[a-z]+:\]|[^\]\\])*\]/.exec(rest)?.[0]
      return text === undefined ? undefined : { kind: 'class', text }
    }
    case '\\': {
      const text = /^\\(?:[dDsSwW]|x[0-9a-fA-F]{2}|[^a-zA-Z0-9])/u.exec(rest)?.[0]
      return text === undefined ? undefined : { kind: 'escape', text }
    }
    case '(': {
      const text = /^\((?!\?)|^\(\?:|^\(\?P?<\w+>/.exec(rest)?.[0]
      return text === undefined ? undefined : { kind: 'open', text }
    }
    case '.':
      return { kind: 'dot', text: '.' }
    case ')':
      return { kind: 'close', text: ')' }
    case '|':
      return { kind: 'or', text: '|' }
    case '^':
    case '$':
      return { kind: 'anchor', text: char }
    case '*':
    case '+':
    case '?':
    case '{':
      return { kind: 'count', text: /^[*+?]\??|^\{\d+(?:,\d*)?\}\??|^\{/.exec(rest)?.[0] ?? char }
    default:
      return { kind: 'literal', text: String.fromCodePoint(expression.codePointAt(at) ?? 0) }
  }
}

function costOf(token: Re2Token): string {
  switch (token.kind) {
    case 'dot':
      return WIDE_CLASS
    case 'class': {
      if (/^\[\^|\\[DSW]|\[:\^|[^ -~]/.test(token.text)) return WIDE_CLASS
      // One instruction a range; `[a-z0-9_]` has three.
      return `(?:${'a'.repeat(token.text.slice(1, -1).replace(/.-./g, 'a').length + 1)})`
    }
    case 'escape':
      return /\\[DSW]/.test(token.text) ? WIDE_CLASS : '(?:aaaaa)'
    case 'literal':
      return token.text > '\x7f' ? '(?:aaaa)' : token.text
    case 'anchor':
    case 'close':
    case 'count':
    case 'open':
    case 'or':
      return token.text
  }
}
