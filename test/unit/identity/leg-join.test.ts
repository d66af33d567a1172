import { describe, expect, it } from 'vitest'
import { Catalogue } from '../../../src/identity/catalogue.ts'
import { ClientNamer } from '../../../src/identity/client.ts'
import { createIdentityStage, type IdentityOptions } from '../../../src/identity/identity-stage.ts'
import type { ApiCall } from '../../../src/model/api-call.ts'
import type { ApiClaim } from '../../../src/model/exchange.ts'
import { NO_LIMITS } from '../../../src/model/limit.ts'
import { apiCr, backend, httpRoute, rule, service } from './objects.ts'
import { endpoint, exchange } from './records.ts'

const modifier = (value: string) => ({
  type: 'RequestHeaderModifier',
  requestHeaderModifier: { set: [{ name: 'x-api-id', value }] },
})
const apk = (name: string, fields: object = {}) => [
  apiCr(name, { production: [{ routeRefs: [name] }] }),
  httpRoute(name, [`${name}.example.com`], [rule({ path: '/a', backend: 'both', ...fields })]),
]
const objects = [
  ...apk('one'),
  ...apk('two'),
  backend('both', 'orders.shop'),
  ...apk('far', { backend: 'far' }),
  backend('far', 'far.shop'),
  service('apk', { selector: { 'app.kubernetes.io/app': 'gateway' } }),
]
const pod = endpoint({ namespace: 'apk', pod: 'gw', labels: ['k8s:app.kubernetes.io/app=gateway'] })
const web = endpoint({ namespace: 'web', pod: 'web-1' })

/** From the client to the gateway. */
const into = (name: string, requestId: string, startMs = 1_000, durationMs = 50) =>
  exchange(
    { host: `${name}.example.com`, path: `/${name}/1.0.0/a`, requestId },
    { source: web, destination: pod, startMs, seenMs: startMs, durationMs },
  )
/** From the gateway to the backend. */
const behind = (requestId: string, startMs = 1_010, path = '/a') =>
  exchange(
    { host: 'orders.shop', path, requestId },
    { source: pod, destinationService: 'shop/orders', startMs, seenMs: startMs },
  )

function stageOf(options: Partial<IdentityOptions> = {}, of = new Catalogue(objects)) {
  const calls: ApiCall[] = []
  const stage = createIdentityStage({
    catalogue: () => of,
    limits: () => NO_LIMITS,
    clients: new ClientNamer(),
    ...options,
  })
  const emit = (call: ApiCall): void => void calls.push(call)
  return {
    stage,
    accept: (...all: ReturnType<typeof into>[]) => {
      for (const one of all) stage.accept(one, emit)
    },
    advance: (eventMs: number, wallMs = eventMs) => stage.advance(eventMs, wallMs, emit),
    shown: () =>
      calls.map(({ via, api, confidence, how }) =>
        [via, api?.name ?? '-', confidence, how].join(' '),
      ),
    calls,
  }
}

describe('a call behind a gateway', () => {
  it('is the call into it with the same id, where that came first', () => {
    const { accept, shown, stage } = stageOf()
    accept(into('one', 'r-1'), behind('r-1'))
    expect(shown()).toEqual(['client one exact host+path', 'gateway one exact request-id'])
    expect(stage.held).toBe(0)
  })
  it('waits for it where it comes later, as it does: it ends later', () => {
    const { accept, shown, stage, calls } = stageOf()
    accept(into('two', 'r-0'), behind('r-1'))
    expect(stage.held).toBe(1)
    accept(into('one', 'r-1'))
    expect(shown().slice(1)).toEqual(['client one exact host+path', 'gateway one exact request-id'])
    expect([stage.held, calls[2]?.operation?.template]).toEqual([0, '/a/{rest...}'])
  })
  it('does not wait where no call into a gateway is ever seen', () => {
    const { accept, shown } = stageOf()
    accept(behind('r-1'))
    expect(shown()).toEqual(['gateway - ambiguous service+path'])
  })
  it('goes on as it is after a while', () => {
    const { accept, advance, shown, stage } = stageOf({ joinWaitMs: 500 })
    advance(1_000)
    accept(into('two', 'r-0'), behind('r-1'))
    advance(1_400)
    expect(stage.held).toBe(1)
    advance(1_500)
    expect([stage.held, shown().at(-1)]).toEqual([0, 'gateway - ambiguous service+path'])
  })
  it('goes on at the end of the input', () => {
    const { accept, advance, shown, stage } = stageOf()
    accept(into('two', 'r-0'), behind('r-1'))
    advance(Number.POSITIVE_INFINITY)
    expect([stage.held, shown().length]).toEqual([0, 2])
  })
  it.each([
    { why: 'an id that was used for two APIs', legs: [into('one', 'r'), into('two', 'r')] },
    { why: 'an id of long ago', legs: [into('one', 'r', 1_000 - 40_000)] },
    { why: 'an id of a call that ended before', legs: [into('one', 'r', 1_010 - 5_000, 20)] },
    { why: 'another id', legs: [into('one', 'other')] },
    { why: 'no id', legs: [into('one', '')] },
    { why: 'an API that is not behind this Service', legs: [into('far', 'r')] },
  ])('is not told by $why', ({ legs }) => {
    const { accept, advance, shown } = stageOf()
    accept(...legs, behind('r'))
    advance(10_000)
    expect(shown().at(-1)).toBe('gateway - ambiguous service+path')
  })
  it('is likely what it was made to, where its path was rewritten out of sight', () => {
    const { accept, calls } = stageOf()
    accept(into('one', 'r'), behind('r', 1_010, '/elsewhere'))
    expect(calls[1]).toMatchObject({
      api: { name: 'one' },
      operation: { template: '/a/{rest...}' },
      confidence: 'high',
      how: 'request-id',
    })
  })
  it('forgets ids, and tells what it could not keep', () => {
    const { accept, advance, shown, stage } = stageOf({ waitingMax: 2 })
    accept(into('one', 'r-0'))
    accept(behind('a'), behind('b'), behind('c'))
    expect([stage.held, stage.evictions().waiting]).toEqual([2, 1])
    advance(200_000)
    accept(behind('r-0', 1_010))
    expect(shown().at(-1)).toBe('gateway - ambiguous service+path')
  })
})

describe('an identity that came with the request', () => {
  const claim = (fields: Partial<ApiClaim>): ApiClaim => ({
    id: '',
    name: '',
    version: '',
    token: null,
    ...fields,
  })
  const written = new Catalogue([
    ...apk('one', { filters: [modifier('id-1')] }),
    ...apk('two', { filters: [modifier('id-2')] }),
    backend('both', 'orders.shop'),
  ])
  const arrived = (apiClaim: ApiClaim, source = pod) =>
    exchange({ path: '/a', apiClaim }, { source, destinationService: 'shop/orders' })
  const token = { name: 'two', version: '1.0.0', context: '', sandbox: false, application: 'shop' }
  it.each([
    {
      why: 'a header that its route writes',
      of: written,
      one: arrived(claim({ id: 'id-2' })),
      is: 'gateway two exact service+path+header',
    },
    {
      why: 'the same from anybody else',
      of: written,
      one: arrived(claim({ id: 'id-2' }), web),
      is: 'direct - ambiguous service+path',
    },
    {
      why: "a gateway's token",
      of: new Catalogue(objects),
      one: arrived(claim({ token })),
      is: 'gateway two exact backend-jwt',
    },
    {
      why: "anybody's token",
      of: new Catalogue(objects),
      one: arrived(claim({ token }), web),
      is: 'direct - ambiguous service+path',
    },
    {
      why: 'a token of an API that is not there',
      of: new Catalogue(objects),
      one: arrived(claim({ token: { ...token, version: '9' } })),
      is: 'gateway - ambiguous service+path',
    },
    {
      why: 'a token of a side that is not there',
      of: new Catalogue(objects),
      one: arrived(claim({ token: { ...token, sandbox: true } })),
      is: 'gateway - ambiguous service+path',
    },
  ])('counts, or not: $why', ({ of, one, is }) => {
    const { accept, shown } = stageOf({}, of)
    accept(one)
    expect(shown()).toEqual([is])
  })
  it("names the client by the token's application", () => {
    const { accept, calls } = stageOf()
    accept(arrived(claim({ token })))
    expect(calls[0]?.client).toMatchObject({ kind: 'application', value: 'shop' })
  })
})

it('asks for the catalogue of the time of the flow, and lets others have the last word', () => {
  const asked: number[] = []
  const { accept, calls } = stageOf({
    catalogue: (timeMs) => {
      asked.push(timeMs)
      return new Catalogue([])
    },
    complete: (resolution) => ({ ...resolution, how: `${resolution.how}+learned` }),
  })
  accept(behind('', 4_200))
  expect([[...new Set(asked)], calls[0]?.how]).toEqual([[4_200], 'no-api+learned'])
})
