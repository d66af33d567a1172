import type { DemoNode } from './demo-node.ts'
import { type DemoEnvoy, PASS } from './envoy.ts'
import type { EventQueue } from './event-queue.ts'
import {
  DROPPED,
  EGRESS,
  type FlowMessage,
  type Header,
  type HttpRecord,
  type HttpView,
  httpRequest,
  httpResponse,
  INGRESS,
  podEnd,
  serviceEnd,
  tcpTrace,
} from './flow-messages.ts'
import { LoadMeter } from './load-meter.ts'
import type { Random } from './random.ts'
import { GATEWAY, type Pod, type Service, service, type Workload, workload } from './shop.ts'
import { OPERATIONS, type ShopOperation } from './shop-operations.ts'

export interface TrafficOptions {
  readonly random: Random
  readonly queue: EventQueue
  /** By the index that pods carry. */
  readonly nodes: readonly DemoNode[]
  readonly envoy: DemoEnvoy
  /** Called for each call when it is made. */
  readonly onCall: (call: CallMade) => void
}

export interface CallMade {
  readonly atMs: number
  /** NAMESPACE/NAME of the calling workload. */
  readonly caller: string
  readonly address: string
  readonly service: string
  readonly status: number
  /** A limit refused it. */
  readonly limited: boolean
  /** A shadow limit marked it. */
  readonly marked: boolean
}

/** A call that is about to be made. */
export interface CallPlan {
  readonly from: Workload
  /** The workload's pod that calls; one of them by chance where it is left out. */
  readonly pod?: Pod
  readonly operation: ShopOperation
  /** Instead of what the operation gives by chance. 0: no answer comes. */
  readonly status?: number
  /** Straight to this pod, past the Service. */
  readonly backend?: Pod
  /** The server's layer 7 policy refuses it. */
  readonly denied?: boolean
  /** Of the call that it serves. */
  readonly parent?: Pick<CallIds, 'requestId' | 'traceId'>
}

interface CallIds {
  readonly requestId: string
  readonly traceId: string
}

/** Share of calls that get no answer. */
const UNANSWERED = 0.002
/** Share of calls for which a new connection is opened; its packets are flows too. */
const NEW_CONNECTION = 0.2
/** A second proxy on the way, or the wire, in ms. */
const HOP_MS = 0.3
/** Workloads that are traced: they send `traceparent`. */
const TRACED = new Set(['web', 'mobile-bff', 'orders', workload(GATEWAY).name])

/**
 * Makes calls: what the proxies on their way report, as Hubble tells it. The server's node reports
 * each call (a layer 7 policy stands before every backend); the client's node does so where the
 * client has such a policy, or where a CiliumEnvoyConfig redirects the Service. Only there a limit acts.
 */
export class Traffic {
  readonly #options: TrafficOptions
  readonly #loads = new LoadMeter()

  constructor(options: TrafficOptions) {
    this.#options = options
  }

  /** Makes one call that begins at `atMs`; returns how long it takes, in ms. */
  call(plan: CallPlan, atMs: number): number {
    const { random, envoy } = this.#options
    const { operation, from } = plan
    const pod = plan.pod ?? random.pick(from.pods)
    const target = service(operation.service)
    const backend = plan.backend ?? random.pick(target.workload.pods)
    const ids = { requestId: random.uuid(), traceId: random.hex(32), ...plan.parent }
    const path = operation.path(random)
    const isRedirected = plan.backend === undefined && envoy.redirects(target)
    const request = { method: operation.method, path, address: pod.ip }
    const decision = isRedirected ? envoy.decide(target, pod.node, request, atMs) : PASS
    const record: HttpRecord = {
      method: operation.method,
      url: urlOf(from, target, plan.backend, path),
      protocol: from.name === 'mobile-bff' ? 'HTTP/2' : 'HTTP/1.1',
      headers: sorted([...requestHeaders(random, from, ids), ...decision.requestHeaders]),
    }
    const client = podEnd(pod, 32_768 + random.int(28_000))
    const limited = decision.status > 0
    const overload = limited ? 0 : this.#loads.overload(target.name, atMs)
    const status = limited ? decision.status : this.#statusOf(plan, overload)
    this.#options.onCall({
      atMs,
      caller: `${from.namespace}/${from.name}`,
      address: pod.ip,
      service: target.name,
      status,
      limited,
      marked: decision.requestHeaders.length > 0,
    })
    if (limited) {
      // No backend was chosen: the flows show the Service's own address.
      const view: HttpView = {
        client,
        server: serviceEnd(target),
        direction: EGRESS,
        node: pod.node,
      }
      this.#exchange(
        view,
        record,
        answerOf(record, status, ids, decision.responseHeaders),
        atMs,
        HOP_MS,
      )
      return HOP_MS
    }
    const askedMs = status < 400 ? this.#asked(operation, backend, ids, atMs + 2) : 0
    const latencyMs = random.spread(operation.latencyMs) * (1 + 5 * overload) + askedMs
    const server = podEnd(backend, target.targetPort)
    const answer = status === 0 ? undefined : answerOf(record, status, ids, [])
    const hasClientProxy = isRedirected || (plan.backend === undefined && from.egressPolicy)
    if (hasClientProxy) {
      const view: HttpView = { client, server, direction: EGRESS, node: pod.node }
      this.#exchange(view, record, answer, atMs, latencyMs + 2 * HOP_MS)
    }
    const view: HttpView = {
      // The proxy opens a connection of its own, from the pod's address.
      client: hasClientProxy ? podEnd(pod, 32_768 + random.int(28_000)) : client,
      server,
      direction: INGRESS,
      node: backend.node,
    }
    if (random.chance(NEW_CONNECTION)) this.#connection(view, atMs, latencyMs)
    this.#exchange(view, record, answer, atMs + HOP_MS, latencyMs, plan.denied === true)
    return latencyMs
  }

  /** Puts what `node` is to report at `proxyMs` into its Hubble, as soon as an agent would. */
  report(node: number, message: FlowMessage, proxyMs: number, delayMs = 0.4): void {
    this.#options.queue.at(proxyMs + delayMs, (nowMs) => {
      this.#options.nodes[node]?.handle(message, nowMs, proxyMs)
    })
  }

  #statusOf({ status, denied, operation }: CallPlan, overload: number): number {
    if (denied === true) return 403
    if (status !== undefined) return status
    const { random } = this.#options
    if (random.chance(overload)) return 503
    if (random.chance(UNANSWERED)) return 0
    for (const failure of operation.failures)
      if (random.chance(failure.share)) return failure.status
    return operation.status
  }

  /** The backend's own calls, under the request id of the call that it serves. */
  #asked({ asks }: ShopOperation, backend: Pod, ids: CallIds, startMs: number): number {
    const from = workload(`${backend.namespace}/${backend.workload}`)
    let spentMs = 0
    for (const name of asks) {
      const plan = { from, pod: backend, operation: OPERATIONS[name], parent: ids }
      spentMs += this.call(plan, startMs + spentMs) + 1
    }
    return spentMs
  }

  #exchange(
    view: HttpView,
    request: HttpRecord,
    answer: HttpRecord | undefined,
    atMs: number,
    latencyMs: number,
    denied = false,
  ): void {
    const delayMs = 0.1 + this.#options.random.next()
    const message = denied ? httpRequest(view, request, DROPPED) : httpRequest(view, request)
    this.report(view.node, message, atMs, delayMs)
    if (answer === undefined) return
    this.report(view.node, httpResponse(view, answer), atMs + latencyMs, delayMs)
  }

  #connection(view: HttpView, atMs: number, latencyMs: number): void {
    this.report(view.node, tcpTrace(view, { SYN: true }, false), atMs - HOP_MS)
    this.report(view.node, tcpTrace(view, { SYN: true, ACK: true }, true), atMs - HOP_MS / 2)
    this.report(view.node, tcpTrace(view, { FIN: true, ACK: true }, false), atMs + latencyMs + 5)
  }
}

/** The gateway terminates TLS and writes the backend's bare name; others write the port. */
function urlOf(from: Workload, target: Service, backend: Pod | undefined, path: string): string {
  if (backend !== undefined) return `http://${backend.ip}:${target.targetPort}${path}`
  const host = `${target.name}.${target.namespace}`
  if (isGateway(from)) return `https://${host}${path}`
  return `http://${host}${target.port === 80 ? '' : `:${target.port}`}${path}`
}

function requestHeaders(random: Random, from: Workload, ids: CallIds): Header[] {
  const outside = `203.0.113.${1 + random.int(40)}`
  const gateway = isGateway(from)
  return [
    { key: ':scheme', value: 'http' },
    { key: 'Accept', value: 'application/json' },
    { key: 'User-Agent', value: gateway ? 'Mozilla/5.0' : from.userAgent },
    { key: 'X-Request-Id', value: ids.requestId },
    ...(from.name === 'mobile-bff' || gateway
      ? [{ key: 'Authorization', value: `Bearer ${random.hex(32)}` }]
      : []),
    ...(TRACED.has(from.name)
      ? [{ key: 'Traceparent', value: `00-${ids.traceId}-${random.hex(16)}-01` }]
      : []),
    ...(gateway
      ? [
          { key: 'X-Forwarded-For', value: outside },
          { key: 'X-Forwarded-Proto', value: 'https' },
        ]
      : []),
  ]
}

/** Method, url and protocol as in the request; the headers are the answer's, and the request's id. */
function answerOf(
  request: HttpRecord,
  code: number,
  { requestId }: CallIds,
  added: readonly Header[],
): HttpRecord {
  const headers = [
    { key: 'Content-Type', value: code === 429 ? 'text/plain' : 'application/json' },
    { key: 'Server', value: 'envoy' },
    { key: 'X-Request-Id', value: requestId },
    ...added,
  ]
  return { ...request, code, headers: sorted(headers) }
}

/** As Hubble lists headers: canonical names, sorted. */
function sorted(headers: readonly Header[]): Header[] {
  return headers
    .map(({ key, value }) => ({
      key: key.replaceAll(
        /(^|-)([a-z])/g,
        (_, dash: string, letter: string) => dash + letter.toUpperCase(),
      ),
      value,
    }))
    .toSorted((a, b) => (a.key < b.key ? -1 : 1))
}

function isGateway(from: Workload): boolean {
  return `${from.namespace}/${from.name}` === GATEWAY
}
