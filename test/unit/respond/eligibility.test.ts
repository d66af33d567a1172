import { describe, expect, it } from 'vitest'
import { AddressList } from '../../../src/respond/address.ts'
import {
  backendProblem,
  isOptedIn,
  limitableAddresses,
  serviceProblems,
} from '../../../src/respond/eligibility.ts'
import { planOf } from '../../../src/respond/plan.ts'
import { factsOf, SERVICE, serviceObject } from './samples.ts'

const cec = (metadata: object, spec: object = {}): object => ({
  kind: 'CiliumEnvoyConfig',
  metadata,
  spec,
})
const names = (namespace?: string): object => ({
  name: 'checkout',
  ...(namespace === undefined ? {} : { namespace }),
})
const route = (parent: object): object => ({
  kind: 'HTTPRoute',
  metadata: { name: 'r', namespace: 'shop' },
  spec: { parentRefs: [parent] },
})

function inertCec(): { metadata: { labels: object; annotations: object } } {
  const plan = planOf(SERVICE, [], '')
  if ('refusal' in plan) throw new Error(plan.refusal)
  return JSON.parse(JSON.stringify(plan.cec))
}

describe('serviceProblems()', () => {
  const gitops = inertCec()
  gitops.metadata.annotations = {
    ...gitops.metadata.annotations,
    'argocd.argoproj.io/tracking-id': 'x',
  }
  it.each([
    ['service_unknown', { service: undefined }],
    ['service_type', { service: serviceObject({ type: 'NodePort' }) }],
    ['service_type', { service: serviceObject({ type: 'LoadBalancer' }) }],
    ['service_type', { service: serviceObject({ type: 'ExternalName' }) }],
    ['external_ips', { service: serviceObject({ externalIPs: ['192.0.2.1'] }) }],
    ['headless', { service: serviceObject({ clusterIP: 'None' }) }],
    ['session_affinity', { service: serviceObject({ sessionAffinity: 'ClientIP' }) }],
    ['traffic_policy_local', { service: serviceObject({ externalTrafficPolicy: 'Local' }) }],
    ['traffic_policy_local', { service: serviceObject({ internalTrafficPolicy: 'Local' }) }],
    ['traffic_distribution', { service: serviceObject({ trafficDistribution: 'PreferClose' }) }],
    [
      'traffic_distribution',
      { service: serviceObject({}, { 'service.kubernetes.io/topology-mode': 'Auto' }) },
    ],
    ['lb_l7', { service: serviceObject({}, { 'service.cilium.io/lb-l7': 'enabled' }) }],
    ['port', { service: serviceObject({ ports: [{ port: 9090 }] }) }],
    ['port', { service: serviceObject({ ports: [{ port: 8080, protocol: 'UDP' }] }) }],
    ['port', { service: serviceObject({ ports: [{ port: 8080, appProtocol: 'https' }] }) }],
    ['gamma', { routes: [route({ kind: 'Service', group: '', name: 'checkout' })] }],
    [
      'gamma',
      { routes: [route({ kind: 'Service', group: 'core', name: 'checkout', namespace: 'shop' })] },
    ],
    [
      'other_cec',
      { cecs: [cec({ name: 'theirs', namespace: 'x' }, { services: [names('shop')] })] },
    ],
    ['other_cec', { cecs: [cec({ name: 'clusterwide' }, { backendServices: [names('shop')] })] }],
    ['name_taken', { cecs: [cec({ name: 'weir-checkout', namespace: 'shop' })] }],
    ['gitops', { cecs: [gitops] }],
  ] as const)('%s: %j', (code, facts) => {
    expect(serviceProblems(SERVICE, factsOf(facts)).map((problem) => problem.code)).toEqual([code])
  })

  it.each([
    ['a plain Service', {}],
    ['our own armed CEC', { cecs: [inertCec()] }],
    [
      'a CEC that names the Service without its namespace',
      { cecs: [cec({ name: 'a', namespace: 'shop' }, { services: [names()] })] },
    ],
    [
      'a CEC of a namesake',
      { cecs: [cec({ name: 'a', namespace: 'x' }, { services: [names('x')] })] },
    ],
    ['a route of a Gateway', { routes: [route({ kind: 'Gateway', name: 'checkout' })] }],
    [
      'a namesake of a route’s parent',
      { routes: [route({ kind: 'Service', name: 'checkout', namespace: 'x' })] },
    ],
    [
      'topology that is off',
      { service: serviceObject({}, { 'service.kubernetes.io/topology-mode': 'Disabled' }) },
    ],
  ])('has nothing against %s', (_why, facts) => {
    expect(serviceProblems(SERVICE, factsOf(facts))).toEqual([])
  })

  it('tells all reasons at once', () => {
    const service = serviceObject({ type: 'NodePort', sessionAffinity: 'ClientIP' })
    expect(serviceProblems(SERVICE, factsOf({ service }))).toHaveLength(2)
  })
})

describe('limitableAddresses()', () => {
  const protect = new AddressList(['10.0.1.0/24', '192.0.2.7', 'fd00::/8', '::ffff:192.0.2.8'])
  it.each([
    ['no_address', []],
    ['too_many_addresses', ['10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4']],
    ['bad_address', ['shop/bot']],
    ['bad_address', ['10.0.0.0/24']],
    ['bad_address', ['fe80::1%eth0']],
    ['protected_address', ['127.0.0.1']],
    ['protected_address', ['::1']],
    ['protected_address', ['169.254.1.1']],
    ['protected_address', ['0.0.0.0']],
    ['protected_address', ['10.0.0.1', '10.0.1.9']],
    ['protected_address', ['192.0.2.7']],
    ['protected_address', ['192.0.2.8']],
    ['protected_address', ['FD00::1']],
    ['protected_address', ['::ffff:10.0.1.9']],
  ])('%s: %j', (code, addresses) => {
    expect(limitableAddresses(addresses, { protect, addressesMax: 3 })).toMatchObject({ code })
  })
  it('gives each address once, as Envoy writes it', () => {
    const told = ['2001:DB8:0::1', '10.0.0.2', '::ffff:10.0.0.2', '10.0.0.1']
    expect(limitableAddresses(told, { protect, addressesMax: 9 })).toEqual({
      addresses: ['10.0.0.1', '10.0.0.2', '2001:db8::1'],
    })
  })
  it('refuses a protect list that protects nothing', () => {
    expect(() => new AddressList(['10.0.0.0/33', 'node-1', '::ffff:0:0/96', '10.0.0.1'])).toThrow(
      'Cannot protect 10.0.0.0/33, node-1, ::ffff:0:0/96: neither an address nor a CIDR',
    )
  })
})

it('backendProblem() spares a pod that calls its own Service', () => {
  expect(backendProblem(['10.0.0.2', '10.0.9.1'], factsOf())?.code).toBe('client_is_backend')
  expect(backendProblem(['10.0.0.2'], factsOf())).toBeUndefined()
})

it.each([
  { labels: { 'weir.dev/enforce': 'enabled' }, optedIn: true },
  { labels: { 'weir.dev/enforce': 'disabled' }, optedIn: false },
  { labels: {}, optedIn: false },
  { labels: undefined, optedIn: undefined },
])('isOptedIn() with $labels: $optedIn', ({ labels, optedIn }) => {
  expect(isOptedIn(factsOf({ namespaceLabels: labels }))).toBe(optedIn)
})
