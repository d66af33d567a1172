/** Of ASCII only. */
const CONTROL = /[^\P{Cc}\x80-\x9f]/u
const SCHEME = /^[A-Za-z][A-Za-z0-9+.-]*:/
const AUTHORITY =
  /^(?:(?:[-A-Za-z0-9._:~!$&'()*+,;=@]|%[0-9A-Fa-f]{2})*@)?(?:\[[0-9A-Fa-f:.%a-z]+\]|(?:[-A-Za-z0-9._~!$&'()*+,;=<>"\]]|[^\0-\x7f]|%25|%[89A-Fa-f][0-9A-Fa-f])*)(?::\d*)?$/
const BROKEN_ESCAPE = /%(?![0-9A-Fa-f]{2})/

/**
 * The path that a regular expression of `http_path` sees: of `http://shop/a%20b?x=1` it is `/a b`.
 * Undefined where Hubble cannot read the URL, which then matches nothing.
 * Source: `net/url` of Go 1.26, `ParseRequestURI`; cilium v1.20.2 `pkg/hubble/filters/http.go`.
 */
export function requestPathOf(url: string): string | undefined {
  if (url === '' || CONTROL.test(url)) return undefined
  if (url === '*') return url
  if (url.startsWith(':')) return undefined
  const scheme = SCHEME.exec(url)?.[0] ?? ''
  const query = url.indexOf('?', scheme.length)
  const rest = url.slice(scheme.length, query < 0 ? undefined : query)
  if (!rest.startsWith('/')) return scheme === '' ? undefined : ''
  if (scheme === '' || !rest.startsWith('//')) return decoded(rest)
  const slash = rest.indexOf('/', 2)
  if (!AUTHORITY.test(rest.slice(2, slash < 0 ? undefined : slash))) return undefined
  return slash < 0 ? '' : decoded(rest.slice(slash))
}

/** Bytes that are no UTF-8 are U+FFFD, as regular expressions of Go see them. */
function decoded(path: string): string | undefined {
  if (!path.includes('%')) return path
  if (BROKEN_ESCAPE.test(path)) return undefined
  const bytes = Buffer.from(path).toString('latin1')
  const raw = bytes.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  return Buffer.from(raw, 'latin1').toString()
}
