import type { Api, Operation } from './api.ts'

/**
 * `shadow`: a workload answers, and no API is declared there · `undocumented`: the API is, the path
 * is none of its · `zombie`: the API was removed, its traffic stays · `bypass`: what a gateway manages
 * is called past it · `orphan`: a declared operation that nobody calls.
 */
export type DiscoveryKind = 'shadow' | 'undocumented' | 'zombie' | 'bypass' | 'orphan'

/**
 * A difference between what is declared and what is called, with the numbers that say so. Times are
 * RFC 3339. The same one told again keeps its `id`. Its JSON is DISCOVERY of the public face.
 */
export interface Discovery {
  /** Deterministic: kind and what it is about, so that it is the same after a restart. */
  readonly id: string
  readonly kind: DiscoveryKind
  /** `closed`: it has not been seen for long, or is no longer so. */
  readonly state: 'open' | 'closed'
  /** Of the source that saw it; '' where it is of all (orphans). */
  readonly cluster: string
  /** Of shadow ones null, or what labels call the Service. */
  readonly api: Api | null
  /** Of shadow and undocumented ones the learned operation; null where it is about the whole API. */
  readonly operation: Operation | null
  /** NAMESPACE/NAME of the workload, else of the Service; null where none is known. */
  readonly workload: string | null
  /** Where the workload listens; null where it is about no port. */
  readonly port: number | null
  readonly first: string
  readonly last: string
  readonly counts: { readonly [what: string]: number }
  /** What was seen, in a sentence. */
  readonly evidence: string
}
