/** One piece of a simple expression: fixed text, or something that varies. */
export type RegexToken =
  | { readonly literal: string; readonly source?: undefined }
  /** `source`: the expression of what varies, without the parentheses of a capturing group. */
  | { readonly literal?: undefined; readonly source: string }

const META = /[\\.+*?()|[\]{}^$]/g
/** Characters that stand for themselves, as many as there are. */
const PLAIN = /[^\\[\](){}|^$.*+?]+/y
const QUANTIFIES = new Set(['*', '+', '?', '{'])
const QUANTIFIER = /^(?:[*+?]|\{\d*,?\d*\})\??/

/** As `regexp.QuoteMeta` of Go. */
export function quoteMeta(text: string): string {
  return text.replace(META, '\\$&')
}

/** Index after the class that begins at `start`; -1 where it does not end. */
function classEnd(source: string, start: number): number {
  let at = source[start + 1] === '^' ? start + 2 : start + 1
  // A bracket that stands first is a member, not the end.
  if (source[at] === ']') at++
  for (; at < source.length; at++) {
    if (source[at] === '\\') at++
    else if (source[at] === '[' && source[at + 1] === ':') {
      const end = source.indexOf(':]', at + 2)
      if (end > 0) at = end + 1
    } else if (source[at] === ']') return at + 1
  }
  return -1
}

/** Index after the group that begins at `start`; -1 where it does not end. */
function groupEnd(source: string, start: number): number {
  let depth = 0
  for (let at = start; at < source.length; at++) {
    const char = source[at]
    if (char === '\\') at++
    else if (char === '[') {
      const end = classEnd(source, at)
      if (end < 0) return -1
      at = end - 1
    } else if (char === '(') depth++
    else if (char === ')' && --depth === 0) return at + 1
  }
  return -1
}

const isNamed = (source: string, start: number): boolean =>
  /^\(\?P?<[A-Za-z_]/.test(source.slice(start, start + 5))

/** The expression inside of a group's parentheses. */
function bodyOf(group: string): string {
  return group.slice(0, -1).replace(/^\((?:\?P?<\w+>|\?[a-zA-Z]*:)?/, '')
}

/** What each capturing group of `source` may match, from the first; as `\1` counts them. */
export function groupsOf(source: string): string[] {
  const groups: string[] = []
  for (let at = 0; at < source.length; at++) {
    const char = source[at]
    if (char === '\\') at++
    else if (char === '[') {
      const end = classEnd(source, at)
      if (end < 0) return groups
      at = end - 1
    } else if (char === '(' && (source[at + 1] !== '?' || isNamed(source, at))) {
      const end = groupEnd(source, at)
      if (end < 0) return groups
      groups.push(bodyOf(source.slice(at, end)))
    }
  }
  return groups
}

/** `source` without the anchors around it, which a match of the whole text makes idle. */
export function unanchored(source: string): string {
  const start = source.startsWith('^') ? 1 : 0
  const ends = source.endsWith('$') && !source.endsWith('\\$')
  return source.slice(start, ends ? -1 : undefined)
}

/** `source` in pieces, in order; null where it is not a plain sequence (`a|b` at its top). */
export function tokensOf(source: string): RegexToken[] | null {
  const tokens: RegexToken[] = []
  const text = unanchored(source)
  for (let at = 0; at < text.length; ) {
    const plain = plainRun(text, at)
    if (plain > at) {
      tokens.push({ literal: text.slice(at, plain) })
      at = plain
      continue
    }
    const char = text[at] ?? ''
    let end = at + 1
    let literal: string | undefined
    if (char === '\\') {
      end = at + 2
      const escaped = text[at + 1] ?? ''
      // Escaped letters and digits are classes or controls, but for none that a path needs.
      if (/[^A-Za-z0-9]/.test(escaped)) literal = escaped
    } else if (char === '[') end = classEnd(text, at)
    else if (char === '(') end = groupEnd(text, at)
    else if (char === '|' || char === ')' || char === '^' || char === '$') return null
    else if (char !== '.') literal = char
    if (end < 0) return null
    const piece = text.slice(at, end)
    const quantified = QUANTIFIES.has(text[end] ?? '')
    const quantifier = quantified ? (QUANTIFIER.exec(text.slice(end, end + 16))?.[0] ?? '') : ''
    at = end + quantifier.length
    if (literal !== undefined && quantifier === '') tokens.push({ literal })
    else if (piece.startsWith('(') && quantifier === '') tokens.push({ source: bodyOf(piece) })
    else tokens.push({ source: piece + quantifier })
  }
  return tokens
}

/** Index after the plain text that begins at `start`, without a last character that is quantified. */
function plainRun(text: string, start: number): number {
  PLAIN.lastIndex = start
  if (!PLAIN.test(text)) return start
  const end = PLAIN.lastIndex
  return QUANTIFIES.has(text[end] ?? '') ? end - 1 : end
}
