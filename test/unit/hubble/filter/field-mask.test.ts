import { describe, expect, it } from 'vitest'
import { checkFieldPath, fieldMaskOf } from '../../../../src/hubble/filter/field-mask.ts'

describe('checkFieldPath()', () => {
  it.each([
    'l4',
    'l7',
    'IP',
    'IP.source',
    'IP.ipVersion',
    'source',
    'source.namespace',
    'destination.workloads',
    'event_type.sub_type',
    'trace_context.parent.trace_id',
    'is_reply',
    'egress_denied_by',
    'tunnel.vni',
    'Summary',
  ])('takes %s', (path) => {
    expect(() => checkFieldPath(path)).not.toThrow()
  })

  it.each([
    ['l7.http.url', /must be l7 as a whole: below it agents send parts of earlier flows/],
    ['l7.type', /must be l7 as a whole/],
    ['l4.TCP', /must be l4 as a whole/],
    ['tunnel.l4.UDP', /must be tunnel\.l4 as a whole/],
    ['source.workloads.name', /must be source\.workloads as a whole: it is a list/],
    ['uuid.x', /must be uuid as a whole: it is one value/],
    ['is_reply.value', /must be is_reply as a whole: it is one value/],
    ['time.seconds', /must be time as a whole/],
    ['verdcit', /a flow has no field "verdcit" \(did you mean verdict\?\)/],
    ['ip', /did you mean IP\?/],
    ['sourceService', /did you mean source_service\?/],
    ['source.pod', /source has no field "pod" \(did you mean pod_name\?\)/],
    ['source.xyz', /known: ID, identity, namespace/],
    ['', /a flow has no field ""/],
    ['source.', /source has no field ""/],
    ['source..namespace', /source has no field ""/],
    ['*', /a flow has no field "\*"/],
  ])('refuses %s', (path, reason) => {
    expect(() => checkFieldPath(path)).toThrow(reason)
  })
})

describe('fieldMaskOf()', () => {
  it('always has what tells a flow from another', () => {
    expect(fieldMaskOf(['l7'])).toEqual(['time', 'uuid', 'node_name', 'Type', 'l7'])
  })

  it('names nothing twice, and nothing below what it names', () => {
    const mask = fieldMaskOf(['source.namespace', 'IP.source', 'source', 'uuid', 'IP.source'])
    expect(mask).toEqual(['time', 'uuid', 'node_name', 'Type', 'IP.source', 'source'])
  })
})
