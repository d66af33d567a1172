import { quoteMeta, tokensOf } from './regex-source.ts'

const PARAMETER = /\{[^{}]*\}/g
/** Stands for a parameter where two ways of writing one path are compared. */
const MARK = '\0'

const rooted = (path: string): string => (path.startsWith('/') ? path : `/${path}`)

export function templateOfExact(path: string): string {
  return rooted(path)
}

/** `/orders` and `/orders/` → `/orders/{rest...}`, as Go's ServeMux writes it. */
export function templateOfPrefix(path: string): string {
  return `${rooted(path).replace(/\/$/, '')}/{rest...}`
}

/**
 * A readable name for an expression: `/user/([^/]+)/playlist/([^/]+)` → `/user/{p1}/playlist/{p2}`,
 * `{id}` where only one part varies, `{rest...}` where that part is all of the path. An expression
 * that is no plain sequence is its own name.
 */
export function templateOfRegex(source: string): string {
  const shape = shapeOfRegex(source)
  if (shape === null) return rooted(source)
  const count = shape.split(MARK).length - 1
  if (shape === MARK || shape === `/${MARK}`) return '/{rest...}'
  let index = 0
  const name = (): string => (count === 1 ? '{id}' : `{p${++index}}`)
  return rooted(shape.replaceAll(MARK, name))
}

/** What stays the same in all paths of an expression, with a mark for each part that varies. */
export function shapeOfRegex(source: string): string | null {
  const tokens = tokensOf(source)
  if (tokens === null) return null
  // A bare dot is hardly ever meant as more than the dot in a version or in a file's name.
  const parts = tokens.map((token) => token.literal ?? (token.source === '.' ? '.' : MARK))
  return parts.join('').replaceAll(/\0+/g, MARK)
}

/** The same of a declared template: `/user/{name}/*` varies in two parts. */
export function shapeOfTemplate(template: string): string {
  return template.replaceAll(PARAMETER, MARK).replace(/\*$/, MARK)
}

/** The RE2 source of all paths of a declared template, or of a part of one. */
export function regexOfTemplate(template: string): string {
  const parts: string[] = []
  let at = 0
  for (const match of template.matchAll(PARAMETER)) {
    parts.push(
      quoteMeta(template.slice(at, match.index)),
      match[0].endsWith('...}') ? '.*' : '[^/]+',
    )
    at = match.index + match[0].length
  }
  const rest = template.slice(at)
  parts.push(rest.endsWith('*') ? `${quoteMeta(rest.slice(0, -1))}.*` : quoteMeta(rest))
  return parts.join('')
}
