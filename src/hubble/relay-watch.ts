import type { FlowPort } from '../pipeline/contract.ts'
import { pause } from '../runtime/pause.ts'
import {
  DEADLINE_EXCEEDED,
  type HubbleClient,
  type NodeFacts,
  reasonOf,
  type ServerStatus,
} from './channel.ts'
import type { NodeBook, NodeEntry } from './node-book.ts'

export interface RelayWatchOptions {
  readonly client: () => HubbleClient | undefined
  readonly book: NodeBook
  /** Set: the server is the agent of this node, and not a Relay. */
  readonly agent?: string | undefined
  /** Every flow is asked for, so that a node's own count says what has to come. */
  readonly isWhole: boolean
  /** ServerStatus is asked this often, and the nodes every second time, in ms. Default 5 s. */
  readonly everyMs?: number | undefined
  /** An answer is waited for this long, in ms. Default 3 s. */
  readonly deadlineMs?: number | undefined
  readonly now: () => number
  /** Flows handed on so far. */
  readonly handed: () => number
  /** Between a stream that failed and the next one: whatever the server says, nothing is read. */
  readonly isStreamDown: () => boolean
  /** The stream has to be opened anew: it is blind to something. */
  readonly onBlind: (reason: 'blind_node' | 'address_changed' | 'new_node') => void
  /** The connection does not answer any more. */
  readonly onHung: () => void
}

const EVERY_MS = 5_000
const DEADLINE_MS = 3_000
const RETRY_MS = 1_000
/** Timeouts in a row, with no flow meanwhile, after which the connection is given up. */
const HUNG_AFTER = 2
/** Answers in a row in which a node counted flows of which none came. */
const BLIND_AFTER = 2
/** The newest slot of a ring is unreadable, so one flow more than was read is nothing. */
const BLIND_FLOWS_MIN = 2
/** Where a new stream did not help, it is not tried again before this, in ms. */
const BLIND_AGAIN_MS = 60_000
/** A node that spoke often and says nothing for so long, while the server hangs, is the one that hangs. */
const SILENT_AFTER_MS = 10_000
const OFTEN = 60
/** Before 1.15 a stream never gets nodes that join later. */
const JOINS_SINCE = [1, 15] as const
const NAMES_SHOWN_MAX = 10
/** Nodes of one answer; Kubernetes is tested with 5,000. */
const NODES_MAX = 10_000

interface Watched {
  address: string
  seenFlows: number
  uptimeNs: number
  blind: number
}

/**
 * Asks a Relay (or an agent) how it is and what its nodes have seen, for as long as it is read: an open
 * stream alone proves nothing. Tells `connected` and `interrupted`, keeps the coverage of each node,
 * and finds the streams that deliver nothing. Source: docs/hubble.md, Streams.
 */
export class RelayWatch {
  readonly #options: RelayWatchOptions
  readonly #watched = new Map<string, Watched>()
  readonly #silent = new Set<string>()
  #known = { connected: 0, unavailable: 0 }
  #version = ''
  #timeouts = 0
  #reopenedMs = Number.NEGATIVE_INFINITY
  #askedMs = 0

  constructor(options: RelayWatchOptions) {
    this.#options = options
  }

  /** Nodes that the server was connected to when it last answered. */
  get connected(): number {
    return this.#known.connected
  }

  /** Until `signal` aborts. */
  async run(to: FlowPort, signal: AbortSignal): Promise<void> {
    const { everyMs = EVERY_MS, deadlineMs = DEADLINE_MS, isStreamDown, now } = this.#options
    for (let round = 0; !signal.aborted; round++) {
      const client = this.#options.client()
      if (client === undefined) return
      const handed = this.#options.handed()
      const status = await client.serverStatus(deadlineMs, signal)
      if (signal.aborted) return
      // The connection was replaced meanwhile: that is no word on the server.
      if ('code' in status && this.#options.client() !== client) continue
      const isWell = this.#noteStatus(status, handed, to)
      if (isWell && round % 2 === 0) await this.#askNodes(client, status, deadlineMs, to, signal)
      this.#options.book.advance(now())
      const isQuiet = isWell && this.#known.connected > 0 && !isStreamDown()
      await pause(isQuiet ? everyMs : Math.min(RETRY_MS, everyMs), signal)
    }
  }

  /** A stream was opened: what its nodes say from now on counts. */
  streamOpened(): void {
    for (const watched of this.#watched.values()) watched.blind = 0
  }

  /** False where nothing can be read. */
  #noteStatus(
    status: Awaited<ReturnType<HubbleClient['serverStatus']>>,
    handedBefore: number,
    to: FlowPort,
  ): boolean {
    const isFailure = 'code' in status
    const isTimeout = isFailure && status.code === DEADLINE_EXCEEDED
    // One node that hangs keeps the answer back; the others are read all the same.
    const isReading =
      isTimeout && this.#known.connected > 0 && this.#options.handed() > handedBefore
    this.#timeouts = isTimeout && !isReading ? this.#timeouts + 1 : 0
    if (this.#timeouts >= HUNG_AFTER) {
      this.#timeouts = 0
      this.#options.onHung()
    }
    if (isFailure && !isReading) {
      for (const { coverage } of this.#nodes()) coverage.absent(this.#options.now())
      to.notice({ kind: 'interrupted', reason: reasonOf(status), retryInMs: RETRY_MS })
      return false
    }
    if (!isFailure) {
      this.#known = status
      this.#version = status.version
    }
    if (!this.#options.isStreamDown()) {
      const { connected: nodes, unavailable } = this.#known
      to.notice({ kind: 'connected', nodes, unavailable })
    }
    if (isTimeout) this.#findSilent(to)
    else this.#silent.clear()
    return true
  }

  async #askNodes(
    client: HubbleClient,
    status: ServerStatus | { readonly code: number },
    deadlineMs: number,
    to: FlowPort,
    signal: AbortSignal,
  ): Promise<void> {
    if ('code' in status) return
    const { agent } = this.#options
    if (agent !== undefined) {
      this.#noteNodes([{ name: agent, address: '', ...status }])
      return
    }
    const nodes = await client.nodes(deadlineMs, signal)
    if (signal.aborted) return
    if (!('code' in nodes)) this.#noteNodes(nodes.slice(0, NODES_MAX))
    else if (nodes.code === DEADLINE_EXCEEDED) this.#findSilent(to)
  }

  #noteNodes(nodes: readonly NodeFacts[]): void {
    const { book, isWhole, now } = this.#options
    const nowMs = now()
    const sinceMs = this.#askedMs
    this.#askedMs = nowMs
    const names = new Set(nodes.map(({ name }) => name))
    for (const name of this.#watched.keys()) {
      if (names.has(name)) continue
      this.#watched.delete(name)
      const node = book.known(name)
      if (node !== undefined) node.isAway = true
    }
    for (const facts of nodes) {
      const node = book.node(facts.name, nowMs)
      node.isAway = facts.uptimeNs === 0
      if (node.isAway) node.coverage.absent(nowMs)
      else node.coverage.answered(facts, isWhole)
      this.#lookAt(facts, node, sinceMs, nowMs)
    }
  }

  /** Whether our stream is blind to the node. */
  #lookAt(facts: NodeFacts, node: NodeEntry, sinceMs: number, nowMs: number): void {
    const { address, seenFlows, uptimeNs } = facts
    const before = this.#watched.get(facts.name)
    this.#watched.set(facts.name, { address, seenFlows, uptimeNs, blind: 0 })
    if (before === undefined) {
      if (sinceMs > 0 && isBefore(this.#version, JOINS_SINCE)) this.#blind('new_node', nowMs)
      return
    }
    if (address !== before.address) this.#blind('address_changed', nowMs)
    const hasRun = uptimeNs > before.uptimeNs && before.uptimeNs > 0
    const hasSeen = hasRun && seenFlows - before.seenFlows >= BLIND_FLOWS_MIN
    if (!this.#options.isWhole || !hasSeen || node.heardMs >= sinceMs) return
    const blind = before.blind + 1
    this.#watched.set(facts.name, { address, seenFlows, uptimeNs, blind })
    if (blind >= BLIND_AFTER) this.#blind('blind_node', nowMs)
  }

  #blind(reason: 'blind_node' | 'address_changed' | 'new_node', nowMs: number): void {
    if (this.#options.isStreamDown()) return
    if (reason === 'blind_node' && nowMs - this.#reopenedMs < BLIND_AGAIN_MS) return
    this.#reopenedMs = nowMs
    this.#options.onBlind(reason)
  }

  #nodes(): Iterable<NodeEntry> {
    const { agent, book } = this.#options
    if (agent === undefined) return book.entries()
    const node = book.known(agent)
    return node === undefined ? [] : [node]
  }

  /** The server hangs: of the nodes that spoke often, those that fell silent are the reason. */
  #findSilent(to: FlowPort): void {
    const nowMs = this.#options.now()
    const names: string[] = []
    for (const { name, heardMs, coverage } of this.#nodes()) {
      if (nowMs - heardMs < SILENT_AFTER_MS) {
        this.#silent.delete(name)
        continue
      }
      if (!this.#silent.has(name)) {
        if (coverage.recent().received < OFTEN) continue
        names.push(name)
        this.#silent.add(name)
      }
      coverage.absent(nowMs)
    }
    if (names.length === 0) return
    const message = 'it does not answer, and keeps the answers of the others back'
    const shown = names.slice(0, NAMES_SHOWN_MAX)
    to.notice({ kind: 'nodes', state: 'silent', count: names.length, names: shown, message })
  }
}

/** False for a version that cannot be read: it is no older one. */
function isBefore(version: string, [major, minor]: readonly [number, number]): boolean {
  const [, a, b] = /(\d+)\.(\d+)\./.exec(version) ?? []
  if (a === undefined || b === undefined) return false
  return Number(a) < major || (Number(a) === major && Number(b) < minor)
}
