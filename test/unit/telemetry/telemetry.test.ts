import { describe, expect, it } from 'vitest'
import type { SourceNotice } from '../../../src/pipeline/contract.ts'
import { Health } from '../../../src/telemetry/health.ts'
import { createLogger } from '../../../src/telemetry/logger.ts'
import { Telemetry } from '../../../src/telemetry/telemetry.ts'
import { httpRequest, viewer } from '../../fixtures/hubble-flows.ts'

const T = 1_760_000_000_000

function start() {
  const lines: string[] = []
  const clock = { ms: T }
  const telemetry = new Telemetry({
    log: createLogger('info', { write: (line) => void lines.push(line) }),
    version: 'test',
    nodeVersion: 'test',
    configHash: 'test',
    now: () => clock.ms,
  })
  const series = async (name: string) =>
    (await telemetry.metrics()).body.split('\n').filter((line) => line.startsWith(`${name}{`))
  return { telemetry, lines, clock, series }
}

const away = (reason: string): SourceNotice => ({ kind: 'interrupted', reason, retryInMs: 1 })
const here: SourceNotice = { kind: 'connected', nodes: 1, unavailable: 0 }

describe('a source that is away', () => {
  it('filled the log where two reasons took turns', () => {
    const { telemetry, lines } = start()
    for (let i = 0; i < 50; i++) telemetry.sourceNotice('relay', away(i % 2 ? 'one' : 'two'))
    expect(lines).toHaveLength(2)
    telemetry.sourceNotice('relay', here)
    telemetry.sourceNotice('relay', away('one'))
    expect(lines).toHaveLength(4)
  })

  it('filled the log where every try had a reason of its own', () => {
    const { telemetry, lines } = start()
    for (let i = 0; i < 1_000; i++) telemetry.sourceNotice('relay', away(`after ${i} ms`))
    expect(lines.length).toBeLessThanOrEqual(10)
  })

  it('is one whose relay has no node', async () => {
    const { telemetry, series } = start()
    const health = new Health()
    health.expect('relay')
    const alone: SourceNotice = { kind: 'connected', nodes: 0, unavailable: 2 }
    telemetry.sourceNotice('relay', alone)
    health.noticed('relay', alone)
    expect(await series('weir_source_connected')).toEqual([
      'weir_source_connected{source="relay"} 0',
    ])
    expect(health.state().waitingFor).toContain('source relay: no node is connected')
  })
})

describe('nodes', () => {
  it('counts their states, and says each once', async () => {
    const { telemetry, lines, series } = start()
    const names = ['a', 'b']
    const failed: SourceNotice = { kind: 'nodes', state: 'error', count: 2, names, message: 'x' }
    for (let i = 0; i < 5; i++) telemetry.sourceNotice('relay', failed)
    expect(await series('weir_source_node_states_total')).toEqual([
      'weir_source_node_states_total{source="relay",state="error"} 10',
    ])
    expect(lines).toHaveLength(1)
  })

  it('a node that left the cluster kept its lag for ever', async () => {
    const { telemetry, clock, series } = start()
    const show = viewer()
    telemetry.flowReceived('relay', show(httpRequest({ atMs: T - 2_000, node: 'gone' })), true)
    expect(await series('weir_source_lag_seconds')).toEqual([
      'weir_source_lag_seconds{source="relay",node="gone"} 2',
    ])
    clock.ms += 11 * 60_000
    telemetry.flowReceived('relay', show(httpRequest({ atMs: clock.ms, node: 'here' })), true)
    expect(await series('weir_source_lag_seconds')).toEqual([
      'weir_source_lag_seconds{source="relay",node="here"} 0',
    ])
  })

  it('a hundred thousand names of nodes became a hundred thousand series', async () => {
    const { telemetry, series } = start()
    for (let i = 0; i < 100_000; i++) {
      const node = `node-${i}`
      telemetry.sourceNotice('relay', { kind: 'lost', node, reason: 'hubble_ring', count: 1 })
    }
    const lost = await series('weir_flows_lost_total')
    expect(lost).toHaveLength(5_001)
    expect(lost.at(-1)).toContain('node="other"')
  })
})

it('no control character reaches the log unescaped', () => {
  const { telemetry, lines } = start()
  const text = 'a\u0007b\u001b[31mc\u007fd\u009b2Je'
  telemetry.sourceNotice('relay', away(text))
  expect(lines.join('').trimEnd()).not.toMatch(/\p{Cc}/u)
  expect(JSON.parse(lines.join(''))).toMatchObject({ reason: text })
})
