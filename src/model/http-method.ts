/**
 * Methods that stand for themselves in labels and span names; whoever calls may send any other.
 * Source: RFC 9110, RFC 5789, and QUERY: those that the semantic conventions for HTTP know.
 */
export const KNOWN_METHODS: ReadonlySet<string> = new Set([
  'CONNECT',
  'DELETE',
  'GET',
  'HEAD',
  'OPTIONS',
  'PATCH',
  'POST',
  'PUT',
  'QUERY',
  'TRACE',
])
