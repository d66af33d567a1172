import { z } from 'zod'

const DURATION_UNITS_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const
const SIZE_UNITS_BYTES = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
} as const

/** Milliseconds of `30s`, `1m30s`, `250ms`; undefined where it is none. */
export function msOfDuration(text: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/.test(text)) return undefined
  let ms = 0
  for (const [, amount = '0', unit = 'ms'] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    ms += Number(amount) * DURATION_UNITS_MS[unit as keyof typeof DURATION_UNITS_MS]
  }
  return ms
}

/** Bytes of `64Mi`, `1Gi`, `500k`, `4096`; undefined where it is none. */
export function bytesOfSize(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(|k|M|G|Ki|Mi|Gi)$/.exec(text)
  if (match === null) return undefined
  const [, amount = '0', unit = ''] = match
  return Math.floor(Number(amount) * SIZE_UNITS_BYTES[unit as keyof typeof SIZE_UNITS_BYTES])
}

/** Node's timers end here: 24.8 days. */
const DURATION_MAX_MS = 2 ** 31 - 1
const NO_DURATION = 'must be a duration such as 30s or 1m30s, up to 24d'

/** As {@link msOfDuration}; undefined too for what no timer can wait. */
export function msOfTimer(text: string): number | undefined {
  const ms = msOfDuration(text)
  return ms !== undefined && ms <= DURATION_MAX_MS ? ms : undefined
}

/** A duration such as `30s`; read as milliseconds. `defaultText` is in the same form. */
export function duration(defaultText: string) {
  return z
    .string(NO_DURATION)
    .refine((text) => msOfTimer(text) !== undefined, NO_DURATION)
    .default(defaultText)
    .transform((text) => msOfTimer(text) ?? 0)
}

/** A size such as `64Mi`; read as bytes. */
export function size(defaultText: string) {
  return z
    .union([z.string(), z.number().int().nonnegative()])
    .refine((value) => bytesOfSize(String(value)) !== undefined, 'must be a size such as 64Mi')
    .default(defaultText)
    .transform((value) => bytesOfSize(String(value)) ?? 0)
}

/** HOST:PORT; IPv6 hosts in brackets. */
export const hostPort = z
  .string('must be HOST:PORT')
  .refine((text) => partsOfHostPort(text) !== undefined, 'must be HOST:PORT')

export function partsOfHostPort(text: string): { host: string; port: number } | undefined {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^\s:[\]]+):(\d{1,5})$/.exec(text)
  const port = Number(match?.[2])
  if (match === null || port > 65_535) return undefined
  return { host: (match[1] ?? '').replace(/^\[|\]$/g, ''), port }
}

/** RFC 3339, or how long ago (`5m`); read as RFC 3339 text or duration, resolved where the clock is. */
export const moment = z
  .string()
  .refine(
    (text) => msOfDuration(text) !== undefined || !Number.isNaN(Date.parse(text)),
    'must be a time such as 2026-01-31T12:00:00Z, or how long ago, such as 5m',
  )

/** Unix ms of a `moment`. */
export function msOfMoment(text: string, nowMs: number): number {
  const agoMs = msOfDuration(text)
  return agoMs === undefined ? Date.parse(text) : nowMs - agoMs
}
