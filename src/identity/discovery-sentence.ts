import type { Api, Operation } from '../model/api.ts'
import type { DiscoveryGroup } from './discovery-group.ts'

const TEXT_MAX = 120
const CLIENTS_NAMED = 3
const DAY_MS = 86_400_000

/** Names come from objects and flows of others: without control characters, and short, they fit a sentence. */
function clean(text: string): string {
  const printable = text.slice(0, TEXT_MAX).replace(/[\p{C}\p{Z}]/gu, ' ')
  return text.length > TEXT_MAX ? `${printable}…` : printable
}

function nameOf(api: Api | null): string {
  if (api === null) return 'no API'
  return clean(api.version === '' ? api.name : `${api.name} ${api.version}`)
}

const operationText = ({ method, template }: Operation): string => clean(`${method} ${template}`)

/** RFC 3339; agents' clocks may say anything. */
export function timeOf(unixMs: number): string {
  const ms = Number.isNaN(unixMs) ? 0 : Math.min(Math.max(unixMs, 0), LATEST_MS)
  return new Date(Math.floor(ms)).toISOString()
}
const LATEST_MS = Date.parse('9999-12-31T23:59:59.999Z')

/** What was seen of a group, with its numbers. */
export function evidenceOf(group: DiscoveryGroup): string {
  return `${claimOf(group)}: ${numbersOf(group)}.`
}

export function quietSentenceOf(group: DiscoveryGroup): string {
  return `${claimOf(group)}: not seen since ${timeOf(group.lastMs)}, after ${numbersOf(group)}.`
}

function claimOf({ subject }: DiscoveryGroup): string {
  const { kind, called, api, operation, removedMs } = subject
  const where = `${clean(called.name)}:${called.port}`
  const what = operation === null ? 'requests' : operationText(operation)
  switch (kind) {
    case 'shadow':
      return `${where} answers ${what}, which no API declares`
    case 'undocumented':
      return `${where} answers ${what}, which is no operation of ${nameOf(api)}`
    case 'zombie':
      return `${where} still answers requests to ${nameOf(api)}, removed at ${timeOf(removedMs)}`
    case 'bypass':
      return `${where} behind ${nameOf(api)} is called past the gateway`
  }
}

function numbersOf(group: DiscoveryGroup): string {
  const [...clients] = group.clients
  const named = clients.slice(0, CLIENTS_NAMED).map(clean).join(', ')
  const who = clients.length > CLIENTS_NAMED ? `${named} and others` : named
  const { requests, windows, succeeded } = group
  return `${requests} requests in ${windows} windows, ${succeeded} of them answered below 400, from ${who}`
}

export interface Silence {
  readonly operation: Operation
  readonly api: Api
  /** Watched time without a request, in ms. */
  readonly silentMs: number
  /** Requests to the API meanwhile, or before. */
  readonly apiRequests: number
}

export function silenceSentenceOf({ operation, api, silentMs, apiRequests }: Silence): string {
  const days = (silentMs / DAY_MS).toFixed(1)
  const rest = `its API had ${apiRequests} since Weir watches`
  return `${operationText(operation)} of ${nameOf(api)} had no request in ${days} watched days; ${rest}.`
}

export function silenceEndOf(
  { operation, api }: Pick<Silence, 'operation' | 'api'>,
  isCalled: boolean,
): string {
  const what = `${operationText(operation)} of ${nameOf(api)}`
  return isCalled ? `${what} is called again.` : `${what} is no longer declared.`
}
