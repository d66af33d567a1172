import { PassThrough } from 'node:stream'
import { createTrafficMetrics } from '../src/app/traffic-metrics.ts'
import { loadConfig } from '../src/config/load.ts'
import { createExchangeStage, EXCHANGE_OUTCOMES } from '../src/exchange/exchange-stage.ts'
import { identityHash } from '../src/exchange/identity-hash.ts'
import { LiveReader } from '../src/hubble/live-reader.ts'
import { NodeBook } from '../src/hubble/node-book.ts'
import type { OnMessage } from '../src/hubble/transport/transport.ts'
import { WireView } from '../src/hubble/wire/wire-view.ts'
import { Catalogue } from '../src/identity/catalogue.ts'
import { ClientNamer } from '../src/identity/client.ts'
import { createIdentityStage, IDENTITY_OUTCOMES } from '../src/identity/identity-stage.ts'
import { EndpointTable } from '../src/model/endpoint.ts'
import { FlowKind } from '../src/model/flow-view.ts'
import { NO_LIMITS } from '../src/model/limit.ts'
import { Ledger } from '../src/pipeline/ledger.ts'
import { Pipeline } from '../src/pipeline/pipeline.ts'
import { createLogger } from '../src/telemetry/logger.ts'
import { Telemetry } from '../src/telemetry/telemetry.ts'

/** Decodes each message, and reads of it what the stages behind would ask for. */
export function decodeOnly(): OnMessage {
  const view = new WireView(new EndpointTable(), 'default')
  let sum = 0
  return (bytes, start, end) => {
    sum += view.move(bytes, start, end)
    sum += view.nodeName().length + view.source.id + view.destination.id + view.verdict
    if (view.kind === FlowKind.http) {
      sum += view.httpMethod().length + view.httpUrl().length
      sum += view.sourceIp().length + view.destinationIp().length
      sum += view.httpHeader('x-request-id').length
    }
    // Never so: it keeps what was read from being optimised away.
    if (sum < 0) throw new Error('Cannot be')
    return undefined
  }
}

/** Everything that a flow goes through in Weir up to its metrics: doubles, pairs, names, counts. */
export function wholePipeline(): OnMessage {
  const { config } = loadConfig({ file: undefined, environment: {}, overrides: {} })
  const endpoints = new EndpointTable()
  const telemetry = new Telemetry({
    log: createLogger('silent', new PassThrough()),
    version: 'bench',
    nodeVersion: 'bench',
    configHash: 'bench',
    now: Date.now,
  })
  const traffic = createTrafficMetrics(config, telemetry, endpoints)
  const nothing = new Catalogue([])
  const pipeline = new Pipeline({
    ledger: new Ledger(),
    exchange: createExchangeStage({
      unansweredAfterMs: 30_000,
      mergeWindowMs: 1_000,
      pendingMax: 200_000,
      identityHeaders: [],
    }),
    exchangeOutcomes: EXCHANGE_OUTCOMES,
    identity: createIdentityStage({
      catalogue: () => nothing,
      limits: () => NO_LIMITS,
      clients: new ClientNamer({}),
      hashIdentity: identityHash,
    }),
    identityOutcomes: IDENTITY_OUTCOMES,
    flowSinks: [traffic.network],
    callSinks: [traffic.api],
    ready: () => undefined,
    onNotice: (source, notice) => telemetry.sourceNotice(source, notice),
  })
  setInterval(() => pipeline.advance(Date.now()), 250).unref()
  const port = pipeline.port('bench', false, (view) => telemetry.flowReceived('bench', view, true))
  const reader = new LiveReader(
    { view: new WireView(endpoints, 'default'), book: new NodeBook(0), now: Date.now },
    { kind: 'follow', fromMs: 0, onGap: () => {} },
  )
  return (bytes, start, end) => {
    reader.read(bytes, start, end, port)
    return undefined
  }
}
