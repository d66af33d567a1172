import type { FlowView } from '../model/flow-view.ts'
import { UuidHash } from './wire/uuid-hash.ts'

const hash = new UuidHash()

/**
 * Stands in for the uuid that agents before 1.14 do not send: of node, time, 5-tuple, type and
 * verdict. Valid until the next call.
 */
export function fingerprintOf(flow: FlowView): { readonly high: number; readonly low: number } {
  hash.ofText(fingerprintTextOf(flow))
  return hash
}

export function fingerprintTextOf(flow: FlowView): string {
  const time = `${flow.nodeName()}|${flow.timeSeconds}|${flow.timeNanos}`
  const from = `${flow.sourceIp()}|${flow.sourcePort}`
  const to = `${flow.destinationIp()}|${flow.destinationPort}`
  return `${time}|${from}|${to}|${flow.l4Protocol}|${flow.kind}|${flow.l7Type}|${flow.verdict}`
}
