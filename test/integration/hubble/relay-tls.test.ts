import { describe, expect, it, onTestFinished } from 'vitest'
import { connectHubble } from '../../../src/hubble/channel.ts'
import { compileFlowFilter } from '../../../src/hubble/filter/flow-filter.ts'
import { createRelaySource } from '../../../src/hubble/relay-source.ts'
import { EndpointTable } from '../../../src/model/endpoint.ts'
import { directoryOf } from '../../fixtures/directory.ts'
import { makeCertificates, RELAY_SERVER_NAME } from '../../services/certificates.ts'
import { startHubbleNode, startRelay } from '../../services/hubble.ts'
import { need } from '../../services/need.ts'
import { Numbered, readNumbered } from './numbered-flows.ts'

const SECONDS = { timeout: 20_000, interval: 50 }

describe.skipIf(need('hubble').skip)('the real Relay behind TLS', () => {
  it.each([
    { clients: 'tls', transport: 'http2' },
    { clients: 'mutual', transport: 'http2' },
    { clients: 'mutual', transport: 'grpc-js' },
  ] as const)(
    '$clients over $transport: certificates of a new authority in the middle of a run cost nothing',
    async ({ clients, transport }) => {
      const certificates = makeCertificates(directoryOf({}))
      const node = await startHubbleNode({ name: 'node-1', tls: { certificates } })
      onTestFinished(() => node.stop())
      const relay = await startRelay({
        peerAddress: node.address,
        nodes: 1,
        tls: { certificates, clients },
      })
      onTestFinished(() => relay.stop())
      const { ca, cert, key, serverName } = certificates.clientOf(RELAY_SERVER_NAME)
      const own = clients === 'mutual' ? { cert, key } : {}
      const flows = new Numbered()
      const reading = await readNumbered(
        createRelaySource({
          name: 'relay',
          cluster: 'default',
          connect: () =>
            connectHubble(relay.address, { tls: { ca, serverName, ...own }, transport }),
          endpoints: new EndpointTable(),
          filter: compileFlowFilter({}),
          sinceMs: Date.now() - 60_000,
          backoffMs: () => 200,
          now: Date.now,
          reopenAfterMs: 3_000,
        }),
      )
      await flows.make([node], 200)
      await expect.poll(() => reading.missingOf(node, 200), SECONDS).toEqual([])

      certificates.renew({ authority: true })
      // Cilium's servers look for new files every five seconds; streams are reopened meanwhile.
      await flows.make([node], 2_000, 250)
      await expect.poll(() => reading.missingOf(node, 2_200), SECONDS).toEqual([])
      await relay.restart()
      await flows.make([node], 200)
      await expect.poll(() => reading.missingOf(node, 2_400), SECONDS).toEqual([])
      expect([reading.doubles, reading.lost]).toEqual([0, 0])
      expect(reading.reopenedFor()).toContain('schedule')
    },
  )
})
