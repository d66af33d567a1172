import type { FlowView } from '../model/flow-view.ts'
import type { Component } from '../runtime/lifecycle.ts'

/**
 * What became of one input: 0, it went on or is held; others, it ended here: an index into the
 * stage's own closed table of outcomes and reasons (`merged`, `filtered:not_http`). Nothing is
 * allocated.
 */
export type Outcome = number

/** Where flows come from. Reports through notices, never throws because of what it reads. */
export interface Source extends Component {
  /** Files, stdin and bounded reads are paced: they wait for `ready()` and nothing is ever shed. Live streams never wait. */
  readonly paced: boolean
  /** Runs until the input ends or `signal` aborts. Rejects only where going on is pointless (a file that is not there). */
  run(to: FlowPort, signal: AbortSignal): Promise<void>
  /** Node by node what was seen lately of what happened; nodes without anything are left out. */
  coverage(): readonly NodeCoverage[]
  /** What its bounds cost so far, by table: entries that left before their time, or found no room. */
  evictions(): Readonly<Record<string, number>>
}

/** In flows, over the current minute and the one before it. `missed` is an upper bound where Hubble does not tell. */
export interface NodeCoverage {
  readonly node: string
  readonly received: number
  readonly missed: number
  /** When something of it last came, Unix ms; 0: unknown. */
  readonly heardMs: number
}

/** Which share of what happened was seen: 0 … 1, and 1 where nothing happened. */
export function coverageRatio(nodes: Iterable<Pick<NodeCoverage, 'received' | 'missed'>>): number {
  let received = 0
  let missed = 0
  for (const node of nodes) {
    received += node.received
    missed += node.missed
  }
  return missed === 0 ? 1 : received / (received + missed)
}

/** What a source hands its flows to. `view` is valid only inside the call. */
export interface FlowPort {
  flow(view: FlowView): void
  notice(notice: SourceNotice): void
  /** Undefined: go on. Else a paced source waits for it. */
  ready(): Promise<void> | undefined
}

/** Values of the `reason` label of `weir_flows_rejected_total`. */
export type RejectReason = 'duplicate' | 'malformed' | 'filtered' | 'too_large' | 'unsupported'
/** Values of the `reason` label of `weir_flows_lost_total`. */
export type LossReason = 'perf_ring' | 'events_queue' | 'hubble_ring' | 'unknown'

/** What a source says besides flows. */
export type SourceNotice =
  /** The source can be read now; a relay says how many of its nodes it is connected to. */
  | { readonly kind: 'connected'; readonly nodes: number; readonly unavailable: number }
  /** The source is away, and is being tried again after `retryInMs`. */
  | { readonly kind: 'interrupted'; readonly reason: string; readonly retryInMs: number }
  /** The source refuses what we ask for; trying again is slow, and the text is for the operator. */
  | { readonly kind: 'refused'; readonly reason: string }
  | { readonly kind: 'reopened'; readonly reason: string }
  | { readonly kind: 'rejected'; readonly reason: RejectReason; readonly count: number }
  | {
      readonly kind: 'lost'
      readonly node: string
      readonly reason: LossReason
      readonly count: number
    }
  | {
      readonly kind: 'nodes'
      /** `silent`: nothing comes from it though it does not seem to be away. */
      readonly state: 'connected' | 'unavailable' | 'gone' | 'error' | 'silent' | 'unknown'
      /** Nodes that it is about; `names` has the first few. */
      readonly count: number
      readonly names: readonly string[]
      readonly message: string
    }

/** Synchronous and deterministic: its only clock is what `advance` says. May hold inputs (a request that waits for its answer). */
export interface Stage<I, O> {
  accept(input: I, emit: (output: O) => void): Outcome
  /** Both in Unix ms; for a paced source they are the same. Infinity: the input ended, let go of everything. */
  advance(eventMs: number, wallMs: number, emit: (output: O) => void): void
  readonly held: number
}

/** Metrics, detection, span and event encoding: synchronous, never sheds, copies what it keeps. */
export interface Sink<T> {
  accept(record: T): Outcome
  /** As a stage's. */
  advance(eventMs: number, wallMs: number): void
}

/** What goes out over a network or to a disk: owns its bytes, a bounded queue, retry, spool; `offer` never waits. */
export interface Delivery extends Component {
  offer(record: Encoded): Outcome
  /** Undefined: there is room. Else a paced source waits for it before it reads on. */
  ready(): Promise<void> | undefined
}

/** One event, ready to go: a CloudEvent in binary mode. Owned by whoever it was offered to. */
export interface Encoded {
  readonly topic: string
  /** Partition key. */
  readonly key: string
  /** `ce_id`, `ce_type` … and `content-type`. */
  readonly headers: { readonly [name: string]: string }
  /** JSON. */
  readonly value: Buffer
}
