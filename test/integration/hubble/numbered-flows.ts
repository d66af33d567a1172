import { onTestFinished } from 'vitest'
import { type FlowView, L7Type } from '../../../src/model/flow-view.ts'
import { coverageRatio, type Source, type SourceNotice } from '../../../src/pipeline/contract.ts'
import type { HubbleNode } from '../../services/hubble.ts'

/** Makes flows on several nodes, numbered one after the other on each of them. */
export class Numbered {
  readonly #made = new Map<HubbleNode, number>()

  /** `n` (even) flows on each node, `rate` a second where it is given. */
  async make(nodes: readonly HubbleNode[], n: number, rate?: number): Promise<void> {
    const commands = nodes.map(async (node) => {
      const first = this.madeOn(node)
      this.#made.set(node, first + n)
      const paced = rate === undefined ? {} : { rate }
      await node.command({ do: 'generate', n, first, kind: 'http', ...paced })
    })
    await Promise.all(commands)
  }

  /** Flows made on `node` so far: numbers 0 to one less. */
  madeOn(node: HubbleNode): number {
    return this.#made.get(node) ?? 0
  }
}

/** A source that is read, and what came of it. */
export interface Reading {
  readonly notices: readonly SourceNotice[]
  /** Different flows of a node that came. */
  countOf(node: HubbleNode): number
  /** Numbers below `until` that did not come. */
  missingOf(node: HubbleNode, until: number): number[]
  /** Flows that came more than once. */
  readonly doubles: number
  /** Events that Hubble said were lost. */
  readonly lost: number
  reopenedFor(): string[]
  coverage(): number
  /** The source came to its end. */
  readonly ended: Promise<void>
  stop(): Promise<void>
}

/** Reads `source` until the test ends. */
export async function readNumbered(source: Source): Promise<Reading> {
  const came = new Map<string, Set<number>>()
  const notices: SourceNotice[] = []
  let doubles = 0
  const port = {
    flow: (view: FlowView) => {
      const number = numberOf(view)
      const numbers = came.get(view.nodeName()) ?? new Set()
      came.set(view.nodeName(), numbers)
      if (numbers.has(number)) doubles++
      numbers.add(number)
    },
    notice: (notice: SourceNotice) => void notices.push(notice),
    ready: () => undefined,
  }
  const stopping = new AbortController()
  await source.start(stopping.signal)
  const running = source.run(port, stopping.signal)
  const stop = async () => {
    stopping.abort()
    await running
    await source.stop(stopping.signal)
  }
  onTestFinished(stop)
  return {
    notices,
    stop,
    ended: running,
    countOf: ({ name }) => came.get(name)?.size ?? 0,
    missingOf: ({ name }, until) => {
      const numbers = came.get(name) ?? new Set()
      return Array.from({ length: until }, (_, number) => number).filter((n) => !numbers.has(n))
    },
    get doubles() {
      return doubles
    },
    get lost() {
      return notices.reduce((sum, n) => sum + (n.kind === 'lost' ? n.count : 0), 0)
    },
    reopenedFor: () => notices.flatMap((n) => (n.kind === 'reopened' ? [n.reason] : [])),
    coverage: () => coverageRatio(source.coverage()),
  }
}

/** The number that the test bed gave a flow of kind http: two a call, which its x-request-id tells. */
function numberOf(view: FlowView): number {
  const call = Number(view.httpHeader('x-request-id').split('-').at(-1))
  return call * 2 + (view.l7Type === L7Type.response ? 1 : 0)
}
