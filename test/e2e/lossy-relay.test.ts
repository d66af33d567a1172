import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { directoryOf } from '../fixtures/directory.ts'
import {
  type HubbleNode,
  type HubbleRelay,
  startHubbleNode,
  startRelay,
} from '../services/hubble.ts'
import { need } from '../services/need.ts'
import { poll, type Running, startWeir } from './weir.ts'

const OFF = { WEIR_EVENTS_PUBLISHER: 'none' }

/** Sum of a metric's series that have all these texts in their labels. */
function sumOf(metrics: string, name: string, ...labels: readonly string[]): number {
  return metrics
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && labels.every((label) => line.includes(label)))
    .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

const metricsOf = async ({ url }: Running) => (await fetch(`${url}/metrics`)).text()

describe.skipIf(need('hubble').skip)('what Weir could not see', () => {
  let node: HubbleNode
  let relay: HubbleRelay

  beforeAll(async () => {
    node = await startHubbleNode({ name: 'node-1', ringCapacity: 4_095 })
    relay = await startRelay({ peerAddress: node.address })
    return async () => {
      await relay.stop()
      await node.stop()
    }
  })

  it('a reader that is held up until the ring runs over: the losses are counted, and coverage falls as much', async () => {
    const weir = await startWeir(['run', '--relay', relay.address], directoryOf({}), OFF)
    const received = async () => sumOf(await metricsOf(weir), 'weir_flows_received_total')
    await poll(
      async () => (await fetch(`${weir.url}/readyz`)).status,
      (status) => status === 200,
    )
    await node.command({ do: 'generate', n: 1_000, kind: 'l4' })
    expect(await poll(received, (count) => count === 1_000)).toBe(1_000)

    weir.child.kill('SIGSTOP')
    onTestFinished(() => void weir.child.kill('SIGCONT'))
    await node.command({ do: 'generate', n: 60_000, first: 1_000, rate: 15_000, kind: 'l4' })
    weir.child.kill('SIGCONT')
    await sleep(1_500)
    await node.command({ do: 'generate', n: 10, first: 61_000, kind: 'l4' })

    const lost = (metrics: string) =>
      sumOf(metrics, 'weir_flows_lost_total', 'reason="hubble_ring"')
    const metrics = await poll(
      () => metricsOf(weir),
      (text) => lost(text) > 0 && sumOf(text, 'weir_flows_received_total') + lost(text) >= 61_000,
    )
    const seen = sumOf(metrics, 'weir_flows_received_total')
    // The newest slot is unreadable; Hubble counts a slot or two of its own among the lost.
    expect(lost(metrics)).toBeGreaterThan(10_000)
    expect(seen + lost(metrics)).toBeGreaterThanOrEqual(61_009)
    expect(seen + lost(metrics)).toBeLessThan(61_020)
    const ratio = seen / (seen + lost(metrics))
    expect(sumOf(metrics, 'weir_source_coverage_ratio', 'node="node-1"')).toBeCloseTo(ratio, 2)
    const status = (await (await fetch(`${weir.url}/api/v1/status`)).json()) as { coverage: number }
    expect(status.coverage).toBeCloseTo(ratio, 2)
    expect((await weir.stop()).code).toBe(0)
  })

  it('two clusters, each with its Relay: every series tells whose it is', async () => {
    const other = await startHubbleNode({ name: 'node-1' })
    onTestFinished(() => other.stop())
    const otherRelay = await startRelay({ peerAddress: other.address })
    onTestFinished(() => otherRelay.stop())
    const directory = directoryOf({
      'weir.yaml': `
hubble:
  sources:
    - { name: east, cluster: east, relay: '${relay.address}' }
    - { name: west, cluster: west, relay: '${otherRelay.address}' }
`,
    })
    const weir = await startWeir(['run'], directory, OFF)
    await poll(
      async () => (await fetch(`${weir.url}/readyz`)).status,
      (status) => status === 200,
    )
    await node.command({ do: 'generate', n: 200, kind: 'http' })
    await other.command({ do: 'generate', n: 100, kind: 'http' })
    const metrics = await poll(
      () => metricsOf(weir),
      (text) => sumOf(text, 'weir_api_requests_total') >= 150,
    )
    expect(sumOf(metrics, 'weir_api_requests_total', 'cluster="east"')).toBe(100)
    expect(sumOf(metrics, 'weir_api_requests_total', 'cluster="west"')).toBe(50)
    expect(sumOf(metrics, 'weir_flows_received_total', 'cluster="west"')).toBe(100)
    expect((await weir.stop()).code).toBe(0)
  })
})
