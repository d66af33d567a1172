import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  compareVersions,
  missingRuleOf,
  pathOfResource,
  resourceKeyOf,
} from '../../../src/kubernetes/watched-resource.ts'

describe('compareVersions()', () => {
  it('puts versions in the order that Kubernetes documents', () => {
    const documented = [
      'v10',
      'v2',
      'v1',
      'v11beta2',
      'v10beta3',
      'v3beta1',
      'v12alpha1',
      'v11alpha2',
      'foo1',
      'foo10',
    ]
    expect(documented.toReversed().sort(compareVersions)).toEqual(documented)
  })

  it('is an order', () => {
    const version = fc.oneof(fc.stringMatching(/^v\d{1,2}((alpha|beta)\d)?$/), fc.string())
    const property = fc.property(version, version, version, (a, b, c) => {
      expect(Math.sign(compareVersions(a, b))).toBe(-Math.sign(compareVersions(b, a)) + 0)
      if (compareVersions(a, b) <= 0 && compareVersions(b, c) <= 0) {
        expect(compareVersions(a, c)).toBeLessThanOrEqual(0)
      }
    })
    fc.assert(property)
  })
})

describe('a resource', () => {
  const services = { group: '', plural: 'services', optional: false }
  const routes = { group: 'gateway.networking.k8s.io', plural: 'httproutes', optional: true }

  it('has a key, as kubectl calls it', () => {
    expect(resourceKeyOf(services)).toBe('services')
    expect(resourceKeyOf(routes)).toBe('httproutes.gateway.networking.k8s.io')
  })

  it.each([
    { resource: services, apiVersion: 'v1', namespaced: true, path: '/api/v1/services' },
    {
      resource: { ...routes, namespace: 'shop' },
      apiVersion: 'gateway.networking.k8s.io/v1',
      namespaced: true,
      path: '/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes',
    },
    {
      resource: { ...services, plural: 'namespaces', namespace: 'shop' },
      apiVersion: 'v1',
      namespaced: false,
      path: '/api/v1/namespaces',
    },
  ])('stands at $path', ({ resource, apiVersion, namespaced, path }) => {
    expect(pathOfResource(resource, { apiVersion, namespaced })).toBe(path)
  })

  it('names the rule that RBAC lacks', () => {
    expect(missingRuleOf('watch', { ...routes, namespace: 'shop' })).toBe(
      'RBAC must allow verb "watch" on resource "httproutes" of apiGroup "gateway.networking.k8s.io" in namespace "shop"',
    )
  })
})
