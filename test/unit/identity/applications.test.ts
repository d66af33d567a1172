import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Catalogue } from '../../../src/identity/catalogue.ts'
import type { KubernetesObject } from '../../../src/identity/kubernetes-object.ts'
import type { Api, ClientApplication } from '../../../src/model/api.ts'
import { catalogueOf, object } from './objects.ts'

type Fields = Readonly<Record<string, unknown>>

const API: Api = {
  name: 'orders',
  version: '1.0.0',
  context: '/orders/1.0.0',
  type: 'REST',
  organization: 'acme',
  environment: 'production',
  namespace: 'shop',
  id: 'shop/orders',
}

function application(
  name: string,
  keys: readonly (readonly [appId: string, keyType: string])[],
  spec: Fields = {},
  metadata: Fields = {},
): KubernetesObject {
  const environments = keys.map(([appId, keyType]) => ({ envId: 'Default', appId, keyType }))
  const whole = { name: `${name} app`, owner: 'ann', organization: 'acme' }
  const securitySchemes = { oauth2: { environments } }
  const fields = { spec: { ...whole, securitySchemes, ...spec } }
  return object('cp.wso2.com/v1alpha2', 'Application', name, fields, metadata)
}

function subscription(name: string, version: string, spec: Fields = {}): KubernetesObject {
  return object('cp.wso2.com/v1alpha3', 'Subscription', name, {
    spec: {
      organization: 'acme',
      subscriptionStatus: 'ACTIVE',
      api: { name: 'orders', version },
      ratelimitRef: { name: 'gold', level: 'application' },
      ...spec,
    },
  })
}

function mapping(applicationRef: string, subscriptionRef: string): KubernetesObject {
  const spec = { applicationRef, subscriptionRef }
  const name = `${applicationRef}-${subscriptionRef}`
  return object('cp.wso2.com/v1alpha2', 'ApplicationMapping', name, { spec })
}

function found(
  catalogue: Catalogue,
  api: Api | null = API,
  ids: readonly string[] = ['id-1'],
): ClientApplication | undefined {
  const hashed = catalogue.applications.hashed((id) => `hash of ${id}`)
  return hashed.find(
    ids.map((id) => `hash of ${id}`),
    api,
  )
}

const web = application('web', [['id-1', 'PRODUCTION']])
const reasonsOf = ({ problems }: Catalogue): string[] =>
  problems.map((problem) => `${problem.object}: ${problem.reason}`)

describe('the application of a client id', () => {
  it('is found by its hash only', () => {
    const { applications } = catalogueOf(web)
    expect(applications.hashed((id) => `hash of ${id}`).find(['id-1'], API)).toBeUndefined()
    expect(found(catalogueOf(web))).toEqual({
      name: 'web app',
      owner: 'ann',
      organization: 'acme',
      keyType: 'PRODUCTION',
    })
  })

  it('is the same object each time', () => {
    const catalogue = catalogueOf(web, subscription('s', '1.0.0'), mapping('web', 's'))
    expect(found(catalogue)).toBe(found(catalogue))
    expect(found(catalogue, null)).toBe(found(catalogue, null))
  })

  it('is that of the first header which is a client id', () => {
    const other = application('other', [['id-2', 'SANDBOX']])
    const catalogue = catalogueOf(web, other)
    expect(found(catalogue, API, ['x', 'id-2', 'id-1'])?.name).toBe('other app')
    expect(found(catalogue, API, ['x'])).toBeUndefined()
  })

  it('is what little its declaration says', () => {
    const environments = [{ appId: 'id-1' }, { appId: 7 }, {}, 'x', null]
    const spec = { securitySchemes: { oauth2: { environments } } }
    const bare = object('cp.wso2.com/v1alpha2', 'Application', 'bare', { spec })
    expect(found(catalogueOf(bare))).toEqual({
      name: 'bare',
      owner: '',
      organization: 'shop',
      keyType: '',
    })
  })

  it('is cut where it is endless', () => {
    const long = application('web', [['id-1', 'PRODUCTION']], { owner: 'o'.repeat(9_999) })
    expect(found(catalogueOf(long))?.owner).toHaveLength(256)
  })

  const sandbox = { ...API, environment: 'sandbox' }
  it.each([
    { why: "the side of the API's environment", api: API, keyType: 'PRODUCTION' },
    { why: 'the other side in a sandbox', api: sandbox, keyType: 'SANDBOX' },
    { why: 'not said where the API is not known', api: null, keyType: '' },
  ])('has a key type: $why', ({ api, keyType }) => {
    const both = application('web', [
      ['id-1', 'PRODUCTION'],
      ['id-1', 'SANDBOX'],
    ])
    expect(found(catalogueOf(both), api)?.keyType).toBe(keyType)
  })

  it('has the key type of its only key, whatever the API is', () => {
    expect(found(catalogueOf(web), sandbox)?.keyType).toBe('PRODUCTION')
  })

  it("is that of the API's organization, where several have the id", () => {
    const theirs = application('theirs', [['id-1', 'PRODUCTION']], { organization: 'umbrella' })
    const catalogue = catalogueOf(web, theirs)
    expect(found(catalogue)?.name).toBe('web app')
    expect(found(catalogue, { ...API, organization: 'umbrella' })?.name).toBe('theirs app')
    expect(found(catalogue, { ...API, organization: 'other' })).toBeUndefined()
    expect(found(catalogue, null)).toBeUndefined()
    expect(catalogue.problems).toEqual([])
  })

  it('is nobody where two of one organization have the id, and the id is told nowhere', () => {
    const catalogue = catalogueOf(web, application('twin', [['id-1', 'PRODUCTION']]))
    expect(found(catalogue)).toBeUndefined()
    expect(reasonsOf(catalogue)).toEqual([
      'Application shop/twin: Application shop/web has the same client id: it names neither of them',
    ])
  })
})

describe('the subscription to the API of a call', () => {
  it('says its tier and its state', () => {
    const catalogue = catalogueOf(web, subscription('s', '1.0.0'), mapping('web', 's'))
    expect(found(catalogue)?.subscription).toEqual({ name: 's', status: 'ACTIVE', tier: 'gold' })
    expect(catalogue.problems).toEqual([])
    expect(catalogue.ignoredKinds).toEqual(new Map())
  })

  it('has no tier before v1alpha3', () => {
    const old = subscription('s', '1.0.0', { ratelimitRef: undefined })
    const catalogue = catalogueOf(web, old, mapping('web', 's'))
    expect(found(catalogue)?.subscription?.tier).toBe('')
  })

  it.each([
    { version: '1.0.0', called: '1.0.0', fits: true },
    { version: '1.0.0', called: '2.0.0', fits: false },
    { version: '1.0', called: '1.0.0', fits: true },
    { version: '1', called: '2.1.0', fits: true },
    { version: '^1\\.', called: '2.1.0', fits: false },
    { version: '.*', called: '7', fits: true },
    { version: 'v(1|2)$', called: 'v2', fits: true },
    { version: '^v(1|2)$', called: 'v21', fits: false },
    { version: '(?i)V1', called: 'v1', fits: true },
  ])('for $version is one to $called: $fits', ({ version, called, fits }) => {
    const catalogue = catalogueOf(web, subscription('s', version), mapping('web', 's'))
    const application = found(catalogue, { ...API, version: called })
    expect(application?.subscription !== undefined).toBe(fits)
  })

  it('decides on any version as the expression does', () => {
    const part = fc.constantFrom('1', '.', '0', '\\.', '[0-9]+', '(1|2)', 'v?', '.*')
    const source = fc.array(part, { minLength: 1, maxLength: 6 }).map((parts) => parts.join(''))
    const called = fc.string({ unit: fc.constantFrom('0', '1', '2', '.', 'v'), maxLength: 6 })
    fc.assert(
      fc.property(source, called, (version, name) => {
        const catalogue = catalogueOf(web, subscription('s', version), mapping('web', 's'))
        const fits = found(catalogue, { ...API, version: name })?.subscription !== undefined
        expect(fits).toBe(new RegExp(version).test(name))
      }),
    )
  })

  it.each<{ why: string; of: Fields; api: Partial<Api> }>([
    { why: 'another API', of: { api: { name: 'carts', version: '1.0.0' } }, api: {} },
    { why: 'another organization', of: { organization: 'umbrella' }, api: {} },
    { why: 'an API whose name begins so', of: {}, api: { name: 'orders-v2' } },
  ])('is not one to $why', ({ of, api }) => {
    const catalogue = catalogueOf(web, subscription('s', '1.0.0', of), mapping('web', 's'))
    expect(found(catalogue, { ...API, ...api })).not.toHaveProperty('subscription')
  })

  it('is none without a mapping, or where the API is not known', () => {
    const alone = catalogueOf(web, subscription('s', '1.0.0'))
    expect(found(alone)).not.toHaveProperty('subscription')
    const mapped = catalogueOf(web, subscription('s', '1.0.0'), mapping('web', 's'))
    expect(found(mapped, null)).not.toHaveProperty('subscription')
  })

  it('is, of several, the one that names the version as it is, else none', () => {
    const all = [subscription('wide', '.*'), subscription('wider', '1')]
    const maps = [mapping('web', 'wide'), mapping('web', 'wider'), mapping('web', 'own')]
    const catalogue = catalogueOf(web, ...all, subscription('own', '1.0.0'), ...maps)
    expect(found(catalogue)?.subscription?.name).toBe('own')
    expect(found(catalogue, { ...API, version: '1.1.0' })).not.toHaveProperty('subscription')
  })
})

describe('what is wrong with the objects', () => {
  const cases: { why: string; objects: KubernetesObject[]; reason: string | RegExp }[] = [
    {
      why: 'an expression that is none',
      objects: [subscription('s', '1.0(')],
      reason: /^Subscription shop\/s: its API version: .*missing closing/,
    },
    {
      why: 'a backreference, which no linear engine knows',
      objects: [subscription('s', '(a)\\1')],
      reason: /^Subscription shop\/s: its API version: /,
    },
    {
      why: 'a long expression',
      objects: [subscription('s', 'a'.repeat(257))],
      reason:
        'Subscription shop/s: its API version: an expression of 257 characters, more than 256',
    },
    {
      why: 'a big expression',
      objects: [subscription('s', '(1{31}){31}')],
      reason: /its API version: an expression of \d+ instructions, more than 1000$/,
    },
    {
      why: 'no version',
      objects: [subscription('s', '')],
      reason: 'Subscription shop/s: it names no API, or no version of one',
    },
    {
      why: 'no such application',
      objects: [mapping('gone', 's'), subscription('s', '1')],
      reason: 'ApplicationMapping shop/gone-s: its Application gone is not there',
    },
    {
      why: 'no such subscription',
      objects: [mapping('web', 'gone')],
      reason: 'ApplicationMapping shop/web-gone: its Subscription gone is not there',
    },
  ]
  it.each(cases)('is told: $why', ({ objects, reason }) => {
    const catalogue = catalogueOf(web, ...objects)
    const [first = '', ...others] = reasonsOf(catalogue)
    if (typeof reason === 'string') expect(first).toBe(reason)
    else expect(first).toMatch(reason)
    expect(others).toEqual([])
    expect(found(catalogue)?.name).toBe('web app')
  })

  it('costs the subscription, and tells it once, where its mapping is right', () => {
    const catalogue = catalogueOf(web, subscription('s', '1.0('), mapping('web', 's'))
    expect(found(catalogue)).not.toHaveProperty('subscription')
    expect(catalogue.problems).toHaveLength(1)
  })

  it('is bounded: more subscriptions to one API than anybody needs are left out', () => {
    const names = Array.from({ length: 21 }, (_, n) => `s${n}`)
    const subscriptions = names.map((name, n) => subscription(name, `^${n}$`))
    const maps = names.map((name) => mapping('web', name))
    const catalogue = catalogueOf(web, ...subscriptions, ...maps)
    expect(found(catalogue, { ...API, version: '19' })?.subscription?.name).toBe('s19')
    expect(found(catalogue, { ...API, version: '20' })).not.toHaveProperty('subscription')
    expect(reasonsOf(catalogue)).toEqual([expect.stringContaining('more than 20 subscriptions')])
  })

  it('stays in its namespace', () => {
    const elsewhere = application('web', [['id-1', 'PRODUCTION']], {}, { namespace: 'other' })
    const catalogue = catalogueOf(elsewhere, subscription('s', '1.0.0'), mapping('web', 's'))
    expect(found(catalogue)).not.toHaveProperty('subscription')
    expect(reasonsOf(catalogue)).toEqual([
      'ApplicationMapping shop/web-s: its Application web is not there',
    ])
  })
})
