import { hash } from 'node:crypto'
import type { Endpoint } from './endpoint.ts'
import { Direction } from './flow-view.ts'

/** How a request ended. `denied`: by a layer 7 policy; `unanswered`: no response within its time. */
export type ExchangeOutcome = 'answered' | 'unanswered' | 'denied'

/** One proxy's account of a call: the server's (INGRESS) or the client's (EGRESS). Immutable. */
export interface Report {
  readonly direction: Direction
  /** Of the source that read it, as the configuration has it. */
  readonly cluster: string
  readonly node: string
  /** Of the REQUEST flow; '' where the request was not seen, or the agent is older than 1.14. */
  readonly uuid: string
  /** Unix ms of the REQUEST flow, of the RESPONSE flow where no request was seen. */
  readonly seenMs: number
  /** Unix ms at which the request began: response time less latency, with the fraction. */
  readonly startMs: number
  /** Time to the response's headers, in ms; -1 where no response came, or nobody measured it. */
  readonly durationMs: number
  /** The duration is the difference of two flows' times, not Envoy's own measure. */
  readonly estimated: boolean
  /** HTTP status; 0 where no response came. */
  readonly status: number
  readonly source: Endpoint
  readonly sourceIp: string
  readonly sourcePort: number
  readonly destination: Endpoint
  readonly destinationIp: string
  readonly destinationPort: number
  /** `NAMESPACE/NAME` where the destination was a Service's address; ''. */
  readonly destinationService: string
  readonly destinationNames: readonly string[]
  /** Names that the DNS proxy learnt for the source's address. */
  readonly sourceNames?: readonly string[]
}

/**
 * What a request's headers say of the API that it was made to; '' for what they do not. Anyone can
 * send such headers: identity decides what they are worth.
 */
export interface ApiClaim {
  /** `x-api-id`, `x-api-name`, `x-api-version`, as they came. */
  readonly id: string
  readonly name: string
  readonly version: string
  /** What a gateway's token says, where the configuration names its header; the token itself is not kept. */
  readonly token: TokenClaim | null
}

export interface TokenClaim {
  readonly name: string
  readonly version: string
  readonly context: string
  readonly sandbox: boolean
  /** The subscribed application. */
  readonly application: string
}

export interface ExchangeFields {
  readonly outcome: ExchangeOutcome
  /** The account that counts: the server's where it has an end, else that which has one. */
  readonly report: Report
  /** The other proxy's account of the same call; null where none came. */
  readonly twin: Report | null
  readonly method: string
  readonly scheme: string
  /** Authority as sent, port included; '' where the URL did not tell. */
  readonly host: string
  /** Without query and fragment: those may carry secrets. */
  readonly path: string
  readonly protocol: string
  /** x-request-id; '' when absent or redacted. */
  readonly requestId: string
  /** The whole `traceparent` header of the request; ''. */
  readonly traceParent: string
  /** The whole `x-forwarded-for` header of the request; ''. */
  readonly forwardedFor: string
  readonly userAgent: string
  /** One value a configured identity header, hashed; '' when absent. Order of the configuration. */
  readonly identityValues: readonly string[]
  readonly apiClaim?: ApiClaim | null
  /** The response's `x-weir` header; ''. Anyone can send one: only our current values are evidence. */
  readonly weirMark: string
  /** The request's `x-weir-would-limit` header; ''. */
  readonly weirShadow: string
  /** Tries that a load balancer's proxy made for this one call; 1 without retries. */
  readonly attempts: number
  /** The call was told before, as unanswered; this is the correction, with the same id. */
  readonly revises: boolean
}

/** A request and what became of it. Small, immutable, may be kept. */
export class Exchange {
  readonly outcome: ExchangeOutcome
  readonly report: Report
  readonly twin: Report | null
  readonly method: string
  readonly scheme: string
  readonly host: string
  readonly path: string
  readonly protocol: string
  readonly requestId: string
  readonly traceParent: string
  readonly forwardedFor: string
  readonly userAgent: string
  readonly identityValues: readonly string[]
  readonly apiClaim: ApiClaim | null
  readonly weirMark: string
  readonly weirShadow: string
  readonly attempts: number
  readonly revises: boolean
  #id = ''

  constructor(fields: ExchangeFields) {
    this.outcome = fields.outcome
    this.report = fields.report
    this.twin = fields.twin
    this.method = fields.method
    this.scheme = fields.scheme
    this.host = fields.host
    this.path = fields.path
    this.protocol = fields.protocol
    this.requestId = fields.requestId
    this.traceParent = fields.traceParent
    this.forwardedFor = fields.forwardedFor
    this.userAgent = fields.userAgent
    this.identityValues = fields.identityValues
    this.apiClaim = fields.apiClaim ?? null
    this.weirMark = fields.weirMark
    this.weirShadow = fields.weirShadow
    this.attempts = fields.attempts
    this.revises = fields.revises
  }

  /**
   * Deterministic, so that a consumer can drop doubles: the first 16 bytes, in hex, of SHA-256 over
   * node and the REQUEST's uuid; over node, time, 5-tuple, method and path where there is no uuid.
   */
  get id(): string {
    if (this.#id === '') this.#id = hash('sha256', this.#identifying(), 'hex').slice(0, 32)
    return this.#id
  }

  /** Unix ms at which the call ended for whoever counts it: its start where no answer came. */
  get endMs(): number {
    return this.report.startMs + Math.max(0, this.report.durationMs)
  }

  get status(): number {
    return this.report.status
  }

  #identifying(): string {
    const r = this.report
    if (r.uuid !== '') return `${r.node}\n${r.uuid}`
    const ends = `${r.sourceIp}\n${r.sourcePort}\n${r.destinationIp}\n${r.destinationPort}`
    return `${r.node}\n${r.seenMs.toFixed(6)}\n${ends}\n${this.method}\n${this.path}`
  }
}

/** Which proxies reported the call, as the events write it. */
export function reportersOf(exchange: Exchange): readonly ('ingress' | 'egress')[] {
  const seen = [exchange.report, ...(exchange.twin === null ? [] : [exchange.twin])]
  const names: ('ingress' | 'egress')[] = []
  if (seen.some((r) => r.direction === Direction.ingress)) names.push('ingress')
  if (seen.some((r) => r.direction === Direction.egress)) names.push('egress')
  return names
}
