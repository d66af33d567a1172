import { describe, expect, it } from 'vitest'
import { createExchangeStage, EXCHANGE_OUTCOMES } from '../../../src/exchange/exchange-stage.ts'
import { ApiCall } from '../../../src/model/api-call.ts'
import type { Exchange } from '../../../src/model/exchange.ts'
import type { FlowView } from '../../../src/model/flow-view.ts'
import type { Stage } from '../../../src/pipeline/contract.ts'
import { Ledger } from '../../../src/pipeline/ledger.ts'
import { Pipeline } from '../../../src/pipeline/pipeline.ts'
import { httpRequest, httpResponse, viewer } from '../../fixtures/hubble-flows.ts'
import { PLAIN_CALL } from '../../fixtures/plain-call.ts'

const T = 1_760_000_000_000

/** Names nothing, and swallows what it is told to without a word where `leak` says so. */
function naming(leak = false): Stage<Exchange, ApiCall> {
  return {
    held: 0,
    advance: () => {},
    accept(exchange, emit) {
      if (leak) return 0
      emit(new ApiCall({ ...PLAIN_CALL, exchange, outcome: exchange.outcome }))
      return 0
    },
  }
}

function build(identity = naming()) {
  const ledger = new Ledger()
  const calls: ApiCall[] = []
  const flows: string[] = []
  const exchangeOptions = {
    unansweredAfterMs: 30_000,
    mergeWindowMs: 0,
    pendingMax: 100,
    identityHeaders: [],
  }
  const pipeline = new Pipeline({
    ledger,
    exchange: createExchangeStage(exchangeOptions),
    exchangeOutcomes: EXCHANGE_OUTCOMES,
    identity,
    identityOutcomes: ['named'],
    flowSinks: [
      {
        name: 'flows',
        outcomes: ['seen'],
        sink: { accept: (flow: FlowView) => (flows.push(flow.nodeName()), 0), advance: () => {} },
      },
    ],
    callSinks: [
      {
        name: 'calls',
        outcomes: ['kept', 'filtered:odd'],
        sink: {
          accept: (call) => (calls.push(call), call.exchange.status === 500 ? 1 : 0),
          advance: () => {},
        },
      },
    ],
    ready: () => undefined,
    onNotice: () => {},
  })
  return { pipeline, ledger, calls, flows, show: viewer() }
}

describe('Pipeline', () => {
  it('walks flows through every stage and keeps the books of each', () => {
    const { pipeline, ledger, calls, flows, show } = build()
    const port = pipeline.port('file', true)
    port.flow(show(httpRequest({ atMs: T })))
    port.flow(show(httpResponse({ atMs: T + 10, code: 500 })))
    port.flow(show(httpRequest({ atMs: T + 20, clientPort: 9 })))
    port.flow(show({ flow: { Type: 1, time: { seconds: T / 1_000, nanos: 0 } }, node_name: 'n' }))
    expect(flows).toHaveLength(4)
    expect(calls).toHaveLength(1)
    expect(ledger.accounts()).toEqual([
      { stage: 'flows', in: 4, out: 4, inFlight: 0, unaccounted: 0, ended: {} },
      {
        stage: 'exchange',
        in: 3,
        out: 1,
        inFlight: 1,
        unaccounted: 0,
        ended: expect.objectContaining({ joined: 1, 'merged:retry': 0 }),
      },
      { stage: 'identity', in: 1, out: 1, inFlight: 0, unaccounted: 0, ended: {} },
      {
        stage: 'calls',
        in: 1,
        out: 0,
        inFlight: 0,
        unaccounted: 0,
        ended: { 'filtered:odd': 1 },
      },
    ])
    pipeline.drain()
    expect(calls.map((call) => call.outcome)).toEqual(['answered', 'unanswered'])
    expect(ledger.unaccounted()).toBe(0)
  })

  it('lets a paced source carry the time: a request times out by the flows alone', () => {
    const { pipeline, calls, show } = build()
    const port = pipeline.port('file', true)
    port.flow(show(httpRequest({ atMs: T })))
    port.flow(show(httpRequest({ atMs: T + 29_000, clientPort: 2 })))
    expect(calls).toEqual([])
    port.flow(show(httpRequest({ atMs: T + 31_000, clientPort: 3 })))
    expect(calls.map((call) => call.outcome)).toEqual(['unanswered'])
  })

  it("one node's clock in the future moved the time of all flows", () => {
    const { pipeline, show } = build()
    pipeline.advance(T)
    const port = pipeline.port('relay', false)
    port.flow(show(httpRequest({ atMs: T + 20 })))
    port.flow(show(httpRequest({ atMs: T + 3_600_000, node: 'ahead' })))
    expect(pipeline.eventMs).toBe(T + 20)
  })

  it('shows a stage that loses inputs without a word', () => {
    const { pipeline, ledger, show } = build(naming(true))
    const port = pipeline.port('file', true)
    port.flow(show(httpRequest({ atMs: T })))
    port.flow(show(httpResponse({ atMs: T, code: 200 })))
    expect(ledger.unaccounted()).toBe(1)
    expect(ledger.accounts()[2]).toMatchObject({ stage: 'identity', unaccounted: 1 })
  })
})
