import type { RegexToken } from './regex-source.ts'

/** The ways to vary that are understood: a part of a path up to the next slash, or all the rest of it. */
const VARYING = new Map([
  ['[^/]+', { least: 1, rest: false }],
  ['[^/]*', { least: 0, rest: false }],
  ['.+', { least: 1, rest: true }],
  ['.*', { least: 0, rest: true }],
])
const OPTIONAL_SLASH = '/?'

type Part = string | { readonly least: number; readonly rest: boolean }

/**
 * Matches what nearly all routes are, such as `/user/([^/]+)/orders/(.*)`, without an engine: a
 * compiled expression costs 10 kB and 200 µs, and a catalogue may have 100,000 of them.
 * null where the expression has anything else in it. Decides as RE2 does on the whole path; a
 * property holds the two equal.
 */
export function segmentMatcher(tokens: readonly RegexToken[]): ((path: string) => boolean) | null {
  const orSlash = tokens.at(-1)?.source === OPTIONAL_SLASH
  const parts: Part[] = []
  for (const token of orSlash ? tokens.slice(0, -1) : tokens) {
    const last = parts.at(-1)
    if (token.literal !== undefined) {
      if (typeof last === 'string') parts[parts.length - 1] = last + token.literal
      // What varies must end at a slash, else there would be more than one way to match.
      else if (last !== undefined && (last.rest || !token.literal.startsWith('/'))) return null
      else parts.push(token.literal)
      continue
    }
    const part = VARYING.get(token.source)
    if (part === undefined || (last !== undefined && typeof last !== 'string')) return null
    parts.push(part)
  }
  return (path) => matches(parts, path, orSlash)
}

function matches(parts: readonly Part[], path: string, orSlash: boolean): boolean {
  let at = 0
  for (const part of parts) {
    if (typeof part === 'string') {
      if (!path.startsWith(part, at)) return false
      at += part.length
      continue
    }
    // A dot matches no line feed.
    if (part.rest) return path.length - at >= part.least && !path.includes('\n', at)
    const slash = path.indexOf('/', at)
    const end = slash < 0 ? path.length : slash
    if (end - at < part.least) return false
    at = end
  }
  return at === path.length || (orSlash && at === path.length - 1 && path.endsWith('/'))
}
