import type { Registry } from 'prom-client'
import { type Endpoint, workloadOf } from '../model/endpoint.ts'
import { FlowKind, type FlowView, L7Type, TcpFlag, Verdict } from '../model/flow-view.ts'
import { LabelBudget } from '../model/label-budget.ts'
import { METRICS } from '../model/metric-definitions.ts'
import type { Sink } from '../pipeline/contract.ts'
import type { LabelBudgets } from './api-metrics.ts'
import { counterOf } from './instruments.ts'

/** Index = outcome: every flow is looked at, most have nothing to count here. */
export const NETWORK_METRICS_OUTCOMES = ['seen'] as const
const SEEN = 0

/** RFC 1035 and 6895; others are told by number. */
const RCODES = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'] as const

/** Agents tell reasons in a byte; only a capture can tell more, and servers choose odd DNS codes. */
const CODES_MAX = 256

export interface NetworkMetricsOptions extends LabelBudgets {
  /** Name of a `flow.DropReason`. */
  readonly dropReasonOf: (reason: number) => string
}

interface WorkloadLabels {
  readonly generation: number
  readonly namespace: string
  readonly workload: string
}

/** Drops, DNS answers and TCP resets by workload. HTTP denials count as calls, not here. */
export function createNetworkMetrics(
  registry: Registry,
  options: NetworkMetricsOptions,
): Sink<FlowView> & { forget(endpoint: Endpoint): void } {
  const drops = counterOf(registry, METRICS.networkDrops)
  const dns = counterOf(registry, METRICS.dnsResponses)
  const resets = counterOf(registry, METRICS.tcpResets)
  const budget = (label: string, valuesMax: number) =>
    new LabelBudget(valuesMax, () => options.onOverflow(label))
  const workloads = budget('workload', options.workloadsMax)
  const namespaces = budget('namespace', options.workloadsMax)
  const reasons = budget('reason', CODES_MAX)
  const rcodes = budget('rcode', CODES_MAX)
  /** By endpoint id; cleared through `forget`. */
  const labels: (WorkloadLabels | undefined)[] = []

  function labelsOf(endpoint: Endpoint): WorkloadLabels {
    const known = labels[endpoint.id]
    if (known !== undefined && known.generation === endpoint.generation) return known
    const name = workloadOf(endpoint)
    const workload = workloads.valueOf(name.slice(name.indexOf('/') + 1))
    const namespace = namespaces.valueOf(endpoint.namespace)
    const made = { generation: endpoint.generation, namespace, workload }
    labels[endpoint.id] = made
    return made
  }

  function ends(source: Endpoint, destination: Endpoint) {
    const from = labelsOf(source)
    const to = labelsOf(destination)
    return {
      source_namespace: from.namespace,
      source_workload: from.workload,
      destination_namespace: to.namespace,
      destination_workload: to.workload,
    }
  }

  return {
    accept(flow) {
      if (flow.kind === FlowKind.http) return SEEN
      if (flow.verdict === Verdict.dropped) {
        const reason = reasons.valueOf(options.dropReasonOf(flow.dropReason))
        drops.inc({ reason, ...ends(flow.source, flow.destination) })
      }
      // An answer's source is the server; who asked is its destination.
      if (flow.kind === FlowKind.dns && flow.l7Type === L7Type.response) {
        const rcode = rcodes.valueOf(RCODES[flow.dnsRcode] ?? String(flow.dnsRcode))
        dns.inc({ rcode, ...ends(flow.destination, flow.source) })
      }
      if ((flow.tcpFlags & TcpFlag.rst) !== 0) resets.inc(ends(flow.source, flow.destination))
      return SEEN
    },
    advance() {},
    forget(endpoint) {
      labels[endpoint.id] = undefined
    },
  }
}
