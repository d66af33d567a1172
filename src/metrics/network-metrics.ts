import { type Endpoint, workloadOf } from '../model/endpoint.ts'
import { FlowKind, type FlowView, L7Type, TcpFlag, Verdict } from '../model/flow-view.ts'
import type { MetricCells, ScalarCells } from '../model/metric-cells.ts'
import { METRICS, type MetricDefinition } from '../model/metric-definitions.ts'
import type { Sink } from '../pipeline/contract.ts'
import type { LabelBudgets } from './api-rows.ts'
import { ClusterLabel } from './cluster-label.ts'
import { CodeIds, LabelIds } from './label-ids.ts'
import { PairCells, type Workload } from './pair-cells.ts'

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

interface KnownWorkload extends Workload {
  readonly generation: number
}

/** One metric: its series, and which of them is whose. */
interface PairCounter {
  readonly series: ScalarCells
  readonly cells: PairCells
  /** What the first label names; undefined where the workloads are all labels. */
  readonly codes: CodeIds | undefined
  /** By cluster, the cell for pairs that came beyond the series' bound; 0: none came. */
  readonly beyond: Int32Array
}

/** Drops, DNS answers and TCP resets by workload. HTTP denials count as calls, not here. */
export function createNetworkMetrics(
  cells: MetricCells,
  options: NetworkMetricsOptions,
): Sink<FlowView> & { forget(endpoint: Endpoint): void } {
  const { seriesMax, workloadsMax, onOverflow } = options
  const cluster = new ClusterLabel(options.clusters ?? [])
  const onFull = () => onOverflow('series')
  const counter = (definition: MetricDefinition, codes?: CodeIds): PairCounter => ({
    series: cells.scalar(definition, { withCluster: cluster.isShown, seriesMax, onFull }),
    cells: new PairCells(),
    codes,
    beyond: new Int32Array(cluster.size),
  })
  const rcodeOf = (code: number) => RCODES[code] ?? String(code)
  const reasons = new CodeIds(CODES_MAX, options.dropReasonOf, () => onOverflow('reason'))
  const rcodes = new CodeIds(CODES_MAX, rcodeOf, () => onOverflow('rcode'))
  const drops = counter(METRICS.networkDrops, reasons)
  const dns = counter(METRICS.dnsResponses, rcodes)
  const resets = counter(METRICS.tcpResets)
  const workloads = new LabelIds(workloadsMax, () => onOverflow('workload'))
  const namespaces = new LabelIds(workloadsMax, () => onOverflow('namespace'))
  /** By endpoint id; cleared through `forget`. */
  const known: (KnownWorkload | undefined)[] = []

  function workloadAt(endpoint: Endpoint): Workload {
    const found = known[endpoint.id]
    if (found !== undefined && found.generation === endpoint.generation) return found
    const full = workloadOf(endpoint)
    const name = workloads.idOf(full.slice(full.indexOf('/') + 1))
    const namespace = namespaces.idOf(endpoint.namespace)
    const made = { generation: endpoint.generation, namespace, name }
    known[endpoint.id] = made
    return made
  }

  function count(
    counted: PairCounter,
    code: number,
    source: Endpoint,
    destination: Endpoint,
    clusterName: string,
  ): void {
    const from = workloadAt(source)
    const to = workloadAt(destination)
    const clusterIndex = cluster.indexOf(clusterName)
    const id = counted.codes?.idOf(code) ?? 0
    const key = id * cluster.size + clusterIndex
    const cell = counted.cells.get(from, to, key) || add(counted, id, from, to, clusterIndex, key)
    counted.series.add(cell)
  }

  function add(
    { series, cells: byPair, codes, beyond }: PairCounter,
    id: number,
    from: Workload,
    to: Workload,
    clusterIndex: number,
    key: number,
  ): number {
    if (series.isFull && beyond[clusterIndex] !== 0) return beyond[clusterIndex] ?? 0
    const cell = series.cellOf([
      ...cluster.valuesOf(clusterIndex),
      ...(codes === undefined ? [] : [codes.ids.valueOf(id)]),
      namespaces.valueOf(from.namespace),
      workloads.valueOf(from.name),
      namespaces.valueOf(to.namespace),
      workloads.valueOf(to.name),
    ])
    // There is no end of pairs beyond the series' bound, so they are not kept one by one.
    if (cell > 0) byPair.put(from, to, key, cell)
    else beyond[clusterIndex] = cell
    return cell
  }

  return {
    accept(flow) {
      if (flow.kind === FlowKind.http) return SEEN
      if (flow.verdict === Verdict.dropped) {
        count(drops, flow.dropReason, flow.source, flow.destination, flow.cluster)
      }
      // An answer's source is the server; who asked is its destination.
      if (flow.kind === FlowKind.dns && flow.l7Type === L7Type.response) {
        count(dns, flow.dnsRcode, flow.destination, flow.source, flow.cluster)
      }
      if ((flow.tcpFlags & TcpFlag.rst) !== 0) {
        count(resets, 0, flow.source, flow.destination, flow.cluster)
      }
      return SEEN
    },
    advance() {},
    forget(endpoint) {
      known[endpoint.id] = undefined
    },
  }
}
