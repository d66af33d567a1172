import { describe, expect, it } from 'vitest'
import type { HubbleClient, NodeFacts, ServerStatus } from '../../../src/hubble/channel.ts'
import { NodeBook } from '../../../src/hubble/node-book.ts'
import { RelayWatch, type RelayWatchOptions } from '../../../src/hubble/relay-watch.ts'
import type { CallEnd } from '../../../src/hubble/transport/transport.ts'
import type { SourceNotice } from '../../../src/pipeline/contract.ts'

const T = 1_760_000_000_000
const TIMEOUT: CallEnd = { code: 4, details: '' }
const WELL: ServerStatus = {
  connected: 1,
  unavailable: 0,
  version: 'hubble-relay 1.20.2+g1',
  seenFlows: 0,
  uptimeNs: 0,
  ringMax: 4_095,
}
const NODE: NodeFacts = {
  name: 'a',
  address: '10.0.0.1:4244',
  uptimeNs: 1e9,
  seenFlows: 100,
  ringMax: 4_095,
}

interface Answer {
  readonly status?: ServerStatus | CallEnd
  readonly nodes?: readonly NodeFacts[] | CallEnd
  /** What happens before it is given. */
  readonly before?: (book: NodeBook, nowMs: number) => void
}

/**
 * Asks a server that gives these answers, ten seconds apart; the last one ends it. Between two answers
 * `handed` flows come.
 */
async function watch(
  answers: readonly Answer[],
  { handed = 0, ...options }: Partial<Omit<RelayWatchOptions, 'handed'>> & { handed?: number } = {},
) {
  const book = new NodeBook(T)
  const stop = new AbortController()
  const notices: SourceNotice[] = []
  const blind: string[] = []
  let hung = 0
  let nowMs = T
  let flows = 0
  let at = -1
  const client: HubbleClient = {
    openFlows: async () => TIMEOUT,
    followPeers: async () => TIMEOUT,
    close: () => {},
    serverStatus: async () => {
      at++
      nowMs += 10_000
      answers[at]?.before?.(book, nowMs)
      flows += handed
      if (at >= answers.length) stop.abort()
      return answers[at]?.status ?? WELL
    },
    nodes: async () => answers[at]?.nodes ?? [],
  }
  const relayWatch = new RelayWatch({
    client: () => client,
    book,
    isWhole: true,
    everyMs: 0,
    now: () => nowMs,
    handed: () => flows,
    isStreamDown: () => false,
    onBlind: (reason) => blind.push(reason),
    onHung: () => hung++,
    ...options,
  })
  const port = {
    flow: () => {},
    notice: (notice: SourceNotice) => void notices.push(notice),
    ready: () => undefined,
  }
  await relayWatch.run(port, stop.signal)
  return { book, notices, blind, hung }
}

/** Every second round asks the nodes. */
const rounds = (...nodes: (readonly NodeFacts[])[]): Answer[] =>
  nodes.flatMap((facts) => [{ nodes: facts }, {}])

const hears = (book: NodeBook, nowMs: number) => {
  book.node('a', nowMs).heardMs = nowMs
}

describe('a stream that is blind to a node', () => {
  it('is found by what the node counts while nothing of it comes', async () => {
    const seen = (seenFlows: number, uptime: number) => [{ ...NODE, seenFlows, uptimeNs: uptime }]
    const { blind } = await watch(rounds(seen(100, 1), seen(150, 2), seen(200, 3)))
    expect(blind).toEqual(['blind_node'])
  })

  it.each([
    { why: 'of whose flows some come', hear: hears, counts: [100, 150, 200] },
    { why: 'that counts one more, which cannot be read yet', counts: [100, 101, 102] },
    { why: 'that started anew', counts: [100, 50, 20] },
    { why: 'of a stream that asks for some of its flows only', isWhole: false, counts: [1, 9, 99] },
  ])('is not seen in a node $why', async ({ counts, hear, isWhole = true }) => {
    const answers = rounds(
      ...counts.map((seenFlows, i) => [{ ...NODE, seenFlows, uptimeNs: i + 1 }]),
    )
    const heard = answers.map((a) => (hear === undefined ? a : { ...a, before: hear }))
    expect((await watch(heard, { isWhole })).blind).toEqual([])
  })

  it('is not opened again and again where that does not help', async () => {
    const nodes = Array.from({ length: 7 }, (_, i) => [
      { ...NODE, seenFlows: 100 * i, uptimeNs: i + 1 },
    ])
    // Twenty seconds a round: the third finds it, and a minute later the sixth does.
    expect((await watch(rounds(...nodes))).blind).toEqual(['blind_node', 'blind_node'])
  })

  it('is found at once where a node changed its address', async () => {
    const moved = { ...NODE, address: '10.0.0.9:4244' }
    expect((await watch(rounds([NODE], [moved], [moved]))).blind).toEqual(['address_changed'])
  })

  it.each([
    { version: 'hubble-relay v1.14.9', blind: ['new_node'] },
    { version: 'hubble-relay 1.20.2+g1', blind: [] },
    { version: 'hubble-relay', blind: [] },
  ])('does not get nodes that join later from $version: $blind', async ({ version, blind }) => {
    const answers = rounds([NODE], [NODE, { ...NODE, name: 'b' }]).map((answer) => ({
      ...answer,
      status: { ...WELL, version },
    }))
    expect((await watch(answers)).blind).toEqual(blind)
  })
})

it('looks at no more nodes than a cluster has, however many Relay tells', async () => {
  const many = Array.from({ length: 12_000 }, (_, i) => ({ ...NODE, name: `node-${i}` }))
  const { book } = await watch(rounds(many, many))
  expect([book.size, book.evicted]).toEqual([10_000, 0])
})

describe('a server that hangs', () => {
  it('is given up after two timeouts in which nothing came', async () => {
    expect((await watch([{}, { status: TIMEOUT }, { status: TIMEOUT }])).hung).toBe(1)
  })

  it('is kept while flows come, and the node that fell silent is named', async () => {
    const spoke = (book: NodeBook, nowMs: number) => {
      const node = book.node('a', nowMs)
      node.heardMs = nowMs
      for (let i = 0; i < 100; i++) node.coverage.received()
    }
    const answers = [{ before: spoke }, { status: TIMEOUT }, { status: TIMEOUT }]
    const { hung, notices, book } = await watch(answers, { handed: 10 })
    expect(hung).toBe(0)
    const silent = notices.filter((n) => n.kind === 'nodes')
    expect(silent).toMatchObject([{ state: 'silent', names: ['a'], count: 1 }])
    expect(book.coverage()[0]?.missed).toBeGreaterThan(0)
  })
})

describe('coverage', () => {
  it('of a node that hangs was whole again two minutes later', async () => {
    const speaks = (book: NodeBook, nowMs: number) => {
      const node = book.node('a', nowMs)
      node.heardMs = nowMs
      for (let i = 0; i < 1_000; i++) node.coverage.received()
    }
    const hung = Array.from({ length: 30 }, () => ({ status: TIMEOUT }))
    const answers = [{ before: speaks }, { before: speaks }, ...hung]
    const { book } = await watch(answers, { handed: 10 })
    expect(book.coverage()[0]).toMatchObject({ node: 'a', received: 0 })
    expect(book.coverage()[0]?.missed).toBeGreaterThan(1_000)
  })

  it('falls while the server is away', async () => {
    const spoke = (book: NodeBook, nowMs: number) => {
      for (let i = 0; i < 100; i++) book.node('a', nowMs).coverage.received()
    }
    const gone = { status: { code: 14, details: 'no connection' } }
    const { book, notices } = await watch([{ before: spoke }, {}, gone, gone])
    expect(book.coverage()[0]?.missed).toBeGreaterThan(0)
    expect(notices.at(-1)).toMatchObject({
      kind: 'interrupted',
      reason: 'status 14: no connection',
    })
  })

  it('of an agent that is asked directly goes by its own status', async () => {
    const spoke = (book: NodeBook, nowMs: number) => {
      for (let i = 0; i < 10; i++) book.node('n', nowMs).coverage.received()
    }
    const at = (seenFlows: number, uptimeNs: number) => ({ ...WELL, seenFlows, uptimeNs })
    const { book } = await watch(
      [{ status: at(0, 1) }, { before: spoke }, { status: at(30, 2) }, {}, { status: at(30, 3) }],
      { agent: 'n' },
    )
    expect(book.coverage()).toEqual([{ node: 'n', received: 10, missed: 20, heardMs: 0 }])
  })
})
