import fc from 'fast-check'
import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { createApiMetrics } from '../../../src/metrics/api-metrics.ts'
import { createNetworkMetrics } from '../../../src/metrics/network-metrics.ts'
import { FLOW_KIND_NAMES, FlowKind } from '../../../src/model/flow-view.ts'
import { METRICS } from '../../../src/model/metric-definitions.ts'
import { Ledger } from '../../../src/pipeline/ledger.ts'
import { createLogger } from '../../../src/telemetry/logger.ts'
import { Telemetry } from '../../../src/telemetry/telemetry.ts'
import { linesOf, reference, samplesOf } from '../../fixtures/exposition.ts'
import { PLAIN_FLOW } from '../../fixtures/plain-flow.ts'

const T = 1_760_000_000

function start(sourceClusters?: ReadonlyMap<string, string>) {
  const clock = { ms: T * 1_000, asked: 0 }
  const telemetry = new Telemetry({
    log: createLogger('silent', { write: () => {} }),
    version: 'test',
    nodeVersion: 'test',
    configHash: 'test',
    ...(sourceClusters === undefined ? {} : { sourceClusters }),
    now: () => {
      clock.asked++
      return clock.ms
    },
  })
  const samples = async (name: string) => samplesOf((await telemetry.metrics()).body, name)
  const receive = (node: string, seconds: number, nanos = 0, source = 'relay') => {
    const time = { timeSeconds: seconds, timeNanos: nanos }
    telemetry.flowReceived(source, { ...PLAIN_FLOW, ...time, nodeName: () => node }, true)
  }
  return { telemetry, clock, samples, receive }
}

it('shows each metric once, whoever keeps it', async () => {
  const { telemetry } = start()
  const budgets = { apisMax: 1, operationsMax: 1, workloadsMax: 1, onOverflow: () => {} }
  createApiMetrics(telemetry.cells, budgets)
  createNetworkMetrics(telemetry.cells, { ...budgets, dropReasonOf: String })
  const nothing = {
    ledger: new Ledger(),
    limits: () => [],
    apis: () => 0,
    evictions: () => ({}),
    coverage: () => [],
    discoveries: () => ({}),
  }
  telemetry.observe(nothing)
  const { contentType, body } = await telemetry.metrics()
  expect(contentType).toContain('version=0.0.4')
  const heads = body.split('\n').filter((line) => line.startsWith('# TYPE weir_'))
  const defined = Object.values(METRICS).map(({ name, type }) => `# TYPE ${name} ${type}`)
  expect(heads.sort()).toEqual(defined.sort())
  expect(body).not.toContain('\n\n\n')
  expect(body.endsWith('\n')).toBe(true)
})

it('is what prom-client counts, after any flows and notices', async () => {
  const source = fc.constantFrom('relay', 'a"b\\', 'x\ny')
  const kind = fc.constantFrom(...Object.values(FlowKind))
  const reason = fc.constantFrom('duplicate', 'malformed', 'filtered', 'too_large', 'unsupported')
  const loss = fc.constantFrom('perf_ring', 'events_queue', 'hubble_ring', 'unknown')
  const node = fc.constantFrom('', 'n1', 'c/n"2')
  const update = fc.oneof(
    fc.record({ kind: fc.constant('flow' as const), source, flow: kind }),
    fc.record({ kind: fc.constant('rejected' as const), source, reason, count: fc.nat(9) }),
    fc.record({ kind: fc.constant('lost' as const), source, node, reason: loss, count: fc.nat(9) }),
  )
  const property = fc.asyncProperty(
    fc.array(update, { maxLength: 40 }),
    fc.boolean(),
    async (updates, withCluster) => {
      const clusters = { relay: 'blue', 'a"b\\': withCluster ? 'green' : 'blue', 'x\ny': 'blue' }
      const { telemetry } = start(new Map(Object.entries(clusters)))
      const registry = new Registry()
      const received = reference(registry, METRICS.flowsReceived, withCluster)
      const rejected = reference(registry, METRICS.flowsRejected, withCluster)
      const lost = reference(registry, METRICS.flowsLost, withCluster)
      reference(registry, METRICS.sourceLag, withCluster)
      for (const u of updates) {
        const first = [...(withCluster ? [clusters[u.source]] : []), u.source]
        if (u.kind === 'flow') {
          telemetry.flowReceived(u.source, { ...PLAIN_FLOW, kind: u.flow }, false)
          received([...first, FLOW_KIND_NAMES[u.flow]], 1)
        } else if (u.kind === 'rejected') {
          telemetry.sourceNotice(u.source, u)
          rejected([...first, u.reason], u.count)
        } else {
          telemetry.sourceNotice(u.source, u)
          lost([...first, u.node, u.reason], u.count)
        }
      }
      expect(linesOf(await telemetry.cells.metrics())).toEqual(linesOf(await registry.metrics()))
    },
  )
  await fc.assert(property)
})

it.each([-1, Number.NaN, Number.POSITIVE_INFINITY])(
  'a loss of %s events, as a capture may have it, counts as none',
  async (count) => {
    const { telemetry, samples } = start()
    const lost = { kind: 'lost', node: 'n', reason: 'unknown' } as const
    telemetry.sourceNotice('file', { ...lost, count: 2 })
    telemetry.sourceNotice('file', { ...lost, count })
    const [[, n] = []] = await samples('weir_flows_lost_total')
    expect(n).toBe(2)
  },
)

describe('the label cluster', () => {
  const names = [
    'weir_flows_received_total',
    'weir_flows_rejected_total',
    'weir_flows_lost_total',
    'weir_source_connected',
    'weir_source_lag_seconds',
    'weir_source_reopened_total',
    'weir_source_node_states_total',
  ]
  const clustersOf = async (clusters: ReadonlyMap<string, string>) => {
    const { telemetry, receive } = start(clusters)
    for (const source of ['one', 'two']) {
      receive('n', T, 0, source)
      telemetry.sourceNotice(source, { kind: 'rejected', reason: 'filtered', count: 1 })
      telemetry.sourceNotice(source, { kind: 'lost', node: 'n', reason: 'unknown', count: 1 })
      telemetry.sourceNotice(source, { kind: 'connected', nodes: 1, unavailable: 0 })
      telemetry.sourceNotice(source, { kind: 'reopened', reason: 'schedule' })
      const nodes = { names: ['n'], message: '' }
      telemetry.sourceNotice(source, { kind: 'nodes', state: 'gone', count: 1, ...nodes })
    }
    const { body } = await telemetry.metrics()
    return names.map((name) =>
      [
        name,
        ...body.split('\n').flatMap((line) => /^(\w+\{.*?),?source="/.exec(line)?.[1] ?? []),
      ].filter((text, i) => i === 0 || text.startsWith(`${name}{`)),
    )
  }

  it('comes first where the sources are of more than one', async () => {
    const found = await clustersOf(new Map(Object.entries({ one: 'blue', two: 'green' })))
    const expected = names.map((n) => [n, `${n}{cluster="blue"`, `${n}{cluster="green"`])
    expect(found).toEqual(expected)
  })

  it('is absent where all are of one', async () => {
    const found = await clustersOf(new Map(Object.entries({ one: 'blue', two: 'blue' })))
    expect(found).toEqual(names.map((n) => [n, `${n}{`, `${n}{`]))
  })
})

describe('the lag of a node', () => {
  it('is that of the first flow of each second, so that the clock is not asked for every flow', async () => {
    const { clock, samples, receive } = start()
    clock.ms = (T + 3) * 1_000
    for (let i = 0; i < 1_000; i++) receive('a', T, i * 1e6)
    expect(clock.asked).toBe(1)
    expect(await samples('weir_source_lag_seconds')).toEqual([[{ source: 'relay', node: 'a' }, 3]])
    receive('a', T + 1, 5e8)
    receive('b', T, 0)
    const lags = (await samples('weir_source_lag_seconds')).map(([{ node }, n]) => [node, n])
    expect(lags).toEqual([
      ['a', 1.5],
      ['b', 3],
    ])
  })

  it('is not negative where its clock is ahead, and goes on when that is set back', async () => {
    const { clock, samples, receive } = start()
    receive('a', T + 60)
    expect((await samples('weir_source_lag_seconds'))[0]?.[1]).toBe(0)
    clock.ms += 2_000
    receive('a', T)
    expect((await samples('weir_source_lag_seconds'))[0]?.[1]).toBe(2)
  })

  it('comes back with the node', async () => {
    const { clock, samples, receive } = start()
    receive('a', T)
    clock.ms += 11 * 60_000
    expect(await samples('weir_source_lag_seconds')).toEqual([])
    receive('a', T)
    expect((await samples('weir_source_lag_seconds'))[0]?.[1]).toBe(660)
  })

  it('a relay that invents nodes filled the memory', async () => {
    const { clock, samples, receive } = start()
    for (let i = 0; i < 20_000; i++) receive(`node-${i}`, T)
    expect(await samples('weir_source_lag_seconds')).toHaveLength(5_000)
    clock.ms += 11 * 60_000
    expect(await samples('weir_source_lag_seconds')).toHaveLength(0)
    // Those that left make room.
    receive('late', T)
    const [[labels] = []] = await samples('weir_source_lag_seconds')
    expect(labels).toEqual({ source: 'relay', node: 'other' })
  })
})
