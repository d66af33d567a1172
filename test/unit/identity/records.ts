import {
  type Endpoint,
  type EndpointFields,
  EndpointTable,
  NO_FIELDS,
} from '../../../src/model/endpoint.ts'
import { Exchange, type ExchangeFields, type Report } from '../../../src/model/exchange.ts'
import { Direction } from '../../../src/model/flow-view.ts'

const table = new EndpointTable()

export function endpoint(fields: Partial<EndpointFields>): Endpoint {
  return table.intern({ ...NO_FIELDS, ...fields })
}

export function report(fields: Partial<Report> = {}): Report {
  return {
    direction: Direction.ingress,
    node: 'node-1',
    uuid: 'u-1',
    seenMs: 1_000,
    startMs: 1_000,
    durationMs: 5,
    estimated: false,
    status: 200,
    source: table.none,
    sourceIp: '192.0.2.1',
    sourcePort: 40_000,
    destination: table.none,
    destinationIp: '',
    destinationPort: 0,
    destinationService: '',
    destinationNames: [],
    ...fields,
  }
}

export function exchange(
  fields: Partial<Omit<ExchangeFields, 'report'>>,
  of: Partial<Report> = {},
) {
  return new Exchange({
    outcome: 'answered',
    report: report(of),
    twin: null,
    method: 'GET',
    scheme: 'http',
    host: '',
    path: '/',
    protocol: 'HTTP/1.1',
    requestId: '',
    traceParent: '',
    forwardedFor: '',
    userAgent: '',
    identityValues: [],
    weirMark: '',
    weirShadow: '',
    attempts: 1,
    revises: false,
    ...fields,
  })
}
