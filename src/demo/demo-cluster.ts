import type { ServiceDefinition } from '@grpc/grpc-js'
import type { Component } from '../runtime/lifecycle.ts'
import { CALLS_PER_SECOND } from './callers.ts'
import { createCecDirectory } from './cec-directory.ts'
import { DemoNode } from './demo-node.ts'
import { type CecChange, DemoEnvoy } from './envoy.ts'
import { EventQueue } from './event-queue.ts'
import { demoManifests } from './manifests.ts'
import { createRandom } from './random.ts'
import { createDemoRelay } from './relay.ts'
import { startScenario } from './scenario.ts'
import {
  allWorkloads,
  CLUSTER_NAME,
  FLOODER,
  NODE_NAMES,
  nodeName,
  PASSWORD_GUESSER,
} from './shop.ts'
import { type CallMade, Traffic } from './traffic.ts'

export interface DemoClusterOptions {
  /** `observer.Observer`, loaded with enums and 64-bit integers as numbers and names as in the .proto files. */
  readonly service: ServiceDefinition
  /** Where CiliumEnvoyConfigs are put; it need not be there yet. */
  readonly cecDirectory: string
  readonly seed?: number
  /** Unix ms. */
  readonly now?: () => number
  /** Of those who behave, about; from 80 on some come near to what counts as a flood. */
  readonly callsPerSecond?: number
  /** Gets a plain sentence when something happens in the cluster. */
  readonly onStory?: (line: string) => void
}

interface CallerSummary {
  calls: number
  /** Refused by a limit in a CiliumEnvoyConfig. */
  limited: number
  /** Marked by a shadow limit. */
  marked: number
  readonly misbehaves: boolean
}

interface DemoSummary {
  readonly calls: number
  /** Flows that the nodes' Hubbles told. */
  readonly flows: number
  /** By NAMESPACE/NAME of the workload. */
  readonly callers: { readonly [workload: string]: Readonly<CallerSummary> }
  /** Refused calls by the client's address. */
  readonly limitedByClient: { readonly [address: string]: number }
  /** Refused calls of workloads that behave: what a limit must never cause. */
  readonly othersLimited: number
  readonly cecsApplied: number
  readonly cecsRefused: number
}

export interface DemoCluster extends Component {
  /** HOST:PORT of the Relay; '' before the start. */
  readonly relayAddress: string
  /** What stands in the cluster, as YAML documents. */
  readonly manifests: string
  summary(): DemoSummary
}

const RING_MAX = 4_095
const STEP_MS = 20
const CEC_LOOK_MS = 200
/** After a longer pause (a machine that slept) the cluster goes on from now instead of catching up. */
const PAUSE_MAX_MS = 3_000

/**
 * A small cluster with a shop in it, simulated in this process: a Relay over real gRPC on a free
 * port of 127.0.0.1, callers of which two go wrong after a while, and Envoys that obey the
 * CiliumEnvoyConfigs in `cecDirectory`. The same seed and start give the same calls for as long as
 * the CiliumEnvoyConfigs are the same.
 */
export function createDemoCluster(options: DemoClusterOptions): DemoCluster {
  const { seed = 1, now = Date.now, onStory = () => {} } = options
  const random = createRandom(seed)
  const queue = new EventQueue()
  const nodes = NODE_NAMES.map(
    (_, index) =>
      new DemoNode({
        name: nodeName(index),
        address: `172.18.0.${index + 2}:4244`,
        ringMax: RING_MAX,
        random: createRandom(seed + 1_000 * (index + 1)),
      }),
  )
  const envoy = new DemoEnvoy(createRandom(seed + 1))
  const books = new Books()
  const traffic = new Traffic({ random, queue, nodes, envoy, onCall: (call) => books.call(call) })
  const relay = createDemoRelay({
    service: options.service,
    nodes,
    namespaces: [...new Set(allWorkloads().map(({ namespace }) => namespace))],
    cluster: CLUSTER_NAME,
    now,
  })
  const cecs = createCecDirectory({
    directory: options.cecDirectory,
    everyMs: CEC_LOOK_MS,
    onChange: (objects) => {
      for (const change of envoy.apply(objects)) {
        books.cec(change)
        onStory(sentenceOf(change))
      }
    },
    onProblem: onStory,
  })
  let timer: NodeJS.Timeout | undefined
  let lastMs = 0

  function step(): void {
    const nowMs = now()
    if (nowMs - lastMs > PAUSE_MAX_MS) queue.shift(nowMs - lastMs)
    lastMs = Math.max(lastMs, nowMs)
    queue.runUntil(nowMs)
    relay.flush()
  }

  return {
    name: 'demo-cluster',
    get relayAddress() {
      return relay.address
    },
    manifests: demoManifests(),
    summary: () => books.summary(nodes.reduce((sum, node) => sum + node.seen, 0)),
    async start(signal) {
      await cecs.start(signal)
      await relay.start(signal)
      lastMs = now()
      const { callsPerSecond = CALLS_PER_SECOND } = options
      startScenario({ random, queue, traffic, callsPerSecond, onStory }, lastMs)
      timer = setInterval(step, STEP_MS)
      timer.unref()
    },
    async stop(deadline) {
      clearInterval(timer)
      await relay.stop(deadline)
      await cecs.stop(deadline)
    },
  }
}

/** Counts what happened; as bounded as the shop's list of workloads. */
class Books {
  #calls = 0
  #cecsApplied = 0
  #cecsRefused = 0
  readonly #callers = new Map<string, CallerSummary>()
  readonly #limitedByClient = new Map<string, number>()

  call({ caller, address, limited, marked }: CallMade): void {
    this.#calls++
    let entry = this.#callers.get(caller)
    if (entry === undefined) {
      const misbehaves = caller === PASSWORD_GUESSER || caller === FLOODER
      entry = { calls: 0, limited: 0, marked: 0, misbehaves }
      this.#callers.set(caller, entry)
    }
    entry.calls++
    if (marked) entry.marked++
    if (!limited) return
    entry.limited++
    this.#limitedByClient.set(address, (this.#limitedByClient.get(address) ?? 0) + 1)
  }

  cec({ change }: CecChange): void {
    if (change === 'applied') this.#cecsApplied++
    if (change === 'refused') this.#cecsRefused++
  }

  summary(flows: number): DemoSummary {
    const innocent = [...this.#callers.values()].filter(({ misbehaves }) => !misbehaves)
    return {
      calls: this.#calls,
      flows,
      callers: Object.fromEntries([...this.#callers].map(([name, entry]) => [name, { ...entry }])),
      limitedByClient: Object.fromEntries(this.#limitedByClient),
      othersLimited: innocent.reduce((sum, { limited }) => sum + limited, 0),
      cecsApplied: this.#cecsApplied,
      cecsRefused: this.#cecsRefused,
    }
  }
}

function sentenceOf({ key, change, reason }: CecChange): string {
  switch (change) {
    case 'applied':
      return `The proxies take up CiliumEnvoyConfig ${key}.`
    case 'removed':
      return `CiliumEnvoyConfig ${key} is gone.`
    case 'refused':
      return `The proxies refuse CiliumEnvoyConfig ${key || '(without a name)'}: ${reason}.`
  }
}
