import {
  type Endpoint,
  type EndpointFields,
  EndpointTable,
  NO_FIELDS,
} from '../../../src/model/endpoint.ts'
import { Exchange, type ExchangeFields, type Report } from '../../../src/model/exchange.ts'
import { PLAIN_EXCHANGE, PLAIN_REPORT } from '../../fixtures/plain-call.ts'

const table = new EndpointTable()

export function endpoint(fields: Partial<EndpointFields>): Endpoint {
  return table.intern({ ...NO_FIELDS, ...fields })
}

export function report(fields: Partial<Report> = {}): Report {
  return {
    ...PLAIN_REPORT,
    uuid: 'u-1',
    source: table.none,
    destination: table.none,
    destinationPort: 0,
    ...fields,
  }
}

export function exchange(
  fields: Partial<Omit<ExchangeFields, 'report'>>,
  of: Partial<Report> = {},
) {
  return new Exchange({ ...PLAIN_EXCHANGE, report: report(of), ...fields })
}
