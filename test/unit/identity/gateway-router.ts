/**
 * What a gateway of the Gateway API does with a request, written down a second time and straight
 * forward: one virtual host is chosen, its matches are sorted, the first that fits takes the request.
 */
export interface ForwardMatch {
  readonly api: string
  readonly host: string
  readonly type: 'Exact' | 'PathPrefix' | 'RegularExpression'
  readonly path: string
  readonly method: string | undefined
  /** Name of the one header that must be `1`. */
  readonly header: string | undefined
  readonly prefix: string | undefined
  readonly full: string | undefined
  readonly service: string
}

export interface ForwardRequest {
  readonly host: string
  readonly path: string
  readonly method: string
  readonly headers: readonly string[]
}

type Order = (match: ForwardMatch) => readonly number[]

const bare = (path: string): string => path.replace(/\/$/, '')
const kindOf = ({ type }: ForwardMatch): number =>
  ({ Exact: 2, RegularExpression: 1, PathPrefix: 0 })[type]
const lengthOf = ({ type, path }: ForwardMatch): number =>
  type === 'PathPrefix' ? bare(path).length : path.length

/** Path, then method, then headers: the specification's, and Cilium's. */
const cilium: Order = (match) => [
  kindOf(match),
  lengthOf(match),
  Number(match.method !== undefined),
  Number(match.header !== undefined),
]
/** A method counts as one more header. */
const envoyGateway: Order = (match) => [
  kindOf(match),
  lengthOf(match),
  Number(match.method !== undefined) + Number(match.header !== undefined),
]
export const ORDERS = { cilium, envoyGateway } as const

function fits(match: ForwardMatch, { path, method, headers }: ForwardRequest): boolean {
  if (match.method !== undefined && match.method !== method) return false
  if (match.header !== undefined && !headers.includes(match.header)) return false
  if (match.type === 'Exact') return path === match.path
  if (match.type === 'RegularExpression') return new RegExp(`^(?:${match.path})$`).test(path)
  return path === bare(match.path) || path.startsWith(`${bare(match.path)}/`)
}

function isHost(own: string, host: string): boolean {
  return own === '' || own === host || (own.startsWith('*') && host.endsWith(own.slice(1)))
}

/** Every match that may have taken the request: one, or several that nothing puts in an order. */
export function takenBy(
  matches: readonly ForwardMatch[],
  request: ForwardRequest,
  order: Order,
): readonly ForwardMatch[] {
  const hosts = matches.map(({ host }) => host).filter((host) => isHost(host, request.host))
  const weight = (host: string): number =>
    host.startsWith('*') ? host.length : host.length + 1_000
  const [virtual] = hosts.toSorted(
    (a, b) => (b === '' ? 0 : weight(b)) - (a === '' ? 0 : weight(a)),
  )
  const fitting = matches.filter((match) => match.host === virtual && fits(match, request))
  const compare = (a: ForwardMatch, b: ForwardMatch): number => {
    const left = order(a)
    const right = order(b)
    for (const [index, value] of left.entries()) {
      const other = right[index] ?? 0
      if (value !== other) return other - value
    }
    return 0
  }
  const [first] = fitting.toSorted(compare)
  return first === undefined ? [] : fitting.filter((match) => compare(match, first) === 0)
}

/** What the backend gets; of a root that another root replaces, with a slash at its end or without. */
export function sentByGateway(
  { type, path, prefix, full }: ForwardMatch,
  asked: string,
): readonly string[] {
  if (full !== undefined) return [full]
  if (prefix === undefined || type !== 'PathPrefix') return [asked]
  const sent = `${bare(prefix)}${asked.slice(bare(path).length)}` || '/'
  return path === '/' && asked === '/' ? [sent, bare(sent) || '/'] : [sent]
}
