/** RFC 3339; null before the first flow, and for a clock that is beyond any date. */
export function timeTextOf(unixMs: number): string | null {
  const time = new Date(unixMs)
  return unixMs === 0 || Number.isNaN(time.getTime()) ? null : time.toISOString()
}
