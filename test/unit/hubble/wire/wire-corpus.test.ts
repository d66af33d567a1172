import { describe, expect, it } from 'vitest'
import type { FlowsMessage } from '../../../../src/hubble/flow-message.ts'
import { observerService } from '../../../../src/hubble/proto.ts'
import { corpusMessages } from '../../../fixtures/flow-corpus.ts'

const REQUEST = 1

function kindOf({ flow }: FlowsMessage): string {
  const { l4, l7 } = flow ?? {}
  if (l7?.http) return l7.type === REQUEST ? 'request' : 'response'
  if (l7?.dns) return 'dns'
  return l7?.kafka ? 'kafka' : l4?.TCP ? 'tcp' : 'udp'
}

describe('corpusMessages()', () => {
  const messages = [...corpusMessages(4_000)]

  it('has the mix and the size that figures are told for', () => {
    const counts = new Map<string, number>()
    for (const message of messages)
      counts.set(kindOf(message), (counts.get(kindOf(message)) ?? 0) + 1)
    const shares = { tcp: 50, udp: 10, request: 11, response: 11, dns: 15, kafka: 3 }
    for (const [kind, percent] of Object.entries(shares)) {
      const found = ((counts.get(kind) ?? 0) / messages.length) * 100
      expect(Math.abs(found - percent), kind).toBeLessThan(2.5)
    }
    const definition = observerService()['GetFlows']
    const sizes = messages.map((message) => definition?.responseSerialize(message).length ?? 0)
    const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length
    expect(mean).toBeGreaterThan(1_150)
    expect(mean).toBeLessThan(1_230)
  })

  it('is the same for the same seed, another for another', () => {
    expect([...corpusMessages(50, { seed: 42 })]).toEqual(messages.slice(0, 50))
    expect([...corpusMessages(50, { seed: 43 })]).not.toEqual(messages.slice(0, 50))
  })

  it('has no uuid twice, and times that ascend from its start', () => {
    const times = [...corpusMessages(4_000, { startMs: 1_500_000_000_250 })].map(
      ({ time }) => BigInt(time?.seconds ?? 0) * 1_000_000_000n + BigInt(time?.nanos ?? 0),
    )
    expect(times).toEqual(times.toSorted((a, b) => (a < b ? -1 : 1)))
    expect(times[0]).toBeGreaterThan(1_500_000_000_250_000_000n)
    expect(times[0]).toBeLessThan(1_500_000_000_251_000_000n)
    expect(new Set(messages.map(({ flow }) => flow?.uuid)).size).toBe(messages.length)
  })

  it('answers each request on its way back, by the id of it, from the same node', () => {
    const idOf = ({ flow }: FlowsMessage) => flow?.l7?.http?.headers?.at(-1)?.value
    const requests = new Map(
      messages.filter((message) => kindOf(message) === 'request').map((m) => [idOf(m), m.flow]),
    )
    const responses = messages.filter((message) => kindOf(message) === 'response')
    expect(responses.length).toBeGreaterThan(300)
    for (const response of responses) {
      const { flow } = response
      const request = requests.get(idOf(response))
      expect(flow?.IP?.source).toBe(request?.IP?.destination)
      expect(flow?.IP?.destination).toBe(request?.IP?.source)
      expect(flow?.l4?.TCP?.source_port).toBe(request?.l4?.TCP?.destination_port)
      expect(flow?.l4?.TCP?.destination_port).toBe(request?.l4?.TCP?.source_port)
      expect(flow?.node_name).toBe(request?.node_name)
      expect(flow?.l7?.http?.url).toBe(request?.l7?.http?.url)
    }
  })
})
