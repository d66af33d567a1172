import { RE2JS } from 're2js'
import { describeError } from '../errors.ts'
import { quoteMeta, type RegexToken, tokensOf, unanchored } from './regex-source.ts'
import { segmentMatcher } from './segment-matcher.ts'

/** A set of paths (no query): one, all below one, or what an expression says. Immutable. */
export interface PathPattern {
  readonly kind: 'exact' | 'regex' | 'prefix'
  /** RE2, for the whole path; without anchors. */
  readonly source: string
  /** Segments that are fixed text, and the characters of fixed text: how much the pattern says. */
  readonly literalSegments: number
  readonly literalLength: number
  /** The first segment of every path in the set; null where it varies. */
  readonly firstSegment: string | null
  matches(path: string): boolean
}

const SOURCE_CHARS_MAX = 2_048
/** Instructions of the compiled program: `(a{500}){2}` is short to write and long to run. */
const PROGRAM_SIZE_MAX = 5_000

/** The first segment of `path`, whatever follows; '' for the root. */
export function firstSegmentOf(path: string): string {
  const end = path.indexOf('/', 1)
  return path.slice(1, end < 0 ? undefined : end)
}

const segmentsIn = (text: string): number => text.split('/').filter((part) => part !== '').length

/** `orSlash`: one more slash at the end is the same path. */
export function exactPattern(path: string, orSlash = false): PathPattern {
  const other = orSlash ? `${path}/` : path
  return {
    kind: 'exact',
    source: `${quoteMeta(path)}${orSlash ? '/?' : ''}`,
    literalSegments: segmentsIn(path),
    literalLength: path.length,
    firstSegment: firstSegmentOf(path),
    matches: (candidate) => candidate === path || candidate === other,
  }
}

/** `base` (a slash at its end says nothing) and every path below it; the root: every path. */
export function prefixPattern(base: string): PathPattern {
  const bare = base.endsWith('/') ? base.slice(0, -1) : base
  const below = `${bare}/`
  return {
    kind: 'prefix',
    source: bare === '' ? '/.*' : `${quoteMeta(bare)}(?:/.*)?`,
    literalSegments: segmentsIn(bare),
    literalLength: bare.length,
    firstSegment: bare === '' ? null : firstSegmentOf(bare),
    matches: (candidate) => candidate === bare || candidate.startsWith(below),
  }
}

/**
 * Runs on a linear-time engine only: whoever writes a CR must not be able to stop Weir.
 * An expression that RE2 refuses, or that is too big, comes back as the reason, a string.
 */
export function regexPattern(source: string): PathPattern | string {
  if (source.length > SOURCE_CHARS_MAX) {
    return `an expression of ${source.length} characters, more than ${SOURCE_CHARS_MAX}`
  }
  const whole = unanchored(source)
  const tokens = tokensOf(whole)
  const fixed = fixedStartOf(tokens)
  const matches = (tokens && segmentMatcher(tokens)) ?? compiled(whole)
  if (typeof matches === 'string') return matches
  return {
    kind: 'regex',
    source: whole,
    ...literalsOf(tokens),
    firstSegment: fixed.indexOf('/', 1) > 0 ? firstSegmentOf(fixed) : null,
    // The fixed start spares the engine for most paths.
    matches: (candidate) => candidate.startsWith(fixed) && matches(candidate),
  }
}

function compiled(source: string): ((path: string) => boolean) | string {
  let program: RE2JS
  try {
    program = RE2JS.compile(`(?:${source})`)
  } catch (error) {
    return describeError(error)
  }
  const size = program.programSize()
  if (size > PROGRAM_SIZE_MAX) {
    return `an expression of ${size} instructions, more than ${PROGRAM_SIZE_MAX}`
  }
  return (path) => program.testExact(path)
}

/** The text that every match begins with. */
function fixedStartOf(tokens: readonly RegexToken[] | null): string {
  let start = ''
  for (const { literal } of tokens ?? []) {
    if (literal === undefined) break
    start += literal
  }
  return start
}

function literalsOf(
  tokens: readonly RegexToken[] | null,
): Pick<PathPattern, 'literalSegments' | 'literalLength'> {
  const shape = (tokens ?? []).map((token) => token.literal ?? '\0').join('')
  const segments = shape.split('/').filter((part) => part !== '' && !part.includes('\0'))
  return { literalSegments: segments.length, literalLength: shape.replaceAll('\0', '').length }
}
