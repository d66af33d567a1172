import { clientKeyOf } from '../model/api.ts'
import type { ApiCall } from '../model/api-call.ts'
import type { Endpoint } from '../model/endpoint.ts'
import { type Report, reportersOf } from '../model/exchange.ts'
import { traceParentOf } from '../model/trace-parent.ts'
import type { Encoded } from '../pipeline/contract.ts'
import { type EventTarget, encodeEvent, rfc3339Of } from './cloud-event.ts'
import { apiData, clientData, operationData, unlessEmpty } from './event-parts.ts'
import type { CallData, EndpointData } from './schema.ts'

/** Encodes CALL of the public face. Deterministic; keyed by client; told again, it has the same id. */
export function encodeCall(target: EventTarget, call: ApiCall): Encoded {
  const { exchange } = call
  const data = callData(call)
  return encodeEvent(target, {
    kind: 'call',
    id: exchange.id,
    time: data.time,
    key: clientKeyOf(call.client),
    traceParent: data.trace_id === undefined ? '' : exchange.traceParent,
    data,
  })
}

function callData(call: ApiCall): CallData {
  const { exchange } = call
  const { report } = exchange
  const several = call.candidates.length > 1 || call.more > 0
  return {
    id: exchange.id,
    time: rfc3339Of(report.seenMs),
    duration_ms: report.durationMs < 0 ? undefined : toMicroseconds(report.durationMs),
    estimated: report.estimated,
    outcome: call.outcome,
    api: call.api === null ? null : apiData(call.api),
    operation: call.operation === null ? null : operationData(call.operation),
    confidence: call.confidence,
    how: call.how,
    candidates: several ? call.candidates.map(apiData) : undefined,
    more: call.more > 0 ? call.more : undefined,
    client: clientData(call.client),
    source: sourceData(report),
    destination: destinationData(report),
    via: call.via,
    method: unlessEmpty(exchange.method),
    path: unlessEmpty(exchange.path),
    host: unlessEmpty(withoutUserInfo(exchange.host)),
    protocol: unlessEmpty(exchange.protocol),
    status: report.status > 0 ? report.status : undefined,
    limited_by: call.limitedBy,
    would_limit: call.wouldLimit ? true : undefined,
    attempts: exchange.attempts,
    reporters: [...reportersOf(exchange)],
    node: unlessEmpty(report.node),
    request_id: unlessEmpty(exchange.requestId),
    trace_id: traceParentOf(exchange.traceParent)?.traceId,
    revises: exchange.revises ? true : undefined,
  }
}

function sourceData(report: Report): EndpointData {
  return {
    ...workloadData(report.source),
    ip: unlessEmpty(report.sourceIp),
    port: report.sourcePort > 0 ? report.sourcePort : undefined,
  }
}

function destinationData(report: Report): EndpointData {
  const { destinationNames } = report
  return {
    ...workloadData(report.destination),
    ip: unlessEmpty(report.destinationIp),
    port: report.destinationPort > 0 ? report.destinationPort : undefined,
    service: unlessEmpty(report.destinationService),
    names: destinationNames.length > 0 ? [...destinationNames] : undefined,
  }
}

function workloadData(end: Endpoint): EndpointData {
  return {
    namespace: unlessEmpty(end.namespace),
    pod: unlessEmpty(end.pod),
    workload: unlessEmpty(end.workload),
    workload_kind: unlessEmpty(end.workloadKind),
    reserved: unlessEmpty(end.reserved),
  }
}

function toMicroseconds(ms: number): number {
  return Math.round(ms * 1_000) / 1_000
}

/** An authority may carry `user:password@`. */
function withoutUserInfo(host: string): string {
  return host.slice(host.lastIndexOf('@') + 1)
}
