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
  /** The whole segments that every path in the set begins with; {@link ANY_SEGMENT} for one that varies. */
  readonly fixed: string
  matches(path: string): boolean
}

/** Stands for any one segment that is not empty. */
export const ANY_SEGMENT = '\0'
const ONE_SEGMENT = '[^/]+'
const OPTIONAL_SLASH = '/?'
const SOURCE_CHARS_MAX = 2_048
/** Instructions of the compiled program: `(a{500}){2}` is short to write and long to run. */
const PROGRAM_SIZE_MAX = 5_000

/** `text` without a last segment that may go on; `whole`: it may not. */
function wholeSegments(text: string, whole: boolean): string {
  if (whole && !text.endsWith('/')) return text
  return text.slice(0, Math.max(0, text.lastIndexOf('/')))
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
    fixed: wholeSegments(path, true),
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
    fixed: wholeSegments(bare, true),
    matches: (candidate) => candidate === bare || candidate.startsWith(below),
  }
}

/**
 * Runs on a linear-time engine only: whoever writes a CR must not be able to stop Weir.
 * An expression that RE2 refuses, or that is too big, comes back as the reason, a string.
 */
export function regexPattern(source: string): PathPattern | string {
  const known = made.get(source)
  if (known !== undefined) return known
  const pattern = madeOf(source)
  if (made.size >= MADE_MAX) made.clear()
  made.set(source, pattern)
  return pattern
}

/** Many APIs have the same paths below their contexts: patterns hold no state, so one is enough. */
const made = new Map<string, PathPattern | string>()
const MADE_MAX = 4_096

function madeOf(source: string): PathPattern | string {
  if (source.length > SOURCE_CHARS_MAX) {
    return `an expression of ${source.length} characters, more than ${SOURCE_CHARS_MAX}`
  }
  const whole = unanchored(source)
  const tokens = tokensOf(whole)
  const fixed = fixedStartOf(tokens)
  const bySegments = tokens === null ? null : segmentMatcher(tokens)
  const matches = bySegments ?? compiled(whole)
  if (typeof matches === 'string') return matches
  return {
    kind: 'regex',
    source: whole,
    ...literalsOf(tokens),
    fixed: segmentsOf(tokens ?? []),
    // The fixed start spares the engine for most paths.
    matches: bySegments ?? ((candidate) => candidate.startsWith(fixed) && matches(candidate)),
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

/** The segments that every match begins with, as far as each is fixed text, or any one segment. */
function segmentsOf(tokens: readonly RegexToken[]): string {
  const last = tokens.length - (tokens.at(-1)?.source === OPTIONAL_SLASH ? 1 : 0)
  let text = ''
  for (let i = 0; i < last; i++) {
    const token = tokens[i]
    const next = i + 1 < last ? tokens[i + 1]?.literal : '/'
    const isSegment = text.endsWith('/') && next?.startsWith('/') === true
    if (token?.literal !== undefined) text += token.literal
    else if (token?.source === ONE_SEGMENT && isSegment) text += ANY_SEGMENT
    else return wholeSegments(text, false)
  }
  return wholeSegments(text, true)
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

/** A segment counts where nothing in it varies. */
function literalsOf(
  tokens: readonly RegexToken[] | null,
): Pick<PathPattern, 'literalSegments' | 'literalLength'> {
  let literalSegments = 0
  let literalLength = 0
  let isFixed = true
  let length = 0
  const close = (): void => {
    if (isFixed && length > 0) literalSegments++
    isFixed = true
    length = 0
  }
  for (const { literal, source } of tokens ?? []) {
    if (literal === undefined) {
      // A slash more or less at the end changes nothing of the segment before it.
      if (source !== OPTIONAL_SLASH) isFixed = false
      continue
    }
    literalLength += literal.length
    let start = 0
    for (let slash = literal.indexOf('/'); slash >= 0; slash = literal.indexOf('/', start)) {
      length += slash - start
      close()
      start = slash + 1
    }
    length += literal.length - start
  }
  close()
  return { literalSegments, literalLength }
}
