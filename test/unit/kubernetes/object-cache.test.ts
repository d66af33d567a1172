import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { KubernetesObject } from '../../../src/kubernetes/kubernetes-object.ts'
import { ObjectCache, type ObjectChange } from '../../../src/kubernetes/object-cache.ts'

function object(name: string, resourceVersion = '1', uid = `uid-of-${name}`): KubernetesObject {
  const metadata = { name, namespace: 'shop', uid, resourceVersion }
  return { apiVersion: 'v1', kind: 'Service', metadata }
}

function shown(changes: readonly ObjectChange[]): string[] {
  return changes.map(({ type, object: { metadata } }) => {
    return `${type} ${metadata.name}@${metadata.resourceVersion ?? ''}`
  })
}

describe('ObjectCache', () => {
  it.each([
    { why: 'nothing new', list: [object('a'), object('b')], changes: [] },
    { why: 'another version', list: [object('a', '2'), object('b')], changes: ['modified a@2'] },
    { why: 'one less', list: [object('b')], changes: ['deleted a@1'] },
    { why: 'one more', list: [object('a'), object('b'), object('c')], changes: ['added c@1'] },
    {
      why: 'another object of the same name',
      list: [object('a', '9', 'another'), object('b')],
      changes: ['deleted a@1', 'added a@9'],
    },
    {
      why: 'a rename, the old name first',
      list: [object('c'), object('b')],
      changes: ['deleted a@1', 'added c@1'],
    },
    { why: 'none at all', list: [], changes: ['deleted a@1', 'deleted b@1'] },
  ])('tells what a new list brings: $why', ({ list, changes }) => {
    const cache = new ObjectCache(10)
    cache.replace([object('a'), object('b')])
    expect(shown(cache.replace(list))).toEqual(changes)
    expect([...cache.values()]).toHaveLength(list.length)
  })

  it('tells each change of a watch once, and nothing of what it knows already', () => {
    const cache = new ObjectCache(10)
    const changes = [
      ...cache.put(object('a', '1')),
      ...cache.put(object('a', '1')),
      ...cache.put(object('a', '2')),
      ...cache.remove(object('a', '3')),
      ...cache.remove(object('a', '3')),
    ]
    expect(shown(changes)).toEqual(['added a@1', 'modified a@2', 'deleted a@2'])
  })

  it('leaves out what is too much, and takes it when there is room', () => {
    const cache = new ObjectCache(2)
    cache.replace([object('a'), object('b'), object('c')])
    expect(shown(cache.put(object('d')))).toEqual([])
    expect([cache.size, cache.leftOut]).toEqual([2, 2])
    expect(shown(cache.put(object('b', '2')))).toEqual(['modified b@2'])
    cache.remove(object('a'))
    expect(shown(cache.put(object('d')))).toEqual(['added d@1'])
  })

  it('tells exactly the differences: whoever follows them has what the cluster has', () => {
    const list = fc.uniqueArray(
      fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd'), version: fc.nat(2), uid: fc.nat(1) }),
      { selector: ({ name }) => name },
    )
    const property = fc.property(fc.array(list, { maxLength: 6 }), (lists) => {
      const cache = new ObjectCache(10)
      const followed = new Map<string, KubernetesObject>()
      for (const entries of lists) {
        const objects = entries.map(({ name, version, uid }) =>
          object(name, String(version), String(uid)),
        )
        for (const { type, object: changed } of cache.replace(objects)) {
          const { name } = changed.metadata
          expect(followed.has(name)).toBe(type !== 'added')
          if (type === 'deleted') followed.delete(name)
          else followed.set(name, changed)
        }
        const byName = new Map(objects.map((entry) => [entry.metadata.name, entry]))
        expect(followed).toEqual(byName)
      }
    })
    fc.assert(property)
  })
})
