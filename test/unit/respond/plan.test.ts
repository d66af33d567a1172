import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import {
  canonicalJson,
  fieldAt,
  fieldOf,
  itemsOf,
  type Json,
} from '../../../src/respond/canonical-json.ts'
import { cecYaml } from '../../../src/respond/cec-yaml.ts'
import { EVERY_CALL } from '../../../src/respond/limited-operation.ts'
import { type Decision, planOf } from '../../../src/respond/plan.ts'
import { validateCec } from '../../../src/respond/validate-cec.ts'
import {
  bucketOf,
  decisionOf,
  operationOf,
  POST_ORDER_MATCH,
  SERVICE,
  wholeApi,
} from './samples.ts'

const NONCE = '5be2a91f'
const SLUG = 'get-orders-id-'

function cecOf(decisions: readonly Decision[], service = SERVICE): Json {
  const plan = planOf(service, decisions, NONCE)
  if ('refusal' in plan) throw new Error(plan.refusal)
  return plan.cec
}

function routesOf(cec: Json): unknown {
  return itemsOf(fieldAt(cec, 'spec', 'resources'))[1]
}

describe('planOf()', () => {
  it('writes the whole CEC of one enforced limit', async () => {
    const yaml = cecYaml(cecOf([decisionOf()]))
    await expect(yaml).toMatchFileSnapshot('golden/enforce.yaml')
  })

  it('writes shadow and enforce side by side, with an owner and a client-wide limit', async () => {
    const service = { ...SERVICE, uid: '3e0f6a0c-0000-4000-8000-000000000001' }
    const decisions = [
      decisionOf({ id: 'limit-2', addresses: ['10.0.0.3'], bucket: bucketOf(1, 1, '1m') }),
      decisionOf(),
      decisionOf({
        id: 'limit-3',
        operation: EVERY_CALL,
        addresses: ['10.0.0.6'],
        bucket: bucketOf(5),
      }),
      decisionOf({ id: 'limit-4', mode: 'shadow', addresses: ['2001:db8::7'] }),
    ]
    await expect(cecYaml(cecOf(decisions, service))).toMatchFileSnapshot('golden/both.yaml')
  })

  it('writes one budget for all operations of an API, beside a shadow on one of them', async () => {
    const decisions = [
      decisionOf({ operation: wholeApi(), bucket: bucketOf(5) }),
      decisionOf({ id: 'limit-2', mode: 'shadow', addresses: ['10.0.0.3'], bucket: bucketOf(2) }),
    ]
    await expect(cecYaml(cecOf(decisions))).toMatchFileSnapshot('golden/api.yaml')
  })

  it('is inert without decisions', async () => {
    const cec = cecOf([])
    expect(planOf(SERVICE, [], NONCE)).toMatchObject({ revision: null })
    expect(fieldOf(routesOf(cec), 'typed_per_filter_config')).toBeUndefined()
    await expect(cecYaml(cec)).toMatchFileSnapshot('golden/inert.yaml')
  })

  it('acting changes nothing but the RouteConfiguration and the record of decisions', () => {
    const strip = (cec: Json): string => {
      const copy = JSON.parse(JSON.stringify(cec)) as {
        metadata: { annotations: Record<string, unknown> }
        spec: { resources: Record<string, unknown>[] }
      }
      delete copy.metadata.annotations['weir.dev/decisions']
      delete copy.spec.resources[1]?.['typed_per_filter_config']
      return JSON.stringify(copy)
    }
    const acting = cecOf([decisionOf(), decisionOf({ id: 'limit-2', mode: 'shadow' })])
    expect(strip(acting)).toBe(JSON.stringify(cecOf([])))
  })

  it('numbers what it says: any other rule is another revision, the same rules are the same', () => {
    const revisionOf = (fields: Partial<Decision>): unknown => {
      return fieldOf(planOf(SERVICE, [decisionOf(fields)], NONCE), 'revision')
    }
    const base = revisionOf({})
    expect(base).toMatch(/^[0-9a-f]{8}$/)
    expect(revisionOf({ until: '2027-01-01T00:00:00.000Z', id: 'limit-9' })).toBe(base)
    expect(revisionOf({ bucket: bucketOf(11) })).not.toBe(base)
    expect(revisionOf({ addresses: ['10.0.0.9'] })).not.toBe(base)
    const other = planOf({ ...SERVICE, service: 'cart' }, [decisionOf()], NONCE)
    expect(fieldOf(other, 'revision')).not.toBe(base)
  })

  it('merges two limits on one operation and client: the stricter one wins', () => {
    const cec = cecOf([
      decisionOf({ id: 'limit-1', bucket: bucketOf(10, 1) }),
      decisionOf({ id: 'limit-2', bucket: bucketOf(3) }),
      decisionOf({ id: 'limit-3', bucket: bucketOf(10, 10) }),
    ])
    const filter = fieldAt(routesOf(cec), 'typed_per_filter_config', 'weir.local_ratelimit')
    expect(fieldOf(filter, 'descriptors')).toMatchObject([
      {
        entries: [{ value: expect.stringContaining(SLUG) }, { value: '10.0.0.2' }],
        token_bucket: { max_tokens: 3, tokens_per_fill: 3, fill_interval: '1s' },
      },
    ])
    expect(fieldOf(filter, 'rate_limits')).toHaveLength(1)
    expect(fieldAt(cec, 'metadata', 'annotations', 'weir.dev/decisions')).toMatch(
      /limit-1.*limit-2.*limit-3/,
    )
  })

  it('is the same to the byte for any order, and our validator accepts every one', () => {
    const decision = fc
      .record({
        id: fc.integer({ min: 1, max: 99 }),
        mode: fc.constantFrom('enforce' as const, 'shadow' as const),
        post: fc.boolean(),
        last: fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 3 }),
        rate: fc.double({ min: 0.02, max: 5_000, noNaN: true }),
      })
      .map(({ id, mode, post, last, rate }) =>
        decisionOf({
          id: `limit-${id}`,
          mode,
          bucket: bucketOf(rate),
          addresses: last.map((n) => `10.0.0.${n}`),
          ...(post
            ? {
                operation: operationOf({
                  operation: { method: 'POST', template: '/orders' },
                  matches: [POST_ORDER_MATCH],
                }),
              }
            : {}),
        }),
      )
    const decisions = fc.uniqueArray(decision, { selector: ({ id }) => id, maxLength: 6 })
    const property = fc.property(decisions, fc.infiniteStream(fc.nat()), (list, random) => {
      const shuffled = list
        .map((item) => ({ item, at: random.next().value ?? 0 }))
        .toSorted((a, b) => a.at - b.at)
        .map(({ item }) => item)
      const text = cecYaml(cecOf(list))
      expect(cecYaml(cecOf(shuffled))).toBe(text)
      expect(validateCec(parse(text))).toEqual([])
    })
    fc.assert(property, { numRuns: 50 })
  })

  it.each([
    {
      why: 'too many clients',
      decisions: Array.from({ length: 51 }, (_, i) =>
        decisionOf({
          id: `limit-${i}`,
          addresses: Array.from({ length: 20 }, (_, j) => `10.1.${i}.${j + 1}`),
        }),
      ),
      says: /1020 descriptors/,
    },
    {
      why: 'more than a file that can be applied',
      decisions: Array.from({ length: 49 }, (_, i) =>
        decisionOf({
          id: `limit-${i}`,
          operation: operationOf({
            operation: { method: 'GET', template: `/a/longer/template/of/some/thing/${i}` },
          }),
          addresses: Array.from({ length: 20 }, (_, j) => `2001:db8:1:2:3:4:${i + 1}:${j + 1}`),
        }),
      ),
      says: /^the CEC would have \d+ bytes, below 204800 are allowed$/,
    },
    {
      why: 'too many operations',
      decisions: Array.from({ length: 51 }, (_, i) =>
        decisionOf({
          id: `limit-${i}`,
          operation: operationOf({ operation: { method: 'GET', template: `/${i}` } }),
        }),
      ),
      says: /51 rate_limits entries/,
    },
  ])('refuses $why', ({ decisions, says }) => {
    expect(planOf(SERVICE, decisions, NONCE)).toEqual({ refusal: expect.stringMatching(says) })
  })
})

it('canonicalJson() sorts keys at every depth', () => {
  expect(canonicalJson({ b: [{ d: 1, c: null }], a: 'x' })).toBe('{"a":"x","b":[{"c":null,"d":1}]}')
})
