export interface UrlParts {
  readonly scheme: string
  /** Authority as written, port included. */
  readonly host: string
  /** From the first slash to the query; '' where the URL has none. */
  readonly path: string
}

const HOST_MAX = 255
const PATH_MAX = 2_048
const NO_PARTS: UrlParts = { scheme: '', host: '', path: '' }
/** RFC 3986. Anything else before `://` is a path or a query that carries another URL. */
const SCHEME = /^[a-z][a-z0-9+.-]{0,31}$/i

/**
 * Splits what Hubble puts into `http.url`: `scheme://authority/path?query`, or whatever parts were
 * left where Envoy could not tell. Query and fragment are dropped; nothing is decoded or normalised,
 * and nothing is refused. Longer parts are cut (host 255, path 2,048 characters).
 */
export function partsOfUrl(url: string): UrlParts {
  if (url === '') return NO_PARTS
  const schemeEnd = url.indexOf('://')
  const isAbsolute = schemeEnd > 0 && SCHEME.test(url.slice(0, schemeEnd))
  const authorityStart = isAbsolute ? schemeEnd + 3 : 0
  const end = endOfPath(url, authorityStart)
  const slash = url.indexOf('/', authorityStart)
  const pathStart = slash < 0 || slash > end ? end : slash
  const authority = url.slice(authorityStart, pathStart)
  return {
    scheme: isAbsolute ? url.slice(0, schemeEnd) : '',
    host: authority.slice(authority.lastIndexOf('@') + 1).slice(0, HOST_MAX),
    path: url.slice(pathStart, Math.min(end, pathStart + PATH_MAX)),
  }
}

function endOfPath(url: string, from: number): number {
  for (let i = from; i < url.length; i++) {
    const code = url.charCodeAt(i)
    if (code === 63 || code === 35) return i // ? #
  }
  return url.length
}
