import { describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import type { LimitTarget } from '../../../src/model/api.ts'
import type { ServiceFacts } from '../../../src/respond/eligibility.ts'
import { type RenderOptions, renderFindings } from '../../../src/respond/render.ts'
import { validateCec } from '../../../src/respond/validate-cec.ts'
import { factsOf, findingOf, POST_ORDER_MATCH, serviceObject, TARGET } from './samples.ts'

function render(findings: unknown, options: Partial<RenderOptions> = {}) {
  return renderFindings(findings, {
    mode: 'enforce',
    targetsOf: () => [TARGET],
    factsOf: () => factsOf(),
    ...options,
  })
}

function documentsOf(rendered: ReturnType<typeof render>): unknown[] {
  if ('refusal' in rendered) throw new Error(rendered.refusal)
  return parseAllDocuments(rendered.documents).map((document): unknown => document.toJSON())
}

describe('renderFindings()', () => {
  it('renders a finding as it comes out of JSON, the same each time', () => {
    const finding: unknown = JSON.parse(JSON.stringify(findingOf()))
    const rendered = render(finding)
    const [cec, ...more] = documentsOf(rendered)
    expect(more).toEqual([])
    expect(validateCec(cec)).toEqual([])
    expect(render([finding])).toEqual(rendered)
    expect(cec).toMatchObject({
      metadata: {
        name: 'weir-checkout',
        namespace: 'shop',
        annotations: { 'weir.dev/decisions': expect.stringContaining('2026-01-01T00:10:00.000Z') },
      },
    })
  })

  it('puts findings that meet on one Service into one CEC, whatever their order', () => {
    const findings = [
      findingOf(),
      findingOf({
        id: 'finding-2',
        client: { kind: 'ip', value: '10.0.0.3', addresses: [] },
        operation: { method: 'POST', template: '/orders' },
      }),
    ]
    const targetsOf: RenderOptions['targetsOf'] = (_api, operation) => [
      operation?.method === 'POST' ? { ...TARGET, matches: [POST_ORDER_MATCH] } : TARGET,
    ]
    const rendered = render(findings, { targetsOf })
    expect(documentsOf(rendered)).toHaveLength(1)
    const reversed = render(findings.toReversed(), { targetsOf })
    expect(documentsOf(reversed)).toEqual(documentsOf(rendered))
  })

  it('covers every Service behind the API, as documents in the order of their names', () => {
    const targets: LimitTarget[] = [
      { ...TARGET, service: 'zoo' },
      { ...TARGET, service: 'ant' },
    ]
    const cecs = documentsOf(render(findingOf(), { targetsOf: () => targets }))
    expect(cecs).toMatchObject([
      { metadata: { name: 'weir-ant' } },
      { metadata: { name: 'weir-zoo' } },
    ])
  })

  it('only marks in mode shadow, with the nonce that it was given', () => {
    const rendered = render(findingOf(), { mode: 'shadow', nonce: '0badcafe' })
    const text = JSON.stringify(documentsOf(rendered))
    expect(text).toContain('r=0badcafe; c=')
    expect(text).not.toContain('enforce; r=')
  })

  it('warns of what manifests cannot show', () => {
    const rendered = render(findingOf(), { factsOf: () => factsOf({ namespaceLabels: undefined }) })
    expect(rendered).toMatchObject({
      warnings: expect.arrayContaining([
        expect.stringContaining('namespace shop is not visible'),
        expect.stringContaining('speaks HTTP'),
        expect.stringContaining('who calls'),
      ]),
    })
  })

  const unsuited = (facts: Partial<ServiceFacts>) => ({ factsOf: () => factsOf(facts) })
  it.each([
    ['no client', findingOf({ client: null }), {}, /no single client/],
    ['no suggestion', findingOf({ suggestion: null }), {}, /suggests no limit/],
    ['no API', findingOf({ api: null }), {}, /no API/],
    ['no operation', findingOf({ operation: null }), {}, /names none/],
    [
      'no address',
      findingOf({ client: { kind: 'workload', value: 'a/b', addresses: [] } }),
      {},
      /no address/,
    ],
    [
      'a rate of nothing',
      findingOf({ suggestion: { limit: { rate: 0, per: '1s', burst: 1, scope: 'operation' } } }),
      {},
      /is no limit/,
    ],
    ['no Service', findingOf(), { targetsOf: () => [] }, /no Service is known/],
    [
      'two ports of a Service',
      findingOf(),
      { targetsOf: () => [TARGET, { ...TARGET, port: 8080 }] },
      /several ports/,
    ],
    [
      'a Service of another type',
      findingOf(),
      unsuited({ service: serviceObject({ type: 'NodePort' }) }),
      /NodePort/,
    ],
    ['a namespace that said no', findingOf(), unsuited({ namespaceLabels: {} }), /not opted in/],
    ['its own backend', findingOf(), unsuited({ endpointAddresses: ['10.0.0.2'] }), /is a backend/],
    ['a protected client', findingOf(), { protect: ['10.0.0.0/8'] }, /never be limited/],
    [
      'one bad finding among good ones',
      [findingOf(), findingOf({ id: 'f-2', api: null })],
      {},
      /^finding f-2: .*no API/,
    ],
    ['no finding', [], {}, /Cannot read the finding/],
    ['no JSON object', 'x', {}, /Cannot read the finding/],
    ['an id that is no id', findingOf({ id: 'a\nb' }), {}, /id: /],
  ])('refuses %s', (_why, findings, options, says) => {
    expect(render(findings, options)).toEqual({ refusal: expect.stringMatching(says) })
  })
})
