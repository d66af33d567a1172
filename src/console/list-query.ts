import { z } from 'zod'
import type { Api, Client } from '../model/api.ts'
import { clientKeyOf } from '../model/api.ts'
import { RequestError } from './problem.ts'
import type { Numbered } from './recent.ts'

const LIMIT_DEFAULT = 50
const LIMIT_MAX = 500
/** Filtering looks at no more than this many things a request, then hands out a cursor to go on from. */
const SCANNED_MAX = 20_000

const page = {
  limit: z.coerce.number().int().min(1).max(LIMIT_MAX).default(LIMIT_DEFAULT),
  cursor: z
    .string()
    .regex(/^\d{1,15}$/, 'is not a cursor that a list gave')
    .transform(Number)
    .optional(),
}
const text = z.string().min(1).max(512).optional()
const schemas = {
  unfiltered: z.strictObject(page),
  calls: z.strictObject({
    ...page,
    api: text,
    client: text,
    status: z
      .string()
      .regex(/^(?:\d{3}|[1-5]xx|none)$/, 'is none of 404, 4xx, none')
      .optional(),
  }),
  byApiAndClient: z.strictObject({ ...page, api: text, client: text }),
}

export interface Page {
  readonly items: readonly object[]
  /** Value of `cursor` for what follows; null at the end. */
  readonly next: string | null
}

export interface ListQuery {
  readonly limit: number
  /** Only what has a smaller number; absent for the first page. */
  readonly cursor?: number | undefined
  readonly api?: string | undefined
  readonly client?: string | undefined
  readonly status?: string | undefined
}

/** @throws {RequestError} for a parameter that the list does not have, or a value that it cannot take. */
export function parseListQuery(list: keyof typeof schemas, query: unknown): ListQuery {
  const result = schemas[list].safeParse(query)
  if (result.success) return result.data
  const problems = result.error.issues.map(({ path, message }) =>
    path.length === 0 ? message : `${path.join('.')}: ${message}`,
  )
  throw new RequestError(problems.join('; '))
}

/** Takes a page from what is newest first, skipping what `matches` refuses. */
export function pageOf<T>(
  newestFirst: Iterable<Numbered<T>>,
  { limit }: ListQuery,
  matches: (item: T) => boolean,
  encode: (item: T) => object,
): Page {
  const items: object[] = []
  let scanned = 0
  let last: number | undefined
  for (const { number, item } of newestFirst) {
    if (items.length === limit || scanned === SCANNED_MAX) {
      return { items, next: String(last) }
    }
    scanned++
    last = number
    if (matches(item)) items.push(encode(item))
  }
  return { items, next: null }
}

/** A list that is made anew for each request, in its own order. A page may shift when the list changes. */
export function* numberedFrom<T>(items: readonly T[], cursor?: number): Generator<Numbered<T>> {
  const left = Math.min(cursor ?? items.length, items.length)
  for (let number = left - 1; number >= 0; number--) {
    const item = items[items.length - 1 - number]
    if (item !== undefined) yield { number, item }
  }
}

/** By name or id; both are what the objects of the list show. */
export function isApi(api: Pick<Api, 'name' | 'id'> | null, wanted: string | undefined): boolean {
  return wanted === undefined || (api !== null && (api.name === wanted || api.id === wanted))
}

/** By `KIND:VALUE`, by value alone, or by an address seen behind it. */
export function isClient(client: Client | null, wanted: string | undefined): boolean {
  if (wanted === undefined) return true
  if (client === null) return false
  return (
    client.value === wanted ||
    clientKeyOf(client) === wanted ||
    client.addresses.some((address) => address === wanted)
  )
}

/** `wanted` is a status, a class such as `4xx`, or `none` for no answer (0). */
export function isStatus(status: number, wanted: string | undefined): boolean {
  if (wanted === undefined) return true
  if (status === 0) return wanted === 'none'
  return wanted === String(status) || wanted === `${Math.floor(status / 100)}xx`
}
