import { describe, expect, it } from 'vitest'
import {
  regexOfTemplate,
  shapeOfRegex,
  shapeOfTemplate,
  templateOfExact,
  templateOfPrefix,
  templateOfRegex,
} from '../../../src/identity/path-template.ts'

describe('templates', () => {
  it.each([
    { why: 'one part', source: '/employee/(.*)', template: '/employee/{id}' },
    {
      why: 'two parts',
      source: '/user/([^/]+)/playlist/([^/]+)',
      template: '/user/{p1}/playlist/{p2}',
    },
    { why: 'all of it', source: '/(.*)', template: '/{rest...}' },
    { why: 'all of it, no slash', source: '(.*)', template: '/{rest...}' },
    { why: 'a class', source: '/pet/\\d{1,3}', template: '/pet/{id}' },
    { why: 'anchors and escapes', source: '^/v1\\.0/x$', template: '/v1.0/x' },
    { why: 'a bare dot', source: '/v1.0/([^/]+)', template: '/v1.0/{id}' },
    { why: 'no sequence', source: '/a|/b', template: '/a|/b' },
  ])('names an expression with $why: $source -> $template', ({ source, template }) => {
    expect(templateOfRegex(source)).toBe(template)
  })
  it('names prefixes as ServeMux does, and exact paths by themselves', () => {
    expect(['/', '/orders', '/orders/'].map(templateOfPrefix)).toEqual([
      '/{rest...}',
      '/orders/{rest...}',
      '/orders/{rest...}',
    ])
    expect(['', '/', '/orders'].map(templateOfExact)).toEqual(['/', '/', '/orders'])
  })
  it('finds the same shape in a declared template and in the expression that was made of it', () => {
    expect(shapeOfTemplate('/employee/{employeeId}')).toBe(shapeOfRegex('/employee/(.*)'))
    expect(shapeOfTemplate('/files/*')).toBe(shapeOfRegex('/files/(.*)'))
    expect(shapeOfTemplate('/employee')).not.toBe(shapeOfRegex('/employee/(.*)'))
  })
  it.each([
    { template: '/orders/{id}', regex: '/orders/[^/]+' },
    { template: '/a.b/{x}-{y}', regex: '/a\\.b/[^/]+-[^/]+' },
    { template: '/files/*', regex: '/files/.*' },
    { template: '/files/{rest...}', regex: '/files/.*' },
    { template: '', regex: '' },
  ])('makes an expression of $template', ({ template, regex }) => {
    expect(regexOfTemplate(template)).toBe(regex)
  })
})
