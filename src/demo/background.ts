import type { EventQueue } from './event-queue.ts'
import {
  type DnsRecord,
  dnsFlow,
  EGRESS,
  type HttpView,
  INGRESS,
  podEnd,
  policyDrop,
  tcpTrace,
  worldEnd,
} from './flow-messages.ts'
import type { Random } from './random.ts'
import { GATEWAY, type Pod, workload } from './shop.ts'
import { OPERATIONS } from './shop-operations.ts'
import type { Traffic } from './traffic.ts'

export interface BackgroundOptions {
  readonly random: Random
  readonly queue: EventQueue
  readonly traffic: Traffic
}

interface Lookup {
  readonly from: string
  readonly query: string
  /** '': there is no such name. */
  readonly ip: string
}

/** Who looks up what; a name outside is tried in the cluster's own domain too, where there is none. */
const LOOKUPS: readonly [Lookup, ...Lookup[]] = [
  { from: 'shop/web', query: 'catalog.shop.svc.cluster.local.', ip: '10.96.11.1' },
  { from: 'shop/mobile-bff', query: 'orders.shop.svc.cluster.local.', ip: '10.96.11.2' },
  { from: 'backoffice/fraud-check', query: 'payments.shop.svc.cluster.local.', ip: '10.96.11.4' },
  { from: 'shop/payments', query: 'api.acquirer.example.', ip: '198.51.100.20' },
  { from: 'shop/payments', query: 'api.acquirer.example.shop.svc.cluster.local.', ip: '' },
]

/** What goes on besides API calls: names, connections, packets and calls that a policy refuses. */
export function startBackground(options: BackgroundOptions, startMs: number): void {
  const { random, queue, traffic } = options
  const every = (meanMs: number, run: (atMs: number) => void): void => {
    const next = (afterMs: number): void => {
      queue.at(afterMs + random.gap(meanMs), (atMs) => {
        run(atMs)
        next(atMs)
      })
    }
    next(startMs)
  }
  const viewOf = (client: Pod, server: Pod, port: number, direction: HttpView['direction']) => ({
    client: podEnd(client, 32_768 + random.int(28_000)),
    server: podEnd(server, port),
    direction,
    node: direction === EGRESS ? client.node : server.node,
  })
  const handshake = (view: HttpView, atMs: number): void => {
    traffic.report(view.node, tcpTrace(view, { SYN: true }, false), atMs)
    traffic.report(view.node, tcpTrace(view, { SYN: true, ACK: true }, true), atMs + 0.2)
    traffic.report(view.node, tcpTrace(view, { FIN: true, ACK: true }, false), atMs + 40)
  }

  every(400, (atMs) => {
    const { from, query, ip } = random.pick(LOOKUPS)
    const client = random.pick(workload(from).pods)
    const view = viewOf(client, random.pick(workload('kube-system/coredns').pods), 53, EGRESS)
    const question: DnsRecord = { query, observation_source: 'proxy', qtypes: ['A'] }
    const answer: DnsRecord =
      ip === '' ? { ...question, rcode: 3 } : { ...question, ips: [ip], ttl: 30, rrtypes: ['A'] }
    traffic.report(view.node, dnsFlow(view, question, false), atMs)
    traffic.report(view.node, dnsFlow(view, answer, true), atMs + 0.5 + random.next())
  })
  every(500, (atMs) => {
    const gateway = random.pick(workload(GATEWAY).pods)
    const client = worldEnd(`203.0.113.${1 + random.int(40)}`, 32_768 + random.int(28_000))
    // TLS: nothing but packets to be seen.
    handshake(
      { client, server: podEnd(gateway, 9_095), direction: INGRESS, node: gateway.node },
      atMs,
    )
  })
  every(1_500, (atMs) => {
    const client = random.pick(workload('shop/orders').pods)
    handshake(viewOf(client, random.pick(workload('data/postgres').pods), 5_432, INGRESS), atMs)
  })
  every(6_000, (atMs) => {
    const client = random.pick(workload('backoffice/reports').pods)
    const server = random.pick(workload('data/postgres').pods)
    const view = viewOf(client, server, 5_432, INGRESS)
    for (const flow of policyDrop(view)) traffic.report(view.node, flow, atMs)
  })
  every(15_000, (atMs) => {
    const operation = { ...OPERATIONS.getProduct, method: 'DELETE', latencyMs: 0.4 }
    traffic.call({ from: workload('backoffice/reports'), operation, denied: true }, atMs)
  })
}
