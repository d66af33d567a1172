/**
 * At most `max` characters of `text`, without a hold on the rest of it: V8 keeps the whole string
 * alive for a slice, and with it what was cut off on purpose.
 */
export function keptText(text: string, max: number): string {
  return text.length <= max ? text : ownText(text.slice(0, max))
}

/** A copy that shares no memory with the string that `text` was cut from. */
export function ownText(text: string): string {
  return Buffer.from(text).toString()
}
