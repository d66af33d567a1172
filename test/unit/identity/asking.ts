import { resolveAtBackend } from '../../../src/identity/backend-resolver.ts'
import type { Catalogue } from '../../../src/identity/catalogue.ts'
import { resolveAtGateway } from '../../../src/identity/gateway-resolver.ts'
import type { Resolution } from '../../../src/identity/resolution.ts'

export function atGateway(
  catalogue: Catalogue,
  host: string,
  path: string,
  method = 'GET',
  headers?: Record<string, string>,
  more: { query?: string; port?: number } = {},
): Resolution {
  const known = headers === undefined ? null : new Map(Object.entries(headers))
  const query = more.query === undefined ? null : new URLSearchParams(more.query)
  const port = more.port ?? 0
  return resolveAtGateway(catalogue, { method, host, path, headers: known, query, port })
}

export interface At {
  readonly service?: string
  readonly ip?: string
  readonly port?: number
  readonly host?: string
  readonly names?: readonly string[]
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly query?: string
  readonly gateway?: string
  readonly direct?: boolean
}

/** As it comes from a gateway, to Service shop/orders where `at` says nothing else. */
export function atBackend(
  catalogue: Catalogue,
  path: string,
  at: At = { service: 'shop/orders' },
): Resolution {
  const { service = '', ip = '', port = 0, host = '', names = [], method = 'GET' } = at
  const destination = { service, ip, port, names, endpoint: null, host }
  return resolveAtBackend(catalogue, {
    method,
    path,
    destination,
    behindGateway: at.direct !== true,
    ...(at.headers && { headers: new Map(Object.entries(at.headers)), hasClientHeaders: true }),
    ...(at.query !== undefined && { query: new URLSearchParams(at.query) }),
    ...(at.gateway !== undefined && { gateway: at.gateway }),
  })
}

/** `NAME METHOD TEMPLATE confidence`, or the candidates. */
export function short({ api, operation, confidence, candidates, more }: Resolution): string {
  if (api === null) {
    const names = candidates.map(({ name }) => name).sort()
    return [confidence, ...names, ...(more > 0 ? [`+${more}`] : [])].join(' ')
  }
  const named = operation === null ? '-' : `${operation.method} ${operation.template}`
  return `${api.name} ${named} ${confidence}`
}
