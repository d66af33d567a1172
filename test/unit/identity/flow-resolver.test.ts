import { describe, expect, it } from 'vitest'
import { resolveFlow } from '../../../src/identity/flow-resolver.ts'
import type { FlowView } from '../../../src/model/flow-view.ts'
import { PLAIN_FLOW } from '../../fixtures/plain-flow.ts'
import { short } from './asking.ts'
import { catalogueOf, httpRoute, ordersApi, rule, service } from './objects.ts'
import { endpoint } from './records.ts'

const gateway = endpoint({
  namespace: 'apk',
  pod: 'gw-1',
  labels: ['k8s:app.kubernetes.io/app=gateway'],
})
const orders = endpoint({ namespace: 'shop', pod: 'orders-1', labels: ['k8s:app=orders'] })
const world = endpoint({ reserved: 'world', identity: 2 })
const one = catalogueOf(
  ...ordersApi([{ path: '/' }]),
  service('orders', { selector: { app: 'orders' }, ports: [{ port: 8080, targetPort: 3000 }] }),
)
const two = catalogueOf(
  ...ordersApi([{ path: '/' }]),
  httpRoute('other', ['x.example.com'], [rule({ path: '/', backend: 'service:orders:8080' })]),
  service('orders', { selector: { app: 'orders' }, ports: [{ port: 8080, targetPort: 3000 }] }),
)

describe('a flow without HTTP', () => {
  it.each<{ why: string; of: typeof one; flow: Partial<FlowView>; is: string }>([
    {
      why: 'TLS up to the backend of one API',
      of: one,
      flow: { source: gateway, destination: orders, destinationPort: 3000 },
      is: 'gateway orders - low selector',
    },
    {
      why: 'and of two',
      of: two,
      flow: { source: gateway, destination: orders, destinationPort: 3000 },
      is: 'gateway ambiguous orders other selector',
    },
    {
      why: 'its answer',
      of: one,
      flow: { source: orders, destination: gateway, sourcePort: 3000, isReply: 1 },
      is: 'gateway orders - low selector',
    },
    {
      why: 'past the gateway',
      of: one,
      flow: { source: world, destination: orders, destinationPort: 3000 },
      is: 'direct orders - low selector',
    },
    {
      why: 'into the gateway, to whichever API',
      of: one,
      flow: { source: world, destination: gateway, destinationPort: 9095 },
      is: 'client none gateway-ingress',
    },
    {
      why: 'another port of the same pod',
      of: one,
      flow: { source: world, destination: orders, destinationPort: 9000 },
      is: 'direct none no-api',
    },
    {
      why: 'between others',
      of: one,
      flow: { source: orders, destination: world, destinationPort: 443 },
      is: 'direct none no-backend',
    },
  ])('$why', ({ of, flow, is }) => {
    const { resolution, via } = resolveFlow(of, { ...PLAIN_FLOW, ...flow })
    expect(`${via} ${short(resolution)} ${resolution.how}`).toBe(is)
  })
})
