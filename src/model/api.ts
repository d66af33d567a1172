/** An API as its owner declared it. Interned by the catalogue: the same API of one snapshot is the same object. */
export interface Api {
  readonly name: string
  readonly version: string
  /** Base path, version included, as clients call it; '' where there is none. */
  readonly context: string
  /** REST, GraphQL, GRPC … as the CR says; '' when it does not. */
  readonly type: string
  readonly organization: string
  /** `production`, `sandbox` or the CR's own environment. */
  readonly environment: string
  readonly namespace: string
  /** The API id where the CR has one, else NAMESPACE/NAME of the CR. */
  readonly id: string
}

/** `method` is `*` where the route takes every method; `template` is the path below the API's context. */
export interface Operation {
  readonly method: string
  readonly template: string
}

/** `exact` … `none`: how sure an attribution is. The meanings stand in docs/identity.md. */
export type Confidence = 'exact' | 'high' | 'low' | 'ambiguous' | 'none'

/** Where a limit on an API, or on one of its operations, can be put: a Service, in the paths that it sees. */
export interface LimitTarget {
  readonly namespace: string
  readonly service: string
  /** The Service's port, not the pod's. */
  readonly port: number
  /** What a request to this API or operation looks like at that Service; each is enough by itself. */
  readonly matches: readonly BackendMatch[]
}

export interface BackendMatch {
  /** null: every method. */
  readonly method: string | null
  /** RE2, on the whole path without query, as the backend gets it; with or without anchors. */
  readonly pathRegex: string
  /** The operation's template, for names and messages. */
  readonly template: string
}

export type ClientKind = 'header' | 'application' | 'xff' | 'workload' | 'ip'

/** Who called. `value` is hashed for identity headers, so it may be shown. */
export interface Client {
  readonly kind: ClientKind
  readonly value: string
  /** The addresses that were seen behind it, at most 20, newest last. */
  readonly addresses: readonly string[]
  /** DNS names, networks and groups of them by which Cilium knew an `ip`: at most 5, newest last. */
  readonly names?: readonly string[]
  /** `NAMESPACE/NAME` of the ServiceAccount that the source runs as; of `workload` and `ip` only. */
  readonly serviceAccount?: string
  /** Whose client id the call carried, whatever the client is named after. */
  readonly application?: ClientApplication
}

/** An application of WSO2's control plane; '' for what its declaration does not say. */
export interface ClientApplication {
  readonly name: string
  readonly owner: string
  readonly organization: string
  /** `PRODUCTION` or `SANDBOX`: which of its keys the client id is of. */
  readonly keyType: string
  /** Its subscription to the API of the call; absent where that is not known, or there is none. */
  readonly subscription?: ClientSubscription
}

export interface ClientSubscription {
  /** Of the object. */
  readonly name: string
  /** As declared, such as `ACTIVE`. */
  readonly status: string
  /** Name of its rate limit. */
  readonly tier: string
}

/** The key of events and of detection: `KIND:VALUE`. */
export function clientKeyOf(client: Pick<Client, 'kind' | 'value'>): string {
  return `${client.kind}:${client.value}`
}
