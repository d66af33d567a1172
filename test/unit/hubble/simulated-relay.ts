import type {
  FlowsRequest,
  HubbleClient,
  NodeFacts,
  ServerStatus,
} from '../../../src/hubble/channel.ts'
import type { FlowFilter } from '../../../src/hubble/filter/flow-filter.ts'
import type { FlowsMessage } from '../../../src/hubble/flow-message.ts'
import { observerService } from '../../../src/hubble/proto.ts'
import type { CallEnd, OnMessage } from '../../../src/hubble/transport/transport.ts'
import { httpRequest } from '../../fixtures/hubble-flows.ts'

const CONNECTED = 1
const UNAVAILABLE = 2
const ERROR = 4
const RING = 3
/** Relay looks for peers this often, in ms. */
const PEERS_EVERY_MS = 2_000
const encode = (message: FlowsMessage) =>
  observerService()['GetFlows']?.responseSerialize(message) ?? Buffer.alloc(0)
const end = (code: number, details = ''): CallEnd => ({ code, details })

interface Entry {
  readonly uuid: string
  readonly ms: number
}

/** The ring of one node, whose newest entry cannot be read yet, and whose clock may be wrong. */
export class SimulatedNode {
  readonly name: string
  /** How far its clock is ahead of ours. */
  skewMs: number
  isUp = true
  /** Half-open: nothing comes, and nobody is told. */
  isStuck = false
  readonly #ringMax: number
  readonly #entries: Entry[] = []
  /** Entries that were overwritten. */
  #first = 0
  #made = 0
  #startedMs: number

  constructor(name: string, ringMax: number, skewMs: number) {
    this.name = name
    this.skewMs = skewMs
    this.#ringMax = ringMax
    this.#startedMs = Date.now() - 3_600_000
    this.write(2)
  }

  /** Flows of this instant, a microsecond apart. */
  write(count: number): void {
    for (let i = 0; i < count; i++) {
      const nowMs = Date.now() + this.skewMs
      const lastMs = this.#entries.at(-1)?.ms ?? 0
      const ms = lastMs >= nowMs && lastMs < nowMs + 60 ? lastMs + 0.001 : nowMs
      this.#entries.push({ uuid: `${this.name}-${this.#made++}`, ms })
      if (this.#entries.length <= this.#ringMax) continue
      this.#entries.shift()
      this.#first++
    }
  }

  /** What the ring holds and lets be read. */
  get readable(): readonly string[] {
    return this.#entries.slice(0, -1).map(({ uuid }) => uuid)
  }

  get facts(): NodeFacts {
    const uptimeNs = this.isUp ? (Date.now() - this.#startedMs) * 1e6 : 0
    return {
      name: this.name,
      address: this.name,
      uptimeNs,
      seenFlows: this.#made,
      ringMax: this.#ringMax,
    }
  }

  get first(): number {
    return this.#first
  }

  get end(): number {
    return this.#first + this.#entries.length - 1
  }

  at(position: number): Entry | undefined {
    return this.#entries[position - this.#first]
  }

  /** Where a reader starts: after the newest that is older than `sinceMs`. */
  startOf(sinceMs: number): number {
    let position = this.end
    while (position > this.#first && (this.at(position - 1)?.ms ?? 0) >= sinceMs) position--
    return position
  }
}

interface Reading {
  readonly node: SimulatedNode
  position: number
}

/** One GetFlows that follows. */
class Follow {
  readonly #relay: SimulatedRelay
  readonly #sinceMs: number
  readonly #onMessage: OnMessage
  readonly #readings = new Map<SimulatedNode, Reading>()
  readonly settled = Promise.withResolvers<CallEnd>()
  #lookedMs = Number.NEGATIVE_INFINITY
  isOver = false

  constructor(relay: SimulatedRelay, sinceMs: number, onMessage: OnMessage) {
    this.#relay = relay
    this.#sinceMs = sinceMs
    this.#onMessage = onMessage
  }

  finish(how: CallEnd): void {
    this.isOver = true
    this.settled.resolve(how)
  }

  pump(): void {
    if (this.isOver) return
    if (Date.now() - this.#lookedMs >= PEERS_EVERY_MS) this.#look()
    for (const [node, reading] of this.#readings) {
      if (node.isStuck) continue
      if (!node.isUp) {
        this.#readings.delete(node)
        this.#say({ node_status: { state_change: ERROR, node_names: [node.name], message: 'x' } })
        continue
      }
      this.#read(reading)
    }
    if (this.#readings.size === 0) this.finish(end(0))
  }

  #look(): void {
    this.#lookedMs = Date.now()
    for (const node of this.#relay.nodes) {
      if (!node.isUp || node.isStuck || this.#readings.has(node)) continue
      this.#readings.set(node, { node, position: node.startOf(this.#sinceMs) })
    }
  }

  #read(reading: Reading): void {
    const { node } = reading
    if (reading.position < node.first) {
      const lost = node.first - reading.position
      this.#say({ node_name: node.name, lost_events: { source: RING, num_events_lost: lost } })
      reading.position = node.first
    }
    for (; reading.position < node.end && !this.isOver; reading.position++) {
      const entry = node.at(reading.position)
      if (entry !== undefined && entry.ms >= this.#sinceMs) this.#say(flowOf(node, entry))
    }
  }

  #say(message: FlowsMessage): void {
    const bytes = encode(message)
    void this.#onMessage(bytes, 0, bytes.length)
  }
}

/** A Relay over simulated rings, as a client sees it (docs/hubble.md). `pump` hands on what there is. */
export class SimulatedRelay {
  readonly nodes: SimulatedNode[]
  isUp = true
  /** A bounded read waits so long after each ten flows. */
  readonly #pauseMs: number
  readonly #follows = new Set<Follow>()

  constructor(
    names: readonly string[],
    { ringMax = 100_000, skewsMs = [] as readonly number[], pauseMs = 0 } = {},
  ) {
    this.#pauseMs = pauseMs
    this.nodes = names.map((name, i) => new SimulatedNode(name, ringMax, skewsMs[i] ?? 0))
  }

  pump(): void {
    for (const follow of this.#follows) {
      if (!this.isUp) follow.finish(end(14, 'away'))
      follow.pump()
      if (follow.isOver) this.#follows.delete(follow)
    }
  }

  /** Each connection ends its own streams when it is closed. */
  readonly connect = async (): Promise<HubbleClient> => {
    const closed = new AbortController()
    return {
      openFlows: (request, onMessage, signal) =>
        this.#open(request, onMessage, AbortSignal.any([signal, closed.signal])),
      serverStatus: async (deadlineMs, signal) =>
        this.#isHanging ? hang(deadlineMs, signal) : this.#status(),
      nodes: async (deadlineMs, signal) => {
        if (this.#isHanging) return hang(deadlineMs, signal)
        return this.isUp ? this.nodes.map(({ facts }) => facts) : end(14, 'away')
      },
      followPeers: async () => end(12),
      close: () => closed.abort(),
    }
  }

  /** One node that is half-open keeps the answers of all back. */
  get #isHanging(): boolean {
    return this.isUp && this.nodes.some(({ isUp, isStuck }) => isUp && isStuck)
  }

  #status(): ServerStatus | CallEnd {
    if (!this.isUp) return end(14, 'away')
    const connected = this.nodes.filter(({ isUp }) => isUp).length
    const unavailable = this.nodes.length - connected
    return { connected, unavailable, version: '1.20.2+g1', seenFlows: 0, uptimeNs: 1, ringMax: 0 }
  }

  async #open(request: FlowsRequest, onMessage: OnMessage, signal: AbortSignal): Promise<CallEnd> {
    if (!this.isUp) return end(14, 'away')
    if (signal.aborted) return end(1)
    if (request.until !== undefined) return this.#bounded(request, onMessage, signal)
    const follow = new Follow(this, msOf(request.since), onMessage)
    signal.addEventListener('abort', () => follow.finish(end(1)), { once: true })
    this.#follows.add(follow)
    follow.pump()
    return follow.settled.promise
  }

  async #bounded(
    request: FlowsRequest,
    onMessage: OnMessage,
    signal: AbortSignal,
  ): Promise<CallEnd> {
    const [only] = (request.whitelist ?? []) as { node_name: string[] }[]
    const say = async (message: FlowsMessage) => {
      const bytes = encode(message)
      if (!signal.aborted) await onMessage(bytes, 0, bytes.length)
    }
    const asked = this.nodes.filter(({ name }) => only?.node_name.includes(name) ?? true)
    const up = this.nodes.filter(({ isUp }) => isUp)
    const down = this.nodes.filter(({ isUp }) => !isUp)
    const namesOf = (nodes: readonly SimulatedNode[]) => nodes.map(({ name }) => name)
    await say({ node_status: { state_change: CONNECTED, node_names: namesOf(up), message: '' } })
    if (down.length > 0) {
      await say({
        node_status: { state_change: UNAVAILABLE, node_names: namesOf(down), message: 'x' },
      })
    }
    const [sinceMs, untilMs] = [msOf(request.since), msOf(request.until)]
    for (const node of asked) {
      const isRead = node.isUp && !node.isStuck
      for (let at = node.startOf(sinceMs); isRead && at < node.end; at++) {
        const entry = node.at(at)
        if (entry === undefined || entry.ms > untilMs) break
        if (entry.ms >= sinceMs) await say(flowOf(node, entry))
        if (this.#pauseMs > 0 && at % 10 === 0) await pauseFor(this.#pauseMs, signal)
        if (signal.aborted) return end(1)
        if (!this.isUp) return end(14, 'away')
        if (node.isUp) continue
        await say({ node_status: { state_change: ERROR, node_names: [node.name], message: 'x' } })
        break
      }
    }
    if (signal.aborted) return end(1)
    if (!this.#isHanging) return end(0)
    return new Promise((resolve) => {
      signal.addEventListener('abort', () => resolve(end(1)), { once: true })
    })
  }
}

function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms)
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

function hang(deadlineMs: number, signal: AbortSignal): Promise<CallEnd> {
  return new Promise((resolve) => {
    setTimeout(() => resolve(end(4)), deadlineMs)
    signal.addEventListener('abort', () => resolve(end(1)), { once: true })
  })
}

/** Everything, and for backfills the nodes by their plain names. */
export const EVERYTHING: FlowFilter = {
  accepts: undefined,
  request: () => ({}),
  forNodes: (names) => ({ whitelist: [{ node_name: names }] }),
}

function flowOf(node: SimulatedNode, { uuid, ms }: Entry): FlowsMessage {
  return httpRequest({ node: node.name, uuid, atMs: ms })
}

function msOf(time: { seconds: number; nanos: number } | undefined): number {
  return time === undefined ? 0 : time.seconds * 1_000 + time.nanos / 1e6
}
