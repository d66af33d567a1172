import { describe, expect, it } from 'vitest'
import { PodChanges } from '../../../src/app/pod-changes.ts'

const pod = (over: { labels?: object; status?: object; resourceVersion?: string } = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name: 'a',
    namespace: 'shop',
    labels: over.labels ?? { app: 'orders' },
    resourceVersion: over.resourceVersion ?? '1',
  },
  status: { phase: 'Running', podIP: '10.0.0.1', ...over.status },
})

describe('PodChanges', () => {
  it.each([
    { why: 'only its version', made: pod({ resourceVersion: '2' }), matters: false },
    {
      why: 'a phase in which it still is',
      made: pod({ status: { phase: 'Pending' } }),
      matters: false,
    },
    { why: 'its labels', made: pod({ labels: { app: 'carts' } }), matters: true },
    { why: 'its address', made: pod({ status: { podIP: '10.0.0.2' } }), matters: true },
    { why: 'that it has ended', made: pod({ status: { phase: 'Failed' } }), matters: true },
  ])('a pod of which changes $why: $matters', ({ made, matters }) => {
    const changes = new PodChanges()
    changes.replaced([pod()])
    expect(changes.matters('modified', made)).toBe(matters)
    expect(changes.matters('modified', made)).toBe(false)
  })

  it('a pod that comes or goes matters, once', () => {
    const changes = new PodChanges()
    const seen = [
      changes.matters('added', pod()),
      changes.matters('added', pod()),
      changes.matters('deleted', pod()),
      changes.matters('deleted', pod()),
    ]
    expect(seen).toEqual([true, false, true, false])
  })
})
