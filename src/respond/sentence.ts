const SENTENCE_MAX = 600

/** Names in a sentence come from objects and flows: without control characters, and short, they fit a log line. */
export function sentenceOf(text: string): string {
  const printable = text.slice(0, SENTENCE_MAX).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, ' ')
  return text.length > SENTENCE_MAX ? `${printable}…` : printable
}
