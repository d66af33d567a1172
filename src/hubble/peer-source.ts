import { describeError } from '../errors.ts'
import type { FlowPort, NodeCoverage, Source, SourceNotice } from '../pipeline/contract.ts'
import { pause } from '../runtime/pause.ts'
import { type HubbleClient, type PeerChange, reasonOf } from './channel.ts'
import { NodeBook } from './node-book.ts'
import { createRelaySource, type RelayOptions } from './relay-source.ts'
import { WireView } from './wire/wire-view.ts'

export interface PeerOptions extends Omit<RelayOptions, 'agent' | 'book' | 'view'> {
  /** Connects to the agent of one node; `serverName` is undefined where it speaks plaintext. */
  readonly connectAgent: (address: string, serverName: string | undefined) => Promise<HubbleClient>
  /** Peers that a new list does not name within this are gone, in ms. */
  readonly settleMs?: number | undefined
}

const SETTLE_MS = 3_000
/** Each agent is asked this often how it is, in ms: there may be hundreds. */
const STATUS_EVERY_MS = 15_000
/** Reasons of one agent that are told; its stream and its status may have one each, in turn. */
const PROBLEMS_MAX = 8
/** Agents read at a time; Kubernetes is tested with 5,000 nodes. */
const AGENTS_MAX = 5_000

interface Agent {
  readonly name: string
  readonly address: string
  readonly serverName: string | undefined
  readonly stop: AbortController
  isAnnounced: boolean
  isConnected: boolean
  /** Why it is not; each is told once, until it is. */
  readonly problems: Set<string>
  ended: Promise<void>
}

/**
 * Reads the agents of all nodes directly, one stream each, as the peer service of one of them names
 * them: nothing is sorted on the way, and each node resumes exactly where it was. Nodes come, go and
 * change their address while it runs.
 */
export function createPeerSource(options: PeerOptions): Source {
  return new PeerSource(options)
}

class PeerSource implements Source {
  readonly name: string
  readonly paced: boolean
  readonly #options: PeerOptions
  readonly #sinceMs: number
  readonly #book: NodeBook
  readonly #view: WireView
  readonly #agents = new Map<string, Agent>()
  readonly #stopped = new AbortController()
  #client: HubbleClient | undefined
  #failure: Error | undefined

  constructor(options: PeerOptions) {
    this.name = options.name
    this.paced = options.untilMs !== undefined
    this.#options = options
    this.#sinceMs = Math.floor(options.sinceMs ?? options.now())
    this.#book = new NodeBook(this.#sinceMs)
    this.#view = new WireView(options.endpoints, options.cluster)
  }

  async start(): Promise<void> {
    this.#client = await this.#options.connect()
  }

  async stop(): Promise<void> {
    this.#stopped.abort()
    this.#client?.close()
    this.#client = undefined
    await Promise.all([...this.#agents.values()].map(({ ended }) => ended))
  }

  coverage(): readonly NodeCoverage[] {
    return this.#book.coverage()
  }

  evictions(): Readonly<Record<string, number>> {
    return { nodes: this.#book.evicted, wire: this.#view.evicted }
  }

  async run(to: FlowPort, signal: AbortSignal): Promise<void> {
    const done = new AbortController()
    const ended = AbortSignal.any([signal, this.#stopped.signal, done.signal])
    try {
      if (this.paced) await this.#readOnce(to, ended)
      else await this.#follow(to, ended)
    } finally {
      done.abort()
      for (const { stop } of this.#agents.values()) stop.abort()
      await Promise.all([...this.#agents.values()].map((agent) => agent.ended))
    }
    if (this.#failure !== undefined) throw this.#failure
  }

  async #follow(to: FlowPort, ended: AbortSignal): Promise<void> {
    for (let attempt = 1; !ended.aborted; attempt++) {
      const announced = await this.#hear(to, ended)
      if (ended.aborted) return
      if (announced.count > 0) attempt = 1
      const retryInMs = this.#options.backoffMs(attempt)
      // The agents that are known are read on.
      if (this.#connected() === 0)
        to.notice({ kind: 'interrupted', reason: announced.end, retryInMs })
      await pause(retryInMs, ended)
      await this.#reconnect(ended)
    }
  }

  /** A bounded read: whoever is announced at once, each to its end. */
  async #readOnce(to: FlowPort, ended: AbortSignal): Promise<void> {
    for (let attempt = 1; !ended.aborted; attempt++) {
      const settled = new AbortController()
      const timer = setTimeout(() => settled.abort(), this.#options.settleMs ?? SETTLE_MS)
      const { count, end } = await this.#hear(to, AbortSignal.any([ended, settled.signal]))
      clearTimeout(timer)
      if (count > 0) break
      const retryInMs = this.#options.backoffMs(attempt)
      to.notice({ kind: 'interrupted', reason: end, retryInMs })
      await pause(retryInMs, ended)
      await this.#reconnect(ended)
    }
    await Promise.all([...this.#agents.values()].map((agent) => agent.ended))
  }

  /** One stream of the peer service, which begins with all peers. */
  async #hear(to: FlowPort, ended: AbortSignal): Promise<{ count: number; end: string }> {
    const client = this.#client
    if (client === undefined) return { count: 0, end: '' }
    for (const agent of this.#agents.values()) agent.isAnnounced = false
    let count = 0
    const settle = setTimeout(() => {
      if (count > 0) this.#dropUnannounced(to)
    }, this.#options.settleMs ?? SETTLE_MS).unref()
    const end = await client.followPeers((change) => {
      count++
      this.#apply(change, to)
    }, ended)
    clearTimeout(settle)
    return { count, end: reasonOf(end) }
  }

  async #reconnect(ended: AbortSignal): Promise<void> {
    if (ended.aborted) return
    try {
      const client = await this.#options.connect()
      const old = ended.aborted ? client : this.#client
      if (old !== client) this.#client = client
      old?.close()
    } catch {
      // A TLS file that is just being replaced: the old connection has another try.
    }
  }

  #apply({ type, name, address, serverName }: PeerChange, to: FlowPort): void {
    const known = this.#agents.get(name)
    if (type === 'deleted') {
      if (known !== undefined) this.#drop(known, 'gone', to)
      return
    }
    if (known?.address === address && known.serverName === serverName) {
      known.isAnnounced = true
      return
    }
    if (known !== undefined) this.#drop(known, undefined, to)
    if (this.#agents.size >= AGENTS_MAX) {
      const message = `there are more than ${AGENTS_MAX} nodes`
      to.notice({ kind: 'nodes', state: 'unavailable', count: 1, names: [name], message })
      return
    }
    const agent: Agent = {
      name,
      address,
      serverName,
      stop: new AbortController(),
      isAnnounced: true,
      isConnected: false,
      problems: new Set(),
      ended: Promise.resolve(),
    }
    this.#agents.set(name, agent)
    agent.ended = this.#read(agent, known?.ended, to)
  }

  #drop(agent: Agent, state: 'gone' | undefined, to: FlowPort): void {
    agent.stop.abort()
    this.#agents.delete(agent.name)
    if (state === undefined) return
    to.notice({ kind: 'nodes', state, count: 1, names: [agent.name], message: '' })
    this.#tell(to)
  }

  #dropUnannounced(to: FlowPort): void {
    for (const agent of this.#agents.values()) if (!agent.isAnnounced) this.#drop(agent, 'gone', to)
  }

  /** One agent, until it is dropped or everything ends; after its stream to an older address. */
  async #read(agent: Agent, before: Promise<void> | undefined, to: FlowPort): Promise<void> {
    await before
    const stop = AbortSignal.any([agent.stop.signal, this.#stopped.signal])
    for (let attempt = 1; !stop.aborted; attempt++) {
      try {
        await this.#readThrough(agent, stop, to)
        return
      } catch (error) {
        if (this.paced) {
          this.#failure ??= error instanceof Error ? error : new Error(String(error))
          return
        }
        this.#away(agent, describeError(error), to)
        await pause(this.#options.backoffMs(attempt), stop)
      }
    }
  }

  async #readThrough(agent: Agent, stop: AbortSignal, to: FlowPort): Promise<void> {
    const { name, address, serverName } = agent
    const source = createRelaySource({
      statusEveryMs: STATUS_EVERY_MS,
      ...this.#options,
      name,
      agent: name,
      book: this.#book,
      view: this.#view,
      sinceMs: this.#sinceMs,
      connect: () => this.#options.connectAgent(address, serverName),
    })
    try {
      await source.start(stop)
      await source.run(
        {
          flow: (view) => to.flow(view),
          notice: (notice) => this.#noticed(agent, notice, to),
          ready: () => to.ready(),
        },
        stop,
      )
    } finally {
      await source.stop(stop)
    }
  }

  /** What says how one agent is becomes how the source is. */
  #noticed(agent: Agent, notice: SourceNotice, to: FlowPort): void {
    if (notice.kind === 'connected') {
      if (agent.isConnected) return
      agent.isConnected = true
      agent.problems.clear()
      this.#tell(to)
    } else if (notice.kind === 'interrupted') this.#away(agent, notice.reason, to)
    else to.notice(notice)
  }

  #away(agent: Agent, message: string, to: FlowPort): void {
    const wasConnected = agent.isConnected
    agent.isConnected = false
    if (!agent.problems.has(message) && agent.problems.size < PROBLEMS_MAX) {
      agent.problems.add(message)
      to.notice({ kind: 'nodes', state: 'error', count: 1, names: [agent.name], message })
    }
    if (wasConnected) this.#tell(to)
  }

  #tell(to: FlowPort): void {
    const nodes = this.#connected()
    const away = [...this.#agents.values()].filter(({ isConnected }) => !isConnected)
    to.notice({ kind: 'connected', nodes, unavailable: away.length })
  }

  #connected(): number {
    let count = 0
    for (const { isConnected } of this.#agents.values()) if (isConnected) count++
    return count
  }
}
