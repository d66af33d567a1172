import { describe, expect, it } from 'vitest'
import { sourceFactsOf } from '../../../src/identity/source-facts.ts'
import { endpoint } from './records.ts'

const GROUP = 'cidrgroup:io.cilium.policy.cidrgroupname'

describe('the names of a source outside of the cluster', () => {
  it.each<{ why: string; labels: string[]; names: string[] }>([
    { why: 'none', labels: ['reserved:world'], names: [] },
    { why: 'a network', labels: ['cidr:1.2.3.0/24', 'reserved:world'], names: ['1.2.3.0/24'] },
    { why: 'an IPv6 network', labels: ['cidr:2001-db8--0/32'], names: ['2001:db8::/32'] },
    { why: 'an IPv6 network from zero', labels: ['cidr:0--ffff-0-0/96'], names: [] },
    {
      why: 'the smallest networks around it',
      labels: ['cidr:0.0.0.0/0', 'cidr:1.0.0.0/8', 'cidr:1.2.3.0/24', 'cidr:1.2.0.0/16'],
      names: ['1.2.3.0/24', '1.2.0.0/16'],
    },
    { why: 'not its own address', labels: ['cidr:1.2.3.4/32', 'cidr:2001-db8--1/128'], names: [] },
    {
      why: 'its group by name, without the labels of the group',
      labels: ['cidr:1.2.3.0/24', 'cidrgroup:role=partner', `${GROUP}/partners`],
      names: ['partners', '1.2.3.0/24'],
    },
    { why: 'a group written with =', labels: [`${GROUP}/partners=`], names: ['partners'] },
    { why: 'a DNS selector', labels: ['fqdn:*.example.com'], names: ['*.example.com'] },
    {
      why: 'no more than five',
      labels: [1, 2, 3, 4, 5, 6].map((n) => `fqdn:a${n}.example.com`),
      names: [1, 2, 3, 4, 5].map((n) => `a${n}.example.com`),
    },
    { why: 'nothing that is no network', labels: ['cidr:1.2.3/8', 'cidr:a/b'], names: [] },
    { why: 'nothing endless', labels: [`fqdn:${'a'.repeat(254)}`, `${GROUP}/`], names: [] },
    { why: 'nothing of a pod', labels: ['k8s:app=cidr:1.2.3.0/24'], names: [] },
  ])('are $why', ({ labels, names }) => {
    expect(sourceFactsOf(endpoint({ labels })).names).toEqual(names)
  })
})

describe('the service account of a source', () => {
  const label = 'k8s:io.cilium.k8s.policy.serviceaccount='
  it.each([
    { why: 'with its namespace', namespace: 'shop', labels: [`${label}cart`], is: 'shop/cart' },
    { why: 'of no pod', namespace: '', labels: [`${label}cart`], is: '' },
    { why: 'not labelled', namespace: 'shop', labels: ['k8s:app=cart'], is: '' },
    { why: 'empty', namespace: 'shop', labels: [label], is: '' },
  ])('$why is "$is"', ({ namespace, labels, is }) => {
    expect(sourceFactsOf(endpoint({ namespace, labels })).serviceAccount).toBe(is)
  })
})
