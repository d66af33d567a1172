import { describe, expect, it } from 'vitest'
import { Catalogue } from '../../../src/identity/catalogue.ts'
import { ClientNamer } from '../../../src/identity/client.ts'
import { createIdentityStage } from '../../../src/identity/identity-stage.ts'
import type { ApiCall } from '../../../src/model/api-call.ts'
import type { EndpointFields } from '../../../src/model/endpoint.ts'
import type { Exchange, Report } from '../../../src/model/exchange.ts'
import { Direction } from '../../../src/model/flow-view.ts'
import { NO_LIMITS } from '../../../src/model/limit.ts'
import { endpointSlice, httpRoute, object, ordersApi, rule, service } from './objects.ts'
import { endpoint, exchange, report } from './records.ts'

const objects = [
  ...ordersApi([
    { path: '/orders/([^/]+)', type: 'RegularExpression', method: 'GET', full: '/v2/orders/\\1' },
    { path: '/', prefix: '/v2' },
  ]),
  service('orders', {
    clusterIP: '10.96.0.1',
    selector: { app: 'orders' },
    ports: [{ name: 'http', port: 8080, targetPort: 3000 }],
  }),
  service('apk', { clusterIP: '10.96.0.9', selector: { 'app.kubernetes.io/app': 'gateway' } }),
]
const gatewayPod = {
  namespace: 'apk',
  pod: 'gw-1',
  workload: 'gw',
  labels: ['k8s:app.kubernetes.io/app=gateway'],
}
const ordersPod = {
  namespace: 'shop',
  pod: 'orders-1',
  workload: 'orders-v1',
  labels: ['k8s:app=orders'],
}
const cartPod = { namespace: 'shop', pod: 'cart-1', workload: 'cart', labels: ['k8s:app=cart'] }

function call(of: Exchange, catalogue = new Catalogue(objects), limits = NO_LIMITS): ApiCall {
  const emitted: ApiCall[] = []
  const stage = createIdentityStage({
    catalogue: () => catalogue,
    limits: () => limits,
    clients: new ClientNamer(),
    hashIdentity: (value) => `hash of ${value}`,
  })
  expect(stage.accept(of, (out) => emitted.push(out))).toBe(0)
  expect([emitted.length, stage.held]).toEqual([1, 0])
  const [only] = emitted
  if (only === undefined) throw new Error('no call')
  return only
}

function flow(
  from: Partial<EndpointFields>,
  to: Partial<EndpointFields>,
  more: Partial<Report> = {},
) {
  return { source: endpoint(from), destination: endpoint(to), ...more }
}

describe('which leg a call took', () => {
  it.each<{ why: string; host: string; path: string; seen: Partial<Report>; is: string }>([
    {
      why: 'gateway to pod, by selector',
      host: 'orders.shop',
      path: '/v2/orders/7',
      seen: flow(gatewayPod, ordersPod, { destinationPort: 3000 }),
      is: 'gateway orders high selector+path /orders/{id}',
    },
    {
      why: 'a local 429 at the Service itself',
      host: 'orders.shop',
      path: '/v2/orders/7',
      seen: flow(gatewayPod, {}, { destinationIp: '10.96.0.1', destinationPort: 8080 }),
      is: 'gateway orders high service-ip+path /orders/{id}',
    },
    {
      why: 'past the gateway',
      host: 'orders',
      path: '/v2/orders/7',
      seen: flow(cartPod, {}, { destinationService: 'shop/orders', destinationPort: 8080 }),
      is: 'direct orders high service+path /orders/{id}',
    },
    {
      why: 'client to the gateway pod',
      host: 'orders.example.com',
      path: '/orders/1.0.0/orders/7',
      seen: flow({ reserved: 'world', identity: 2 }, gatewayPod),
      is: 'client orders exact host+path /orders/{id}',
    },
    {
      why: "client to the gateway's Service",
      host: 'orders.example.com',
      path: '/orders/1.0.0/orders/7',
      seen: flow({ reserved: 'world', identity: 2 }, {}, { destinationIp: '10.96.0.9' }),
      is: 'client orders exact host+path /orders/{id}',
    },
    {
      why: "from Cilium's own gateway",
      host: 'orders.example.com',
      path: '/v2/orders/7',
      seen: flow({ reserved: 'ingress', identity: 8 }, ordersPod),
      is: 'gateway orders high selector+path /orders/{id}',
    },
    {
      why: 'to the gateway, no such API',
      host: 'x.example.com',
      path: '/',
      seen: flow({ reserved: 'world', identity: 2 }, gatewayPod),
      is: 'client - none no-route -',
    },
    {
      why: 'to nobody known',
      host: 'orders',
      path: '/',
      seen: flow(cartPod, { reserved: 'world', identity: 2 }, { destinationIp: '203.0.113.1' }),
      is: 'direct - none no-backend -',
    },
  ])('$why', ({ host, path, seen, is }) => {
    const { via, api, confidence, how, operation } = call(exchange({ host, path }, seen))
    const shown = [via, api?.name ?? '-', confidence, how, operation?.template ?? '-'].join(' ')
    expect(shown).toBe(is)
  })

  it("takes the client's report where the server's does not tell the destination", () => {
    const egress = report({ direction: Direction.egress, destinationService: 'shop/orders' })
    const of = exchange(
      { path: '/v2/orders/7', twin: egress },
      flow(cartPod, {}, { destinationIp: '10.9.9.9' }),
    )
    expect(call(of).how).toBe('service+path')
  })
  it('takes a pod that is labelled like a gateway for a backend where it is one', () => {
    const catalogue = new Catalogue([
      httpRoute('r', ['a.example.com'], [rule({ path: '/x', backend: 'service:inner:80' })]),
      service('inner', { selector: { app: 'gateway' } }),
    ])
    const pod = { namespace: 'shop', pod: 'inner-1', labels: ['k8s:app=gateway'] }
    const { via, confidence } = call(
      exchange({ path: '/x', host: 'inner' }, flow(cartPod, pod)),
      catalogue,
    )
    expect([via, confidence]).toEqual(['direct', 'high'])
  })
})

describe('a pod that no Service tells of', () => {
  const catalogue = new Catalogue(ordersApi([{ path: '/' }]))
  const pod = { namespace: 'shop', pod: 'orders-7d9f8-abcde' }
  it('is likely the Service of its name', () => {
    const { confidence, how } = call(exchange({ path: '/' }, flow(cartPod, pod)), catalogue)
    expect([confidence, how]).toEqual(['low', 'workload+path'])
  })
  it('is that Service where the client calls it so, too', () => {
    const { confidence, how } = call(
      exchange({ path: '/', host: 'orders:8080' }, flow(cartPod, pod)),
      catalogue,
    )
    expect([confidence, how]).toEqual(['high', 'workload+host+path'])
  })
  it('is likely the Service that the client calls it, where its name begins so', () => {
    const canary = { namespace: 'shop', pod: 'orders-v3-7d9f8-abcde', workload: 'orders-v3' }
    const seen = flow(cartPod, canary)
    const { confidence, how } = call(exchange({ host: 'orders' }, seen), catalogue)
    expect([confidence, how]).toEqual(['low', 'workload+host+path'])
    expect(call(exchange({ host: 'carts' }, seen), catalogue).confidence).toBe('none')
  })
  it('is not the Service of another namespace', () => {
    const other = { namespace: 'other', pod: 'orders-7d9f8-abcde' }
    expect(call(exchange({ path: '/' }, flow(cartPod, other)), catalogue).confidence).toBe('none')
  })
})

describe('who called', () => {
  it("is never limited by a gateway's address", () => {
    const of = exchange(
      { path: '/v2/orders/7', identityValues: ['cafe'] },
      flow(gatewayPod, ordersPod),
    )
    const { client, clientAddress } = call(of)
    expect([client, clientAddress]).toEqual([{ kind: 'header', value: 'cafe', addresses: [] }, ''])
  })
  it("is known behind Cilium's gateway, which keeps the client's address", () => {
    expect(
      call(exchange({}, flow({ reserved: 'ingress', identity: 8 }, ordersPod))).clientAddress,
    ).toBe('192.0.2.1')
  })

  describe('with a client id', () => {
    const wso2 = (kind: string, name: string, spec: Record<string, unknown>) =>
      object('cp.wso2.com/v1alpha3', kind, name, { spec })
    const catalogue = new Catalogue([
      ...objects,
      wso2('Application', 'a', {
        name: 'web',
        owner: 'ann',
        organization: 'acme',
        securitySchemes: { oauth2: { environments: [{ appId: 'id-1', keyType: 'PRODUCTION' }] } },
      }),
      wso2('Subscription', 's', {
        subscriptionStatus: 'ACTIVE',
        api: { name: 'orders', version: '^1' },
        ratelimitRef: { name: 'gold' },
      }),
      wso2('ApplicationMapping', 'm', { applicationRef: 'a', subscriptionRef: 's' }),
    ])
    const application = {
      name: 'web',
      owner: 'ann',
      organization: 'acme',
      keyType: 'PRODUCTION',
      subscription: { name: 's', status: 'ACTIVE', tier: 'gold' },
    }
    const told = (name: string) => ({
      id: '',
      name: '',
      version: '',
      token: { name: 'orders', version: '1.0.0', context: '', sandbox: false, application: name },
    })
    const seen = (more: Parameters<typeof exchange>[0]) =>
      exchange(
        { path: '/v2/orders/7', identityValues: ['hash of id-1'], ...more },
        flow(gatewayPod, ordersPod),
      )

    it('is told with its application, and what that subscribed to of this API', () => {
      const { api, client } = call(seen({}), catalogue)
      expect(api?.name).toBe('orders')
      expect(client).toMatchObject({ kind: 'header', value: 'hash of id-1', application })
    })
    it('is told without a subscription where the API is not known', () => {
      const { subscription, ...alone } = application
      const { client } = call(exchange({ identityValues: ['hash of id-1'] }), catalogue)
      expect([client.application, subscription.tier]).toEqual([alone, 'gold'])
    })
    it('is told without what nobody declares', () => {
      const { client } = call(seen({ identityValues: ['hash of id-2'] }), catalogue)
      expect(client).toEqual({ kind: 'header', value: 'hash of id-2', addresses: [] })
    })
    it.each([
      { why: 'agrees', token: told('web'), with: application, value: 'web' },
      { why: 'names another one', token: told('mobile'), with: undefined, value: 'mobile' },
      { why: 'is none', token: null, with: application, value: 'acme/web' },
    ])('is the application where the order says so; the gateway $why', (of) => {
      const emitted: ApiCall[] = []
      createIdentityStage({
        catalogue: () => catalogue,
        limits: () => NO_LIMITS,
        clients: new ClientNamer({ order: ['application', 'header'] }),
        hashIdentity: (value) => `hash of ${value}`,
      }).accept(seen({ apiClaim: of.token }), (out) => emitted.push(out))
      const [only] = emitted
      expect([only?.client.kind, only?.client.value]).toEqual(['application', of.value])
      expect(only?.client.application).toEqual(of.with)
    })
  })

  it('is told with the names of its address', () => {
    const world = { reserved: 'world', labels: ['cidr:192.0.2.0/24', 'reserved:world'] }
    const seen = flow(world, ordersPod, { sourceNames: ['a.example.com'] })
    const { client } = call(exchange({ path: '/v2/orders/7' }, seen))
    expect(client).toEqual({
      kind: 'ip',
      value: '192.0.2.1',
      addresses: ['192.0.2.1'],
      names: ['192.0.2.0/24', 'a.example.com'],
    })
  })
})

describe('limits', () => {
  const limits = { revisions: new Set(['9c41d07e']), nonces: new Set(['5be2a91f']) }
  it('makes a refused call a limited one, and says by whom', () => {
    const ours = call(
      exchange({ weirMark: 'enforce; r=9c41d07e; c=192.0.2.1' }, { status: 429 }),
      undefined,
      limits,
    )
    const others = call(exchange({}, { status: 429 }), undefined, limits)
    expect([ours.outcome, ours.limitedBy]).toEqual(['limited', 'weir'])
    expect([others.outcome, others.limitedBy]).toEqual(['limited', 'other'])
  })
  it('marks what a shadow limit would have refused, and nothing else', () => {
    const marked = call(exchange({ weirShadow: 'r=5be2a91f; c=192.0.2.1' }), undefined, limits)
    expect([marked.wouldLimit, marked.outcome, marked.limitedBy]).toEqual([true, 'answered', null])
    expect(call(exchange({ outcome: 'unanswered' }), undefined, limits).outcome).toBe('unanswered')
  })
})

it('knows a gateway by the addresses of its Service, where labels do not tell', () => {
  const catalogue = new Catalogue([...objects, endpointSlice('apk', ['10.0.9.9'], 9095)])
  const of = exchange({ path: '/v2/orders/7' }, flow({}, ordersPod, { sourceIp: '10.0.9.9' }))
  expect(call(of, catalogue).via).toBe('gateway')
})
