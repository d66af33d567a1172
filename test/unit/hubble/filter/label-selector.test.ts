import { describe, expect, it } from 'vitest'
import { labelSelector } from '../../../../src/hubble/filter/label-selector.ts'

const WEB = ['k8s:app=web', 'k8s:tier=', 'k8s:io.cilium/x=y', 'container:n=7', 'cidr:10.1.0.0/16']

describe('labelSelector()', () => {
  it.each([
    ['app', true],
    ['app=web', true],
    ['app==web', true],
    [' app = web ', true],
    ['app!=web', false],
    ['nope!=web', true],
    ['any:app=web', true],
    ['k8s:app=web', true],
    ['container:app=web', false],
    ['app in (api, web)', true],
    ['app in (api)', false],
    ['app notin (api,web)', false],
    ['nope notin (x)', true],
    ['!nope', true],
    ['! nope', true],
    ['!app', false],
    ['tier', true],
    ['tier=', true],
    ['tier in ()', true],
    ['tier in (x,)', true],
    ['app in (,)', false],
    ['io.cilium/x=y', true],
    ['k8s:io.cilium/x', true],
    ['in', false],
    ['app=in', true, ['k8s:app=in']],
    ['n>6', true],
    ['n>7', false],
    ['n<8', true],
    ['app<8', false],
    ['nope>1', false],
    ['app=web,n', true],
    ['app=web,nope', false],
    ['app in (a,web),tier', true],
    ['cidr:10.0.0.0/8', true],
    ['cidr:10.1.2.0/24', false],
    ['cidr:2001-db8--0/32', true, ['cidr:2001-db8-0-1--0/64']],
    ['reserved:world', true, ['reserved:world']],
    ['reserved:host', true, ['$host']],
    ['app=web', true, ['app=web']],
    ['k8s:app=web', false, ['app=web']],
  ])('%s: %s', (text, isMatch, labels = WEB) => {
    expect(labelSelector(text)(labels)).toBe(isMatch)
  })

  it.each([
    ['', /must be a label selector/],
    ['app in web', /cannot read "app in web"/],
    ['app in (a', /cannot read/],
    ['app=a=b', /cannot read/],
    ['app==!b', /cannot read/],
    ['app b', /cannot read/],
    ['app,', /cannot read ""/],
    ['!!app', /cannot read/],
    ['!app=web', /!app means that the label is absent/],
    ['app=a:b', /"a:b" is no value of a label/],
    ['app in (a b)', /"a b" is no value/],
    [`app=${'a'.repeat(64)}`, /is no value/],
    ['app-', /"app-" is no key/],
    [':app', /":app" is no key/],
    ['a:b:c', /is no key/],
    ['A/b/c', /is no key/],
    ['app>x', /> needs an integer/],
    ['cidr:x', /"cidr:x" is no CIDR/],
    ['a'.repeat(5_000), /must be a label selector/],
  ])('refuses %s', (text, reason) => {
    expect(() => labelSelector(text)).toThrow(reason)
  })
})
