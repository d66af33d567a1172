import { describe, expect, it } from 'vitest'
import { templateSegmentOf } from '../../../src/identity/path-segment.ts'

const of = (text: string): string => templateSegmentOf(`/x/${text}/y`, 3, 3 + text.length)

describe('templateSegmentOf()', () => {
  it.each([
    ['42', '{int}'],
    ['-7', '{int}'],
    ['20260301', '{int}'],
    ['0b0e7b9a-8f3c-4c0e-9d3b-1a2b3c4d5e6f', '{uuid}'],
    ['0B0E7B9A-8F3C-4C0E-9D3B-1A2B3C4D5E6F', '{uuid}'],
    ['01ARZ3NDEKTSV4RRFFQ69G5FAV', '{ulid}'],
    ['507f1f77bcf86cd799439011', '{hex}'],
    ['deadbeefdeadbeef', '{hex}'],
    ['e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', '{hex}'],
    ['2026-03-01', '{date}'],
    ['2026-03', '{date}'],
    ['2026-03-01T12:00:00Z', '{date}'],
    ['eve@example.com', '{email}'],
    ['eve.7@example.com', '{email}'],
    ['10.0.0.7', '{ip}'],
    ['dGhpcyBpcyBhIHRva2VuMTI9', '{token}'],
    ['order-12345', '{id}'],
    ['SKU0001234', '{id}'],
    ['app.3f2a1b9c.js', '{id}'],
    ['en-US', '{locale}'],
    ['pt_br', '{locale}'],
  ])('types %s as %s', (text, template) => {
    expect(of(text)).toBe(template)
  })

  it.each([
    'orders',
    'v1',
    'v2beta1',
    'v1.2.3',
    '1.0',
    '1.2.3-rc.1',
    'oauth2',
    'by-id',
    'go-to',
    'me',
    'beef',
    '$metadata',
    'users:batchGet',
    'shop.Orders',
    'list-all-customer-orders-by-region',
    '',
  ])('keeps %s as it is', (text) => {
    expect(of(text)).toBe(text)
  })

  it.each(['caf%C3%A9', 'a b', '{id}', '{rest...}', 'a\nb', 'ü', "Users('x')", 'x'.repeat(65)])(
    'takes %j for a value',
    (text) => {
      expect(of(text)).toBe('{param}')
    },
  )
})
