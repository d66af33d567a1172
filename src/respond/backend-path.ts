import type { Re2Token } from './re2-expression.ts'
import { re2TokensOf } from './re2-expression.ts'

/**
 * The inside of an expression on the whole path, made safe for Envoy's `:path`, which carries the
 * query: no element takes in a `?` that the expression did not write out. `^/orders/[^/]+$` →
 * `/orders/[^/?]+`. Anchors around an alternative say nothing new, and may be missing. Undefined
 * where one stands elsewhere, and for expressions that {@link re2TokensOf} does not read.
 */
export function pathInsideOf(pathRegex: string): string | undefined {
  const tokens = re2TokensOf(pathRegex)
  if (tokens === undefined) return undefined
  const inside: string[] = []
  for (const alternative of alternativesOf(tokens)) {
    if (alternative[0]?.text === '^') alternative.shift()
    if (alternative.at(-1)?.text === '$') alternative.pop()
    if (alternative.some(({ kind }) => kind === 'anchor')) return undefined
    inside.push(alternative.map(withoutQuery).join(''))
  }
  return inside.join('|')
}

/** The expression on `:path` that takes exactly these insides, with any query or none. */
export function pathExpressionOf(insides: readonly string[]): string {
  return `^(?:${insides.join('|')})(\\?.*)?$`
}

function alternativesOf(tokens: readonly Re2Token[]): Re2Token[][] {
  const alternatives: Re2Token[][] = [[]]
  let depth = 0
  for (const token of tokens) {
    if (token.kind === 'open') depth++
    if (token.kind === 'close') depth--
    if (token.kind === 'or' && depth === 0) alternatives.push([])
    else alternatives.at(-1)?.push(token)
  }
  return alternatives
}

function withoutQuery({ kind, text }: Re2Token): string {
  if (kind === 'dot') return '[^?]'
  if (kind === 'escape' && /^\\[DSW]$/.test(text)) return `[^?${text.toLowerCase()}]`
  if (kind === 'class' && text.startsWith('[^') && !text.includes('?')) {
    return `${text.slice(0, -1)}?]`
  }
  return text
}
