import { createExchangeStage, EXCHANGE_OUTCOMES } from '../src/exchange/exchange-stage.ts'
import { identityHash } from '../src/exchange/identity-hash.ts'
import type { FlowsMessage } from '../src/hubble/flow-message.ts'
import { observerService } from '../src/hubble/proto.ts'
import { Receiver } from '../src/hubble/receiver.ts'
import { Catalogue } from '../src/identity/catalogue.ts'
import { ClientNamer } from '../src/identity/client.ts'
import { createIdentityStage, IDENTITY_OUTCOMES } from '../src/identity/identity-stage.ts'
import { EndpointTable } from '../src/model/endpoint.ts'
import { NO_LIMITS } from '../src/model/limit.ts'
import { Ledger } from '../src/pipeline/ledger.ts'
import { Pipeline } from '../src/pipeline/pipeline.ts'
import { httpRequest, httpResponse } from '../test/fixtures/hubble-flows.ts'

/** One thing that is measured: does its work on all messages, and returns something of it. */
export interface Variant {
  readonly name: string
  readonly run: () => number
}

const CALLS = 5_000
const T = 1_760_000_000_000
const definition = observerService()['GetFlows']
const NOTHING = new Catalogue([])

/** The bytes of REQUEST and RESPONSE of each call, about 350 bytes each, as a Relay sends them. */
export const messages: readonly Buffer[] = Array.from({ length: CALLS }, (_, n) => {
  const flow = {
    atMs: T + n,
    uuid: `request-${n}`,
    clientPort: 1_024 + n,
    url: `http://orders.shop:8080/orders/${n}`,
    headers: { 'X-Request-Id': `id-${n}` },
  }
  const answer = { ...flow, atMs: T + n + 3, uuid: `response-${n}`, code: 200, latencyMs: 3 }
  return [httpRequest(flow), httpResponse(answer)]
})
  .flat()
  .map((message) => definition?.responseSerialize(message) ?? Buffer.alloc(0))

const decode = (bytes: Buffer) => definition?.responseDeserialize(bytes) as FlowsMessage

/** Each does what the one before it does, and one stage more. The first is what the others are told against. */
export const VARIANTS: readonly Variant[] = [
  {
    name: 'decode',
    run: () => messages.reduce((sum, bytes) => sum + (decode(bytes).flow?.uuid?.length ?? 0), 0),
  },
  {
    name: '+ doubles, view',
    run: () => {
      let flows = 0
      const receiver = new Receiver(new EndpointTable())
      const port = { flow: () => void flows++, notice: () => {}, ready: () => undefined }
      for (const bytes of messages) receiver.receive(decode(bytes), port, false)
      return flows
    },
  },
  {
    name: '+ exchange, identity',
    run: () => {
      const { receiver, pipeline, ledger } = build()
      const port = pipeline.port('bench', true)
      for (const bytes of messages) receiver.receive(decode(bytes), port, false)
      pipeline.drain()
      return ledger.accounts().at(-1)?.out ?? 0
    },
  },
]

function build() {
  const ledger = new Ledger()
  const pipeline = new Pipeline({
    ledger,
    exchange: createExchangeStage({
      unansweredAfterMs: 30_000,
      mergeWindowMs: 1_000,
      pendingMax: 100_000,
      identityHeaders: [],
    }),
    exchangeOutcomes: EXCHANGE_OUTCOMES,
    identity: createIdentityStage({
      catalogue: () => NOTHING,
      limits: () => NO_LIMITS,
      clients: new ClientNamer({}),
      hashIdentity: identityHash,
    }),
    identityOutcomes: IDENTITY_OUTCOMES,
    flowSinks: [],
    callSinks: [],
    ready: () => undefined,
    onNotice: () => {},
  })
  return { receiver: new Receiver(new EndpointTable()), pipeline, ledger }
}
