import type { HeaderField } from './hpack.ts'

/** Headers, or trailers, which have no `:status`. */
export interface ResponseHeaders {
  /** 0 for trailers. */
  readonly status: number
  /** By lower-case name; what came several times is joined as RFC 9110 5.3 has it. */
  readonly texts: ReadonlyMap<string, string>
}

const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/
const CONTROL = /[\0\r\n]/
/** RFC 9113 8.2.2. */
const OF_HTTP1 = new Set([
  'connection',
  'proxy-connection',
  'keep-alive',
  'transfer-encoding',
  'upgrade',
])

/** A text tells why the fields are no headers (or no trailers) of a response: RFC 9113 8.2, 8.3. */
export function responseHeadersOf(
  fields: readonly HeaderField[],
  isTrailers: boolean,
): ResponseHeaders | string {
  let status = 0
  const texts = new Map<string, string>()
  for (const [name, value] of fields) {
    if (CONTROL.test(value)) return `the value of "${shown(name)}" has control characters`
    if (name.startsWith(':')) {
      if (name !== ':status') return `the name "${shown(name)}"`
      if (isTrailers) return '":status" in trailers'
      if (status !== 0 || texts.size > 0) return '":status" in a wrong place'
      if (!/^[1-9]\d\d$/.test(value)) return `the status "${shown(value)}"`
      status = Number(value)
    } else {
      if (!NAME.test(name)) return `the name "${shown(name)}"`
      if (OF_HTTP1.has(name)) return `the name "${name}", which is of HTTP/1`
      const former = texts.get(name)
      texts.set(name, former === undefined ? value : `${former}, ${value}`)
    }
  }
  if (status === 0 && !isTrailers) return 'no ":status"'
  return { status, texts }
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 40)).slice(1, -1)
}
