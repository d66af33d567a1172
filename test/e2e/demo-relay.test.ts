import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createDemoCluster, observerService } from '../../src/app.ts'
import { directoryOf } from '../fixtures/directory.ts'
import { hubbleObserve } from '../services/hubble.ts'
import { need } from '../services/need.ts'

describe.skipIf(need('hubble').skip)("the demo's simulated Relay", () => {
  it('speaks the protocol: the real `hubble observe` reads it', async () => {
    const cluster = createDemoCluster({ service: observerService(), cecDirectory: directoryOf({}) })
    const signal = new AbortController().signal
    onTestFinished(() => cluster.stop(AbortSignal.timeout(2_000)))
    await cluster.start(signal)
    await sleep(2_500)
    const http = ['--protocol', 'http', '--last', '40']
    const { flows, stderr } = await hubbleObserve(cluster.relayAddress, http)
    expect(stderr).toBe('')
    expect(flows.length).toBeGreaterThanOrEqual(40)
    expect(new Set(flows.map((flow) => flow['uuid'])).size).toBe(flows.length)
    for (const flow of flows) {
      expect(flow).toMatchObject({
        Type: 'L7',
        verdict: expect.stringMatching(/FORWARDED|DROPPED/),
        l7: { http: { method: expect.any(String), url: expect.stringMatching(/^https?:/) } },
        event_type: { type: 129 },
        source: { identity: expect.any(Number) },
        destination: { identity: expect.any(Number) },
      })
    }
    const l4 = await hubbleObserve(cluster.relayAddress, ['--protocol', 'tcp', '--last', '10'])
    expect(l4.flows.length).toBeGreaterThan(0)
  })
})
