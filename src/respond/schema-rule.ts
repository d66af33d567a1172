import { canonicalJson, type Json } from './canonical-json.ts'

/** What is wrong with a document, and where: an RFC 6901 pointer. */
export interface CecProblem {
  readonly path: string
  readonly message: string
}

/** Checks one value and adds what is wrong to `problems`. */
export type SchemaRule = (value: unknown, path: string, problems: CecProblem[]) => void

/** Exactly this value, however deep. */
export function literal(expected: Json): SchemaRule {
  const text = canonicalJson(expected)
  return (value, path, problems) => {
    if (!isJson(value) || canonicalJson(value) !== text) {
      problems.push({ path, message: `must be ${text}` })
    }
  }
}

/** A text; `is` says what it must be. */
export function text(is: string, test: (value: string) => boolean): SchemaRule {
  return (value, path, problems) => {
    if (typeof value !== 'string' || !test(value)) problems.push({ path, message: `must be ${is}` })
  }
}

export function integer(min: number, max: number): SchemaRule {
  return (value, path, problems) => {
    if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
      problems.push({ path, message: `must be an integer from ${min} to ${max}` })
    }
  }
}

/** A list of `min` to `max` items that all follow `rule`. */
export function list(rule: SchemaRule, min: number, max: number): SchemaRule {
  return (value, path, problems) => {
    if (!Array.isArray(value) || value.length < min || value.length > max) {
      problems.push({ path, message: `must be a list of ${min} to ${max} items` })
      return
    }
    value.forEach((item: unknown, index) => rule(item, `${path}/${index}`, problems))
  }
}

/** A list with exactly these items, in this order. */
export function tuple(...rules: readonly SchemaRule[]): SchemaRule {
  return (value, path, problems) => {
    if (!Array.isArray(value) || value.length !== rules.length) {
      problems.push({ path, message: `must be a list of ${rules.length} items` })
    }
    if (!Array.isArray(value)) return
    rules.forEach((rule, index) => {
      if (index < value.length) rule(value[index], `${path}/${index}`, problems)
    })
  }
}

/**
 * An object with all of `required`, any of `optional`, and nothing else: an unknown field, or the
 * other spelling of a known one, makes the agent drop the whole resource silently.
 */
export function message(
  required: { readonly [field: string]: SchemaRule },
  optional: { readonly [field: string]: SchemaRule } = {},
): SchemaRule {
  return (value, path, problems) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      problems.push({ path, message: 'must be an object' })
      return
    }
    const fields: { readonly [field: string]: unknown } = { ...value }
    for (const [name, rule] of Object.entries({ ...required, ...optional })) {
      if (Object.hasOwn(fields, name)) rule(fields[name], pointer(path, name), problems)
      else if (Object.hasOwn(required, name)) {
        problems.push({ path: pointer(path, name), message: 'is missing' })
      }
    }
    for (const name of Object.keys(fields)) {
      if (Object.hasOwn(required, name) || Object.hasOwn(optional, name)) continue
      problems.push({ path: pointer(path, name), message: 'is a field that Weir does not write' })
    }
  }
}

/** What the first of `rules` accepts; if none does, what the last one says. */
export function either(...rules: readonly SchemaRule[]): SchemaRule {
  return (value, path, problems) => {
    let last: CecProblem[] = []
    for (const rule of rules) {
      last = []
      rule(value, path, last)
      if (last.length === 0) return
    }
    problems.push(...last)
  }
}

export function pointer(path: string, name: string): string {
  return `${path}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`
}

/** Nothing that `JSON.stringify` would drop or change. */
function isJson(value: unknown): value is Json {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return true
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object') return false
  return (Array.isArray(value) ? value : Object.values(value)).every(isJson)
}
