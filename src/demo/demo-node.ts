import type { FlowMessage } from './flow-messages.ts'
import { RESPONSE } from './flow-messages.ts'
import type { Random } from './random.ts'

export interface Timestamp {
  readonly seconds: number
  readonly nanos: number
}

/** A flow as it stands in a node's ring. */
export interface StoredFlow extends FlowMessage {
  readonly time: Timestamp
  readonly uuid: string
  readonly node_name: string
  readonly emitter: { readonly name: string; readonly version: string }
  readonly node_labels: readonly string[]
  readonly trace_context?: { readonly parent: { readonly trace_id: string } }
}

export interface DemoNodeOptions {
  /** CLUSTER/NODE. */
  readonly name: string
  /** IP:PORT at which a real node's agent would listen; shown, never opened. */
  readonly address: string
  /** Flows that the ring holds; 4095 as in an agent. */
  readonly ringMax: number
  readonly random: Random
}

/** What the agent remembers of a request until its answer comes. */
interface Remembered {
  readonly proxyMs: number
  readonly traceId: string
}

const CILIUM_VERSION = '1.20.2'
const REMEMBERED_MAX = 10_000

/**
 * One node's Hubble: stamps what its proxy and datapath report and keeps the last `ringMax` flows.
 * Latency and trace come from a memory that is keyed by x-request-id alone, as in an agent: calls
 * that share an id spoil each other's. Source: cilium v1.20.2 `pkg/hubble/parser/seven`.
 */
export class DemoNode {
  readonly name: string
  readonly address: string
  readonly version = `cilium v${CILIUM_VERSION}`
  readonly ringMax: number
  /** Flows since start; the newest one's number is `seen - 1`. */
  seen = 0
  readonly #ring: StoredFlow[] = []
  readonly #random: Random
  readonly #requests = new Map<string, Remembered>()
  readonly #labels: readonly string[]

  constructor(options: DemoNodeOptions) {
    this.name = options.name
    this.address = options.address
    this.ringMax = options.ringMax
    this.#random = options.random
    this.#labels = [`kubernetes.io/hostname=${options.name.split('/').at(-1) ?? ''}`]
  }

  /** Number of the oldest flow that the ring still holds. */
  get oldest(): number {
    return Math.max(0, this.seen - this.ringMax)
  }

  /** The flow of that number; undefined where it is overwritten or yet to come. */
  at(number: number): StoredFlow | undefined {
    return number < this.oldest || number >= this.seen
      ? undefined
      : this.#ring[number % this.ringMax]
  }

  /** `nowMs`: when the agent handles it. `proxyMs`: when the proxy saw it. Both Unix ms; `nowMs` never goes back. */
  handle(message: FlowMessage, nowMs: number, proxyMs: number): void {
    this.#ring[this.seen % this.ringMax] = {
      ...message,
      ...this.#correlated(message, proxyMs),
      time: timestampOf(nowMs),
      uuid: this.#random.uuid(),
      node_name: this.name,
      emitter: { name: 'Hubble', version: CILIUM_VERSION },
      node_labels: this.#labels,
    }
    this.seen++
  }

  #correlated(message: FlowMessage, proxyMs: number): Partial<StoredFlow> {
    const { l7 } = message
    if (l7?.http === undefined) return {}
    const id = headerOf(message, 'X-Request-Id')
    const own = headerOf(message, 'Traceparent').split('-')[1] ?? ''
    if (l7.type !== RESPONSE) {
      if (id !== '') this.#remember(id, { proxyMs, traceId: own })
      return traceOf(own)
    }
    const request = this.#requests.get(id)
    if (request === undefined) return {}
    this.#requests.delete(id)
    const latencyNs = Math.max(0, Math.round((proxyMs - request.proxyMs) * 1e6))
    return {
      ...traceOf(request.traceId),
      ...(latencyNs === 0 ? {} : { l7: { ...l7, latency_ns: latencyNs } }),
    }
  }

  #remember(id: string, request: Remembered): void {
    this.#requests.delete(id)
    this.#requests.set(id, request)
    if (this.#requests.size <= REMEMBERED_MAX) return
    for (const oldest of this.#requests.keys()) {
      this.#requests.delete(oldest)
      return
    }
  }
}

export function timestampOf(ms: number): Timestamp {
  const seconds = Math.floor(ms / 1_000)
  return { seconds, nanos: Math.round((ms - seconds * 1_000) * 1e6) % 1e9 }
}

export function msOf({ seconds, nanos }: Timestamp): number {
  return seconds * 1_000 + nanos / 1e6
}

function headerOf(message: FlowMessage, key: string): string {
  return message.l7?.http?.headers.find((header) => header.key === key)?.value ?? ''
}

function traceOf(traceId: string): Pick<StoredFlow, 'trace_context'> {
  return traceId === '' ? {} : { trace_context: { parent: { trace_id: traceId } } }
}
