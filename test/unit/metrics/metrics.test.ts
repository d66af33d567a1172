import { describe, expect, it } from 'vitest'
import { messageOfLine } from '../../../src/hubble/capture/capture-source.ts'
import { dropReasonName } from '../../../src/hubble/drop-reason.ts'
import type { FlowsMessage } from '../../../src/hubble/flow-message.ts'
import { statusClassOf } from '../../../src/metrics/api-metrics.ts'
import { createNetworkMetrics } from '../../../src/metrics/network-metrics.ts'
import { LabelBudget } from '../../../src/model/label-budget.ts'
import { MetricCells } from '../../../src/model/metric-cells.ts'
import { viewer } from '../../fixtures/hubble-flows.ts'

describe('LabelBudget', () => {
  it('lets the first values through, and counts what came after', () => {
    let over = 0
    const budget = new LabelBudget(2, () => over++)
    expect(['a', 'b', 'c', 'a', ''].map((v) => budget.valueOf(v))).toEqual([
      'a',
      'b',
      'other',
      'a',
      '',
    ])
    expect(over).toBe(1)
  })

  it('takes control characters out and cuts what is too long', () => {
    const budget = new LabelBudget(9, () => {})
    expect(budget.valueOf('a\u001b[31m\u0007b\u009b')).toBe('a[31mb')
    expect(budget.valueOf('x'.repeat(500))).toHaveLength(128)
  })
})

it.each([
  [0, 'none'],
  [200, '2xx'],
  [599, '5xx'],
  [999, 'none'],
])('status %s is %s', (status, name) => expect(statusClassOf(status)).toBe(name))

it('counts drops, DNS answers and resets by workload', async () => {
  const cells = new MetricCells()
  const sink = createNetworkMetrics(cells, {
    apisMax: 1,
    operationsMax: 1,
    workloadsMax: 10,
    onOverflow: () => {},
    dropReasonOf: dropReasonName,
  })
  const ends = {
    source: { namespace: 'a', pod_name: 'p', workloads: [{ name: 'w', kind: 'Deployment' }] },
    destination: { labels: ['reserved:world'], identity: 2 },
  }
  const flows = [
    { verdict: 'DROPPED', drop_reason_desc: 'POLICY_DENIED', Type: 'L3_L4', ...ends },
    { verdict: 'DROPPED', drop_reason_desc: 250, Type: 'L3_L4', ...ends },
    { Type: 'L7', l7: { type: 'RESPONSE', dns: { query: 'x.', rcode: 3 } }, ...ends },
    { Type: 'L3_L4', l4: { TCP: { flags: { RST: true } } }, ...ends },
  ]
  const show = viewer()
  for (const flow of flows) {
    sink.accept(show(messageOfLine(JSON.stringify({ flow })) as FlowsMessage))
  }
  const text = await cells.metrics()
  const from = 'source_namespace="a",source_workload="w"'
  const world = 'destination_namespace="",destination_workload="reserved:world"'
  expect(text).toContain(`weir_network_drops_total{reason="POLICY_DENIED",${from},${world}} 1`)
  expect(text).toContain(`weir_network_drops_total{reason="250",${from},${world}} 1`)
  expect(text).toContain(
    'weir_dns_responses_total{rcode="NXDOMAIN",source_namespace="",source_workload="reserved:world"',
  )
  expect(text).toContain(`weir_tcp_resets_total{${from},${world}} 1`)
})

it('texts of a capture reached labels unbounded, and with their control characters', async () => {
  const cells = new MetricCells()
  const overflows: string[] = []
  const sink = createNetworkMetrics(cells, {
    apisMax: 1,
    operationsMax: 1,
    workloadsMax: 5,
    onOverflow: (label) => overflows.push(label),
    dropReasonOf: dropReasonName,
  })
  const show = viewer()
  for (let i = 0; i < 2_000; i++) {
    const source = { namespace: `n\u001b[31m${i}`, pod_name: `p\u009b${i}` }
    const dropped = { verdict: 'DROPPED', drop_reason_desc: 1_000 + i, Type: 'L3_L4', source }
    const answer = { Type: 'L7', l7: { type: 'RESPONSE', dns: { rcode: i } }, destination: source }
    for (const flow of [dropped, answer]) {
      sink.accept(show(messageOfLine(JSON.stringify({ flow })) as FlowsMessage))
    }
  }
  const text = await cells.metrics()
  expect(text).not.toMatch(/[^\P{Cc}\n]/u)
  expect(text.split('\n').length).toBeLessThan(2 * 300)
  expect(new Set(overflows)).toEqual(new Set(['namespace', 'workload', 'reason', 'rcode']))
})
