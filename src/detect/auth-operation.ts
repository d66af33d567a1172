import type { ApiCall } from '../model/api-call.ts'

/** Words that make an operation one at which clients prove who they are. */
export const AUTH_WORDS: readonly string[] = [
  'login',
  'logon',
  'signin',
  'auth',
  'authn',
  'authenticate',
  'authentication',
  'authorize',
  'oauth',
  'oauth2',
  'oidc',
  'token',
  'tokens',
  'session',
  'sessions',
  'password',
  'otp',
  'mfa',
  'sso',
]

/** Segments of a path that are looked at. */
const SEGMENTS_MAX = 16
/** Longer ones are identifiers or attacks, never a word. */
const SEGMENT_MAX = 64
/** Templates remembered for each detector; beyond it the memory starts anew. */
const REMEMBERED_MAX = 4_096

/**
 * Tells auth operations by their path: one of the words as a whole segment, as a part between
 * `-`, `_`, `.` or humps (`/user-login`, `/getToken`), or a segment's parts joined (`/sign-in`).
 */
export class AuthOperations {
  readonly #words: ReadonlySet<string>
  /** By context, then template: no string is put together for a call that is none. */
  readonly #byContext = new Map<string, Map<string, string | null>>()
  #remembered = 0

  constructor(words: readonly string[]) {
    this.#words = new Set(words.map((word) => word.toLowerCase()))
  }

  /**
   * `METHOD /path` of the auth operation that was called; null where it is none. Where no operation
   * is known the path ends with the segment that told, so that what follows makes no new operation.
   */
  nameOf(call: ApiCall): string | null {
    const { operation, api, exchange } = call
    const path =
      operation === null
        ? this.#authPathOf(exchange.path)
        : this.#pathOf(api?.context ?? '', operation.template)
    return path === null ? null : `${exchange.method} ${path}`
  }

  #pathOf(context: string, template: string): string | null {
    let byTemplate = this.#byContext.get(context)
    const known = byTemplate?.get(template)
    if (known !== undefined) return known
    const path = this.#authPathOf(`${context}${template}`) === null ? null : template
    if (this.#remembered++ >= REMEMBERED_MAX) {
      this.#byContext.clear()
      this.#remembered = 0
      byTemplate = undefined
    }
    if (byTemplate === undefined) {
      byTemplate = new Map()
      this.#byContext.set(context, byTemplate)
    }
    byTemplate.set(template, path)
    return path
  }

  /** The path up to the first segment that has one of the words; null. */
  #authPathOf(path: string): string | null {
    let start = 0
    for (let segment = 0; segment < SEGMENTS_MAX && start < path.length; segment++) {
      const slash = path.indexOf('/', start)
      const end = slash < 0 ? path.length : slash
      if (end > start && end - start <= SEGMENT_MAX && this.#isAuth(path.slice(start, end))) {
        return path.slice(0, end)
      }
      start = end + 1
    }
    return null
  }

  #isAuth(segment: string): boolean {
    const lower = segment.toLowerCase()
    if (this.#words.has(lower)) return true
    if (!/[-_.]|[a-z][A-Z]/.test(segment)) return false
    const parts = segment
      .replace(/([a-z0-9])([A-Z])/g, '$1-$2')
      .toLowerCase()
      .split(/[-_.]/)
    return this.#words.has(parts.join('')) || parts.some((part) => this.#words.has(part))
  }
}
