import fc from 'fast-check'
import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import {
  createNetworkMetrics,
  type NetworkMetricsOptions,
} from '../../../src/metrics/network-metrics.ts'
import { type Endpoint, EndpointTable, NO_FIELDS } from '../../../src/model/endpoint.ts'
import { FlowKind, type FlowView, L7Type, TcpFlag, Verdict } from '../../../src/model/flow-view.ts'
import { LabelBudget } from '../../../src/model/label-budget.ts'
import { MetricCells } from '../../../src/model/metric-cells.ts'
import { METRICS } from '../../../src/model/metric-definitions.ts'
import { HOSTILE_VALUES, linesOf, reference, samplesOf } from '../../fixtures/exposition.ts'
import { PLAIN_FLOW } from '../../fixtures/plain-flow.ts'

interface Endpoints {
  readonly endpointsMax?: number
  /** The sink hears of endpoints that leave. */
  readonly isTold?: boolean
}

function start(
  options: Partial<NetworkMetricsOptions> = {},
  { endpointsMax, isTold = true }: Endpoints = {},
) {
  const cells = new MetricCells()
  const endpoints = new EndpointTable(endpointsMax)
  const overflows: string[] = []
  const sink = createNetworkMetrics(cells, {
    apisMax: 1,
    operationsMax: 1,
    workloadsMax: 100,
    onOverflow: (label) => overflows.push(label),
    dropReasonOf: (reason) => `R${reason}`,
    ...options,
  })
  if (isTold) endpoints.onEvict((endpoint) => sink.forget(endpoint))
  const workload = (name: string, namespace = 'shop') =>
    endpoints.intern({ ...NO_FIELDS, namespace, pod: `${name}-1`, workload: name })
  const accept = (flow: Partial<FlowView>) => sink.accept({ ...PLAIN_FLOW, ...flow })
  const drop = (source: Endpoint, dropReason = 133) =>
    accept({ verdict: Verdict.dropped, dropReason, source, destination: endpoints.none })
  return { cells, overflows, workload, accept, drop }
}

describe('a workload', () => {
  it.each([true, false])(
    'with the number of one that left was counted as it (told: %s)',
    async (isTold) => {
      const { cells, workload, drop } = start({}, { endpointsMax: 2, isTold })
      for (const name of ['a', 'b', 'c', 'a']) drop(workload(name))
      const counts = samplesOf(await cells.metrics(), 'weir_network_drops_total')
      expect(counts.map(([labels, n]) => [labels['source_workload'], n])).toEqual([
        ['a', 2],
        ['b', 1],
        ['c', 1],
      ])
    },
  )

  it('beyond the budget is other; pods come and go without new series', async () => {
    const { cells, overflows, workload, drop } = start({ workloadsMax: 2 })
    for (const name of ['a', 'b', 'c', 'd', 'c']) drop(workload(name))
    const counts = samplesOf(await cells.metrics(), 'weir_network_drops_total')
    expect(counts.map(([labels, n]) => [labels['source_workload'], n])).toEqual([
      ['a', 1],
      ['b', 1],
      ['other', 3],
    ])
    expect(overflows).toEqual(['workload', 'workload'])
  })
})

it('tells a reason beyond the budget each time', async () => {
  const { cells, overflows, workload, drop } = start()
  const source = workload('a')
  for (let reason = 1_000; reason < 1_256; reason++) drop(source, reason)
  expect(overflows).toEqual([])
  for (const reason of [133, 133, 5_000, -1, 0.5]) drop(source, reason)
  expect(overflows).toEqual(Array(5).fill('reason'))
  const text = await cells.metrics()
  expect(text).toContain('weir_network_drops_total{reason="R1255",')
  const other = samplesOf(text, 'weir_network_drops_total').filter(([l]) => l['reason'] === 'other')
  expect(other.map(([, n]) => n)).toEqual([5])
})

it('a scan over all pairs of workloads made a series of each', async () => {
  const { cells, overflows, workload, accept } = start({ seriesMax: 20 })
  const ends = Array.from({ length: 30 }, (_, i) => workload(`w${i}`))
  for (const source of ends) {
    for (const destination of ends) accept({ tcpFlags: TcpFlag.rst, source, destination })
  }
  const counts = samplesOf(await cells.metrics(), 'weir_tcp_resets_total')
  expect(counts).toHaveLength(21)
  expect(counts.at(-1)).toEqual([
    {
      source_namespace: 'other',
      source_workload: 'other',
      destination_namespace: 'other',
      destination_workload: 'other',
    },
    880,
  ])
  expect(overflows).toEqual(Array(880).fill('series'))
})

it('tells the cluster first where there is more than one, beyond seriesMax as well', async () => {
  const { cells, workload, accept } = start({ clusters: ['blue', 'green'], seriesMax: 1 })
  for (const name of ['a', 'b', 'c']) {
    const flow = { tcpFlags: TcpFlag.rst, source: workload(name) }
    for (const cluster of ['blue', 'green']) accept({ ...flow, cluster })
  }
  const text = await cells.metrics()
  expect(text).toMatch(/^weir_tcp_resets_total\{cluster="blue",source_namespace="shop",.* 1$/m)
  const counts = samplesOf(text, 'weir_tcp_resets_total')
  expect(counts.map(([l, n]) => [l['cluster'], l['source_workload'], n])).toEqual([
    ['blue', 'a', 1],
    ['green', 'other', 3],
    ['blue', 'other', 2],
  ])
})

it('is what prom-client counts, after any flows', async () => {
  const text = fc.constantFrom(...HOSTILE_VALUES)
  const flow = fc.record({
    kind: fc.constantFrom(FlowKind.http, FlowKind.dns, FlowKind.l3l4),
    verdict: fc.constantFrom(Verdict.forwarded, Verdict.dropped),
    l7Type: fc.constantFrom(L7Type.request, L7Type.response),
    tcpFlags: fc.constantFrom(0, TcpFlag.rst | TcpFlag.ack, TcpFlag.ack),
    dropReason: fc.constantFrom(0, 133, 181, 5_000),
    dnsRcode: fc.constantFrom(0, 3, 300),
    cluster: fc.constantFrom('blue', 'green'),
    from: fc.nat(5),
    to: fc.nat(5),
  })
  const ends = fc.array(fc.record({ namespace: text, workload: text, reserved: text }), {
    minLength: 6,
    maxLength: 6,
  })
  const property = fc.asyncProperty(
    ends,
    fc.array(flow, { maxLength: 40 }),
    fc.boolean(),
    async (fields, flows, withCluster) => {
      const clusters = withCluster ? ['blue', 'green'] : ['blue']
      const { cells, accept } = start({ workloadsMax: 4, clusters })
      const registry = new Registry()
      const [drops, dns, resets] = [
        METRICS.networkDrops,
        METRICS.dnsResponses,
        METRICS.tcpResets,
      ].map((definition) => reference(registry, definition, withCluster))
      const names = new LabelBudget(4)
      const namespaces = new LabelBudget(4)
      const table = new EndpointTable()
      const endpoints = fields.map((end) => table.intern({ ...NO_FIELDS, ...end }))
      const labelsOf = ({ namespace, workload, reserved }: Endpoint) => {
        const name = reserved === '' ? namespace : `reserved:${reserved}`
        return [namespaces.valueOf(namespace), names.valueOf(workload === '' ? name : workload)]
      }
      for (const { from, to, cluster, ...rest } of flows) {
        const source = endpoints[from] ?? table.none
        const destination = endpoints[to] ?? table.none
        accept({ ...rest, cluster, source, destination })
        if (rest.kind === FlowKind.http) continue
        const first = withCluster ? [cluster] : []
        const ends = (a: Endpoint, b: Endpoint) => [...labelsOf(a), ...labelsOf(b)]
        if (rest.verdict === Verdict.dropped) {
          drops?.([...first, `R${rest.dropReason}`, ...ends(source, destination)], 1)
        }
        if (rest.kind === FlowKind.dns && rest.l7Type === L7Type.response) {
          const rcode = rest.dnsRcode === 0 ? 'NOERROR' : rest.dnsRcode === 3 ? 'NXDOMAIN' : '300'
          dns?.([...first, rcode, ...ends(destination, source)], 1)
        }
        if (rest.tcpFlags & TcpFlag.rst) resets?.([...first, ...ends(source, destination)], 1)
      }
      expect(linesOf(await cells.metrics())).toEqual(linesOf(await registry.metrics()))
    },
  )
  await fc.assert(property)
})
