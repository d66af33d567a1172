/**
 * At most `max` characters of `text`, without a hold on the rest of it: V8 keeps the whole string
 * alive for a slice, and with it what was cut off on purpose.
 */
export function keptText(text: string, max: number): string {
  return text.length <= max ? text : ownText(text.slice(0, max))
}

/** The same text, which shares no memory with the string that `text` was cut from. */
export function ownText(text: string): string {
  // UTF-8 has no half of a surrogate pair, and a key must stay what it was.
  const encoding = text.isWellFormed() ? 'utf8' : 'utf16le'
  return Buffer.from(text, encoding).toString(encoding)
}
