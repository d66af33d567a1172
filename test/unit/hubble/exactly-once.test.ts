import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { HubbleClient } from '../../../src/hubble/channel.ts'
import { createPeerSource } from '../../../src/hubble/peer-source.ts'
import { createRelaySource } from '../../../src/hubble/relay-source.ts'
import { EndpointTable } from '../../../src/model/endpoint.ts'
import type { FlowView } from '../../../src/model/flow-view.ts'
import type { Source, SourceNotice } from '../../../src/pipeline/contract.ts'
import { SimulatedPeers } from './simulated-peers.ts'
import { EVERYTHING, SimulatedRelay } from './simulated-relay.ts'

const T = 1_760_000_000_000
const STEP_MS = 50
const REOPEN_MS = 20_000

beforeEach(() => void vi.useFakeTimers({ now: T }))
afterEach(() => void vi.useRealTimers())

const options = {
  name: 'source',
  cluster: 'default',
  endpoints: new EndpointTable(),
  filter: EVERYTHING,
  sinceMs: T - 600_000,
  backoffMs: () => 500,
  now: () => Date.now(),
  reopenAfterMs: REOPEN_MS,
}

/** Reads what `relays` have; time passes only in `passes`. */
async function read(source: Source, relays: readonly SimulatedRelay[]) {
  const came = new Map<string, number>()
  const notices: SourceNotice[] = []
  const port = {
    flow: (view: FlowView) => void came.set(view.uuid(), (came.get(view.uuid()) ?? 0) + 1),
    notice: (notice: SourceNotice) => void notices.push(notice),
    ready: () => undefined,
  }
  const stop = new AbortController()
  await source.start(stop.signal)
  const running = source.run(port, stop.signal)
  const passes = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += STEP_MS) {
      await vi.advanceTimersByTimeAsync(STEP_MS)
      for (const relay of relays) relay.pump()
    }
  }
  /** Ends it, and tells which flows did not come once. */
  const end = async () => {
    stop.abort()
    await vi.advanceTimersByTimeAsync(1)
    await running
    await source.stop(stop.signal)
    const held = relays.flatMap(({ nodes }) => nodes.flatMap(({ readable }) => readable))
    return {
      missing: held.filter((uuid) => !came.has(uuid)),
      doubles: [...came].filter(([, count]) => count > 1).map(([uuid]) => uuid),
    }
  }
  return { notices, passes, end }
}

const ONCE = { missing: [], doubles: [] }
const readRelay = (relay: SimulatedRelay, more: Partial<typeof options> = {}) =>
  read(createRelaySource({ ...options, ...more, connect: relay.connect }), [relay])

describe('each flow of a Relay comes once', () => {
  it('the newest flow of a quiet node, which cannot be read yet, was passed over when the stream was reopened', async () => {
    const relay = new SimulatedRelay(['busy', 'quiet'])
    const [busy, quiet] = relay.nodes
    const { passes, end } = await readRelay(relay)
    for (let second = 0; second < 60; second++) {
      busy?.write(5)
      if (second === 5 || second === 30) quiet?.write(1)
      await passes(1_000)
    }
    expect(await end()).toEqual(ONCE)
  })

  it.each([
    { clock: 'ten seconds behind', skewMs: -10_000 },
    { clock: 'two minutes behind', skewMs: -120_000 },
    { clock: 'four seconds ahead', skewMs: 4_000 },
    { clock: 'four minutes ahead', skewMs: 240_000 },
    { clock: 'an hour ahead', skewMs: 3_600_000 },
  ])('of a node whose clock is $clock', async ({ skewMs }) => {
    const relay = new SimulatedRelay(['right', 'wrong'], { skewsMs: [0, skewMs] })
    const [right, wrong] = relay.nodes
    const { passes, end } = await readRelay(relay, { reopenAfterMs: 60_000 })
    for (let second = 0; second < 300; second++) {
      right?.write(5)
      wrong?.write(2)
      await passes(1_000)
    }
    await passes(130_000)
    expect(await end()).toEqual(ONCE)
  })

  it('of a node whose clock was an hour ahead and is set right, but for a minute that is told as lost', async () => {
    const relay = new SimulatedRelay(['right', 'wrong'], { skewsMs: [0, 3_600_000] })
    const [right, wrong] = relay.nodes
    const { passes, end, notices } = await readRelay(relay, { reopenAfterMs: 80_000 })
    for (let second = 0; second < 500; second++) {
      if (second === 165 && wrong !== undefined) wrong.skewMs = 0
      right?.write(2)
      wrong?.write(2)
      await passes(1_000)
    }
    const { missing, doubles } = await end()
    expect(doubles).toEqual([])
    // For a minute that looks like a ring that is read again; what came in it is told as lost.
    const lost = notices.reduce((sum, n) => sum + (n.kind === 'lost' ? n.count : 0), 0)
    expect(missing.length).toBeLessThan(2 * 65)
    expect(lost).toBe(missing.length)
  })

  const nodeOf = { node: fc.nat(2) }
  const action = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        ...nodeOf,
        do: fc.constant('write' as const),
        count: fc.integer({ min: 1, max: 400 }),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('pass' as const),
        ms: fc.integer({ min: 50, max: 15_000 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ ...nodeOf, do: fc.constant('node' as const) }) },
    { weight: 1, arbitrary: fc.record({ ...nodeOf, do: fc.constant('hang' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('relay' as const) }) },
  )
  const skewMs = fc.constantFrom(0, 0, 0, -20_000, -200_000, 5_000, 200_000, 3_600_000)

  it('whatever happens to the nodes and to Relay, and whatever their clocks say', async () => {
    const actions = fc.array(action, { minLength: 5, maxLength: 40 })
    const property = fc.asyncProperty(
      actions,
      fc.tuple(skewMs, skewMs, skewMs),
      fc.constantFrom(0, 10, 50),
      async (steps, skewsMs, pauseMs) => {
        vi.setSystemTime(T)
        const relay = new SimulatedRelay(['a', 'b', 'c'], { skewsMs, pauseMs })
        const { passes, end } = await readRelay(relay)
        for (const step of steps) {
          const node = 'node' in step ? relay.nodes[step.node] : undefined
          if (step.do === 'pass') await passes(step.ms)
          else if (step.do === 'relay') relay.isUp = !relay.isUp
          else if (node === undefined) continue
          else if (step.do === 'write') node.write(step.count)
          else if (step.do === 'node') node.isUp = !node.isUp
          else node.isStuck = !node.isStuck
        }
        relay.isUp = true
        for (const node of relay.nodes) Object.assign(node, { isUp: true, isStuck: false })
        for (let round = 0; round < 8; round++) {
          for (const node of relay.nodes) node.write(1)
          await passes(15_000)
        }
        await passes(REOPEN_MS + 5_000)
        expect(await end()).toEqual(ONCE)
      },
    )
    await fc.assert(property, { numRuns: 60 })
  }, 60_000)
})

describe('each flow of the agents comes once', () => {
  const action = fc.record({
    do: fc.constantFrom('write', 'write', 'pass', 'pass', 'away', 'move', 'leave'),
    node: fc.nat(1),
    count: fc.integer({ min: 1, max: 300 }),
  })

  it('whatever happens to them, to their addresses, and to the list of them', async () => {
    const actions = fc.array(action, { minLength: 5, maxLength: 40 })
    const property = fc.asyncProperty(
      actions,
      fc.tuple(fc.constantFrom(0, -9_000, 9_000)),
      async (steps, [skewMs]) => {
        vi.setSystemTime(T)
        const relays = ['a', 'b'].map((name) => new SimulatedRelay([name], { skewsMs: [skewMs] }))
        const peers = new SimulatedPeers()
        const agentAt = (address: string): Promise<HubbleClient> => {
          const relay = relays.find(({ nodes }) => nodes[0]?.name === address[0])
          return relay === undefined ? Promise.reject(new Error('no such agent')) : relay.connect()
        }
        const source = createPeerSource({
          ...options,
          connect: peers.connect,
          connectAgent: agentAt,
        })
        const { passes, end } = await read(source, relays)
        for (const name of ['a', 'b']) peers.add(name)
        let moves = 0
        for (const { do: what, node: index, count } of steps) {
          const relay = relays[index]
          const node = relay?.nodes[0]
          if (relay === undefined || node === undefined) continue
          if (what === 'write') node.write(count)
          else if (what === 'pass') await passes(count * 50)
          else if (what === 'away') relay.isUp = !relay.isUp
          else if (what === 'move') peers.add(node.name, `${node.name}-${++moves}`)
          else peers.delete(node.name)
        }
        for (const relay of relays) {
          relay.isUp = true
          const [node] = relay.nodes
          if (node !== undefined) peers.add(node.name, `${node.name}-end`)
          node?.write(2)
        }
        await passes(30_000)
        expect(await end()).toEqual(ONCE)
      },
    )
    await fc.assert(property, { numRuns: 40 })
  }, 60_000)

  it('an agent that fails in two ways in turn was told of each time', async () => {
    const peers = new SimulatedPeers()
    peers.add('a')
    const dead: HubbleClient = {
      openFlows: async () => ({ code: 14, details: 'no answer within 10000 ms' }),
      serverStatus: async () => ({ code: 4, details: '' }),
      nodes: async () => ({ code: 4, details: '' }),
      followPeers: async () => ({ code: 12, details: '' }),
      close: () => {},
    }
    const connectAgent = async () => dead
    const source = createPeerSource({ ...options, connect: peers.connect, connectAgent })
    const { passes, end, notices } = await read(source, [])
    await passes(60_000)
    await end()
    expect(notices.filter(({ kind }) => kind === 'nodes')).toHaveLength(2)
  })
})
