import { describe, expect, it } from 'vitest'
import { flowFilter } from '../../../src/config/flow-filter.ts'
import { FILTER_TERMS } from '../../../src/hubble/filter/filter-terms.ts'
import { compileFlowFilter } from '../../../src/hubble/filter/flow-filter.ts'
import { protoType } from '../../../src/hubble/proto.ts'

const entry = flowFilter.unwrap().shape.allow.unwrap().element
const namesOf = (type: string) => protoType(type)?.value?.map(({ name }) => name) ?? []
const problemsOf = (filter: object): string[] =>
  flowFilter
    .safeParse(filter)
    .error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? []

describe('the flow filter of the configuration', () => {
  it('has the keys that the filter checks, and the names that Hubble has', () => {
    const { shape } = entry
    expect(Object.keys(shape).toSorted()).toEqual(Object.keys(FILTER_TERMS).toSorted())
    const optionsOf = (values: typeof shape.verdict | typeof shape.ip_version) =>
      values.unwrap().element.options
    expect(optionsOf(shape.verdict)).toEqual(namesOf('flow.Verdict').slice(1))
    expect(optionsOf(shape.ip_version)).toEqual(namesOf('flow.IPVersion').slice(1))
    expect(shape.traffic_direction.unwrap().element.options.toSorted()).toEqual(
      namesOf('flow.TrafficDirection').toSorted(),
    )
  })

  it('gives what compileFlowFilter() takes', () => {
    const filter = flowFilter.parse({
      allow: [
        {
          source_port: [80, '443'],
          http_status_code: [404, '5+'],
          event_type: [{ type: 129 }],
          tcp_flags: [{ SYN: true }],
          source_workload: [{ kind: 'Job' }],
          source_ip: ['10.0.0.0/8', '::1'],
        },
      ],
      fields: ['l7'],
    })
    expect(compileFlowFilter(filter ?? {}).request().whitelist).toMatchObject([
      { source_port: ['80', '443'], http_status_code: ['404', '5+'] },
    ])
  })

  it.each([
    [{ allow: [{}] }, 'allow.0: needs at least one key, or it matches every flow'],
    [{ deny: [{ verdict: [] }] }, 'deny.0.verdict: needs at least one value'],
    [{ allow: [{ source_port: [70_000] }] }, 'allow.0.source_port.0: must be a port, 0 to 65535'],
    [
      { allow: [{ source_ip: ['x'] }] },
      'allow.0.source_ip.0: must be an address or a CIDR, such as 10.0.0.0/8 or fd00::/8',
    ],
    [
      { allow: [{ http_status_code: [50] }] },
      'allow.0.http_status_code.0: must be a status such as 404, or its beginning, such as 5+ or 40+',
    ],
    [
      { allow: [{ tcp_flags: [{ SYN: false }] }] },
      'allow.0.tcp_flags.0.SYN: must be true: flags that are not set cannot be asked for',
    ],
    [
      { allow: [{ tcp_flags: [{ syn: true }] }] },
      'allow.0.tcp_flags.0: needs flags of FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, NS',
    ],
    [
      { allow: [{ http_path: ['a'], event_type: [{ type: 4 }] }] },
      'allow.0: http_* keys need type 129 in event_type: nothing else is HTTP',
    ],
    [{ allow: [{ uuid: ['x'] }] }, 'allow.0: Unrecognized key: "uuid"'],
    [{ fields: [] }, 'fields: needs at least one field'],
  ])('refuses %j', (filter, problem) => {
    expect(problemsOf(filter)).toContain(problem)
  })
})
