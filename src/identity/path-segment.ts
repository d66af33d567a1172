/** Longer ones are values, whatever is in them: 64 holds a SHA-256 in hex. */
const LITERAL_MAX = 64
const HEX_MIN = 16
const TOKEN_MIN = 22
const ULID_LENGTH = 26
const UUID_LENGTH = 36
/** So long, with so many digits, a word is a number with something around it: `order-12345`. */
const ID_MIN = 8
const ID_DIGITS_MIN = 4
const TOKEN_DIGITS_MIN = 2

/** What stands for a segment that is like no other, and for all once there are too many. */
export const ANY_SEGMENT = '{param}'

const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i
const ULID = /^[0-7][\da-hjkmnp-tv-z]{25}$/i
const DATE = /^\d{4}-(?:0[1-9]|1[0-2])(?:-[0-3]\d(?:[Tt][\d:.]{2,15}(?:[Zz]|[+-]\d\d:?\d\d)?)?)?$/
const IP_ADDRESS = /^\d{1,3}(?:\.\d{1,3}){3}$/
const VERSION = /^(?:v\d{1,4}(?:\.\d{1,4}){0,2}|\d{1,4}\.\d{1,4}(?:\.\d{1,4})?)(?:[-+][\w.+-]*)?$/i
const EMAIL = /^[^@]+@[^@]+\.[a-z]{2,24}$/i
/** With a language before it, `XX` is a region; `by-id` and `go-to` are words. */
const LOCALE =
  /^(?:ar|bg|cs|da|de|el|en|es|fi|fr|he|hi|hr|hu|it|ja|ko|nb|nl|nn|pl|pt|ro|ru|sk|sl|sv|th|tr|uk|vi|zh)[-_][a-z]{2}$/i

/** Bits of what a segment is made of. */
const LOWER_HEX = 1
const LOWER = 2
const UPPER_HEX = 4
const UPPER = 8
const DIGIT = 16
/** `-` and `_`, which base64url has, too. */
const DASH = 32
const AT = 64
/** What else a fixed part of a path may have: `.` `:` `$` `!` `+` `~`. */
const MARK = 128
/** Percent signs, braces, controls, all beyond ASCII: never text of a template. */
const ODD = 256
const LETTERS = LOWER_HEX | LOWER | UPPER_HEX | UPPER

/** By character code. */
const CLASSES = new Uint16Array(128).fill(ODD)
for (const [text, bit] of [
  ['abcdef', LOWER_HEX],
  ['ghijklmnopqrstuvwxyz', LOWER],
  ['ABCDEF', UPPER_HEX],
  ['GHIJKLMNOPQRSTUVWXYZ', UPPER],
  ['0123456789', DIGIT],
  ['-_', DASH],
  ['@', AT],
  ['.:$!+~', MARK],
] as const) {
  for (const character of text) CLASSES[character.charCodeAt(0)] = bit
}

/**
 * What stands for one segment of a path, `path` from `from` to before `to`, in a learned template:
 * a placeholder by its type (`{int}`, `{uuid}`, `{date}` …), or its own text, which then has no
 * brace, no percent sign and nothing that cannot be printed. Versions (`v2`, `1.2.3`) are text.
 * Source of the types: those of which path parameters are made; guesses are left to the fan-out.
 */
export function templateSegmentOf(path: string, from: number, to: number): string {
  const length = to - from
  let has = 0
  let digits = 0
  for (let i = from; i < to; i++) {
    const code = path.charCodeAt(i)
    const bit = code < 128 ? (CLASSES[code] ?? ODD) : ODD
    if (bit === ODD) return ANY_SEGMENT
    has |= bit
    if (bit === DIGIT) digits++
  }
  if (digits > 0) {
    if (digits === length || isNegative(path, from, length, digits)) return '{int}'
    if ((has & ~(LOWER_HEX | UPPER_HEX | DIGIT)) === 0 && length >= HEX_MIN) return '{hex}'
    return typeOf(path.slice(from, to), has, digits)
  }
  if (length > LITERAL_MAX) return ANY_SEGMENT
  const text = path.slice(from, to)
  if ((has & AT) !== 0 && EMAIL.test(text)) return '{email}'
  if ((has & ~(LOWER_HEX | UPPER_HEX)) === 0 && length >= HEX_MIN) return '{hex}'
  return length === 5 && (has & DASH) !== 0 && LOCALE.test(text) ? '{locale}' : text
}

function isNegative(path: string, from: number, length: number, digits: number): boolean {
  return digits === length - 1 && path[from] === '-'
}

/** Of a segment that has digits and something else. */
function typeOf(text: string, has: number, digits: number): string {
  const { length } = text
  if (length === UUID_LENGTH && UUID.test(text)) return '{uuid}'
  if (length > LITERAL_MAX) return ANY_SEGMENT
  if (length === ULID_LENGTH && ULID.test(text)) return '{ulid}'
  if ((has & AT) !== 0 && EMAIL.test(text)) return '{email}'
  if ((has & (DASH | MARK)) !== 0) {
    if (DATE.test(text)) return '{date}'
    if (IP_ADDRESS.test(text)) return '{ip}'
  }
  if (VERSION.test(text)) return text
  const isMixed = (has & (LOWER | LOWER_HEX)) !== 0 && (has & (UPPER | UPPER_HEX)) !== 0
  const isBase64 = isMixed && (has & ~(LETTERS | DIGIT | DASH)) === 0
  if (isBase64 && length >= TOKEN_MIN && digits >= TOKEN_DIGITS_MIN) return '{token}'
  return digits >= ID_DIGITS_MIN && length >= ID_MIN ? '{id}' : text
}
