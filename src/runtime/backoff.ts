/**
 * Delay before retry number `attempt` (1 is the first), in ms: doubles from `firstMs` up to `maxMs`,
 * then a random point in its upper half, so that many clients do not come back at once.
 */
export function backoffMs(
  attempt: number,
  { firstMs = 500, maxMs = 30_000, random = Math.random } = {},
): number {
  const full = Math.min(maxMs, firstMs * 2 ** Math.min(attempt - 1, 30))
  return full / 2 + (full / 2) * random()
}
