import { z } from 'zod'
import type { Api, Confidence, Operation } from '../model/api.ts'
import { resolveAtBackend } from './backend-resolver.ts'
import type { Catalogue } from './catalogue.ts'
import { resolveAtGateway } from './gateway-resolver.ts'
import { normalHost } from './host-index.ts'
import type { Resolution } from './resolution.ts'

/** What `weir resolve` prints for one request. */
export interface ResolveAnswer {
  readonly api: Api | null
  readonly operation: Operation | null
  readonly confidence: Confidence
  readonly how: string
  readonly candidates: readonly Api[]
  /** Present where there are more candidates than are listed. */
  readonly more?: number
}

const requestSchema = z.object({
  leg: z.enum(['gateway', 'backend']),
  method: z.string().min(1),
  path: z.string().startsWith('/'),
  host: z.string().default(''),
  headers: z.record(z.string(), z.string()).optional(),
  service: z
    .string()
    .regex(/^[^/\s]+\/[^/\s]+$/, 'must be NAMESPACE/NAME')
    .optional(),
  port: z.int().min(1).max(65_535).optional(),
  ip: z.union([z.ipv4(), z.ipv6()]).optional(),
  time: z.iso.datetime({ offset: true }).optional(),
})

/** Resolves one request as it came from outside; what cannot be read comes back as `error`. */
export function resolveRequest(
  catalogue: Catalogue,
  input: unknown,
): ResolveAnswer | { readonly error: string } {
  const read = requestSchema.safeParse(input)
  if (!read.success) {
    const problems = read.error.issues.map(({ path, message }) =>
      path.length === 0 ? message : `${path.join('.')}: ${message}`,
    )
    return { error: problems.join('; ') }
  }
  const { leg, host, headers, service = '', port = 0, ip = '' } = read.data
  const method = read.data.method.toUpperCase()
  const { path, query } = splitQuery(read.data.path)
  const known = headers === undefined ? null : lowerCased(headers)
  if (leg === 'backend') {
    const destination = { service, ip, port, names: [], endpoint: null, host: normalHost(host) }
    // Without a single header nothing was written down of them.
    const carried =
      known === null || known.size === 0 ? {} : { headers: known, hasClientHeaders: true }
    const request = { method, path, destination, behindGateway: true, query, ...carried }
    return answerOf(resolveAtBackend(catalogue, request))
  }
  return answerOf(resolveAtGateway(catalogue, { method, host, path, headers: known, query, port }))
}

function answerOf({ more, ...resolution }: Resolution): ResolveAnswer {
  return more === 0 ? resolution : { ...resolution, more }
}

function splitQuery(path: string): { path: string; query: URLSearchParams } {
  const [bare = ''] = path.split('#', 1)
  const mark = bare.indexOf('?')
  if (mark < 0) return { path: bare, query: new URLSearchParams() }
  return { path: bare.slice(0, mark), query: new URLSearchParams(bare.slice(mark + 1)) }
}

function lowerCased(headers: Readonly<Record<string, string>>): ReadonlyMap<string, string> {
  return new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))
}
