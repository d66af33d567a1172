import { hash } from 'node:crypto'

/** What a CiliumEnvoyConfig is made of. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject
export interface JsonObject {
  readonly [key: string]: Json
}

/** The one text of a value: keys sorted at every depth, no blanks. The API server stores sorted JSON, so this is what can be compared. */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  if (isList(value)) return `[${value.map(canonicalJson).join(',')}]`
  const fields = Object.entries(value)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`)
  return `{${fields.join(',')}}`
}

/** First 8 hex digits of SHA-256 over the canonical text. */
export function shortHashOf(value: Json): string {
  return hash('sha256', canonicalJson(value), 'hex').slice(0, 8)
}

/** The field of an object of unknown shape; undefined where there is no such object or field. */
export function fieldOf(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return Object.hasOwn(value, key) ? (value as { [key: string]: unknown })[key] : undefined
}

/** As {@link fieldOf}, down a path. */
export function fieldAt(value: unknown, ...keys: readonly string[]): unknown {
  return keys.reduce(fieldOf, value)
}

/** The items of a list of unknown shape; none where it is no list. */
export function itemsOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

/** The text, or '' where the value is no text. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function isList(value: readonly Json[] | JsonObject): value is readonly Json[] {
  return Array.isArray(value)
}
