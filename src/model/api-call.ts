import type { Api, Client, Confidence, Operation } from './api.ts'
import type { Exchange } from './exchange.ts'

export type CallOutcome = 'answered' | 'unanswered' | 'denied' | 'limited'

/** Which way the call took: through an API gateway, past it, or from the client to the gateway. */
export type Via = 'gateway' | 'direct' | 'client'

export interface ApiCallFields {
  readonly exchange: Exchange
  readonly outcome: CallOutcome
  /** null where none is known, or where several are possible. */
  readonly api: Api | null
  readonly operation: Operation | null
  readonly confidence: Confidence
  /** Short name of the way in which the API was found. */
  readonly how: string
  /** The chosen one first; more than one only where they are really possible. At most five. */
  readonly candidates: readonly Api[]
  /** Possible APIs beyond those in `candidates`. */
  readonly more: number
  readonly client: Client
  /** The address that a limit on this client would be keyed on. */
  readonly clientAddress: string
  readonly via: Via
  /** Who refused it, where a rate limit did: we, or someone else's limiter. */
  readonly limitedBy: 'weir' | 'other' | null
  /** Our shadow limit marked it: it would have been refused. */
  readonly wouldLimit: boolean
}

/** One API call: an exchange, with the name of its API, its operation and its client. Immutable, may be kept. */
export class ApiCall {
  readonly exchange: Exchange
  readonly outcome: CallOutcome
  readonly api: Api | null
  readonly operation: Operation | null
  readonly confidence: Confidence
  readonly how: string
  readonly candidates: readonly Api[]
  readonly more: number
  readonly client: Client
  readonly clientAddress: string
  readonly via: Via
  readonly limitedBy: 'weir' | 'other' | null
  readonly wouldLimit: boolean

  constructor(fields: ApiCallFields) {
    this.exchange = fields.exchange
    this.outcome = fields.outcome
    this.api = fields.api
    this.operation = fields.operation
    this.confidence = fields.confidence
    this.how = fields.how
    this.candidates = fields.candidates
    this.more = fields.more
    this.client = fields.client
    this.clientAddress = fields.clientAddress
    this.via = fields.via
    this.limitedBy = fields.limitedBy
    this.wouldLimit = fields.wouldLimit
  }
}
