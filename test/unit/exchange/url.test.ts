import { expect, it } from 'vitest'
import { partsOfUrl } from '../../../src/exchange/url.ts'

it.each([
  { url: '', scheme: '', host: '', path: '' },
  { url: 'https://h:8443/a/b?c#d', scheme: 'https', host: 'h:8443', path: '/a/b' },
  { url: '/a?to=http://x/y', scheme: '', host: '', path: '/a' },
  { url: 'http://h?token=s/x', scheme: 'http', host: 'h', path: '' },
  { url: 'http://u:p@h/x', scheme: 'http', host: 'h', path: '/x' },
  { url: '?token=s3cret&to=https://x/y', scheme: '', host: '', path: '' },
  { url: 'a?token=s3cret&to=https://x/y', scheme: '', host: 'a', path: '' },
  { url: '//h/x', scheme: '', host: '', path: '//h/x' },
])('partsOfUrl() keeps neither query nor password: $url', ({ url, ...parts }) => {
  expect(partsOfUrl(url)).toEqual(parts)
})
