import { describe, expect, it } from 'vitest'
import { keptObject } from '../../../src/kubernetes/kubernetes-object.ts'

const POD = { apiVersion: 'v1', kind: 'Pod' }

describe('keptObject()', () => {
  it('keeps an object but for what no reader wants', () => {
    const metadata = { name: 'orders', namespace: 'shop', labels: { app: 'orders' } }
    const lastApplied = { 'kubectl.kubernetes.io/last-applied-configuration': '{…}', note: 'kept' }
    const value = {
      metadata: { ...metadata, managedFields: [{ manager: 'kubectl' }], annotations: lastApplied },
      spec: { clusterIP: '10.0.0.1' },
    }
    expect(keptObject(value, { apiVersion: 'v1', kind: 'Service' })).toEqual({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { ...metadata, annotations: { note: 'kept' } },
      spec: { clusterIP: '10.0.0.1' },
    })
  })

  it('keeps of a pod who it is, where it runs and who owns it, and no environment', () => {
    const metadata = {
      name: 'orders-1',
      namespace: 'shop',
      uid: 'u',
      resourceVersion: '7',
      labels: { app: 'orders' },
      ownerReferences: [{ kind: 'ReplicaSet', name: 'orders-7d' }],
    }
    const value = {
      ...POD,
      metadata: { ...metadata, annotations: { token: 'secret' } },
      spec: { nodeName: 'n1', containers: [{ env: [{ name: 'PASSWORD', value: 'secret' }] }] },
      status: { phase: 'Running', podIP: '10.0.0.2', podIPs: [{ ip: '10.0.0.2' }], conditions: [] },
    }
    const kept = keptObject(value, POD)
    expect(kept).toEqual({
      ...POD,
      metadata,
      spec: { nodeName: 'n1', hostNetwork: undefined },
      status: { phase: 'Running', podIP: '10.0.0.2', podIPs: [{ ip: '10.0.0.2' }] },
    })
    expect(JSON.stringify(kept)).not.toContain('secret')
  })

  it.each([
    { why: 'nothing', value: null },
    { why: 'a text', value: 'Service' },
    { why: 'no name', value: { metadata: { namespace: 'shop' } } },
    { why: 'a name that is none', value: { metadata: { name: 7 } } },
    { why: 'a list for metadata', value: { metadata: ['name'] } },
  ])('takes $why for no object', ({ value }) => {
    expect(keptObject(value, POD)).toBeUndefined()
  })
})
