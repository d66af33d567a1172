import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createPeerSource } from '../../../src/hubble/peer-source.ts'
import { createRelaySource } from '../../../src/hubble/relay-source.ts'
import { EndpointTable } from '../../../src/model/endpoint.ts'
import type { FlowView } from '../../../src/model/flow-view.ts'
import type { Source, SourceNotice } from '../../../src/pipeline/contract.ts'
import { SimulatedPeers } from './simulated-peers.ts'
import { EVERYTHING, SimulatedRelay } from './simulated-relay.ts'

const T = 1_760_000_000_000

beforeEach(() => void vi.useFakeTimers({ now: T }))
afterEach(() => void vi.useRealTimers())

const options = {
  name: 'source',
  cluster: 'default',
  endpoints: new EndpointTable(),
  filter: EVERYTHING,
  sinceMs: T - 60_000,
  untilMs: T + 10,
  backoffMs: () => 500,
  now: () => Date.now(),
}

/** Reads for at most `forMs`; each flow takes `eachMs` downstream. `meanwhile` runs every second. */
async function read(source: Source, { forMs = 120_000, eachMs = 0, meanwhile = () => {} } = {}) {
  const flows: string[] = []
  const notices: SourceNotice[] = []
  const busy = () => new Promise<void>((resolve) => setTimeout(resolve, eachMs))
  const stop = new AbortController()
  let hasEnded = false
  await source.start(stop.signal)
  const running = source.run(
    {
      flow: (view: FlowView) => void flows.push(view.uuid()),
      notice: (notice) => void notices.push(notice),
      ready: () => (eachMs === 0 ? undefined : busy()),
    },
    stop.signal,
  )
  void running.then(() => (hasEnded = true))
  for (let ms = 0; ms < forMs && !hasEnded; ms += 1_000) {
    await vi.advanceTimersByTimeAsync(1_000)
    meanwhile()
  }
  const endedByItself = hasEnded
  stop.abort()
  await vi.advanceTimersByTimeAsync(1_000)
  await running
  await source.stop(stop.signal)
  return { flows, notices, hasEnded: endedByItself }
}

describe('a bounded read', () => {
  it('did not end while one node was half-open', async () => {
    const relay = new SimulatedRelay(['a', 'b'])
    const [a, b] = relay.nodes
    a?.write(5)
    if (b !== undefined) b.isStuck = true
    const source = createRelaySource({ ...options, connect: relay.connect })
    const { flows, notices, hasEnded } = await read(source)
    expect(hasEnded).toBe(true)
    expect(flows).toHaveLength(6)
    const reason = 'no answer in time: it, or a node behind it, hangs'
    expect(notices).toContainEqual({ kind: 'interrupted', reason, retryInMs: 500 })
  })

  it('took a node that Relay could not reach at first for one that holds nothing', async () => {
    const relay = new SimulatedRelay(['a', 'b'])
    const [, b] = relay.nodes
    if (b !== undefined) b.isUp = false
    const source = createRelaySource({
      ...options,
      backoffMs: () => 2_000,
      connect: relay.connect,
    })
    const meanwhile = () => {
      if (b !== undefined) b.isUp = true
    }
    const { flows, hasEnded } = await read(source, { meanwhile, forMs: 60_000 })
    expect([flows.toSorted(), hasEnded]).toEqual([['a-0', 'b-0'], true])
  })

  it('began anew every minute where a node counts flows that are beyond the bounds', async () => {
    const relay = new SimulatedRelay(['a', 'b'])
    const [a, b] = relay.nodes
    a?.write(1_000)
    vi.setSystemTime(T + 60_000)
    const source = createRelaySource({
      ...options,
      sinceMs: T - 1,
      untilMs: T + 10,
      connect: relay.connect,
    })
    const meanwhile = () => b?.write(10)
    const { flows, notices, hasEnded } = await read(source, {
      eachMs: 150,
      meanwhile,
      forMs: 400_000,
    })
    expect([flows.length, hasEnded]).toEqual([1_003, true])
    expect(notices.filter(({ kind }) => kind === 'reopened')).toEqual([])
  })

  it('of agents did not end while one of them could not be reached', async () => {
    const relays = new Map(['a', 'b'].map((name) => [name, new SimulatedRelay([name])]))
    const [, b] = relays.values()
    if (b !== undefined) b.isUp = false
    const peers = new SimulatedPeers()
    for (const name of relays.keys()) peers.add(name)
    const source = createPeerSource({
      ...options,
      connect: peers.connect,
      connectAgent: async (address) => (relays.get(address) ?? new SimulatedRelay([])).connect(),
    })
    const { flows, notices, hasEnded } = await read(source)
    expect([flows, hasEnded]).toEqual([['a-0'], true])
    const told = {
      kind: 'nodes',
      state: 'error',
      count: 1,
      names: ['b'],
      message: 'status 14: away',
    }
    expect(notices).toContainEqual(told)
  })
})
