import { expect, it } from 'vitest'
import { requestPathOf } from '../../../../src/hubble/filter/request-path.ts'

it.each([
  ['http://shop/a/b?x=1#y', '/a/b'],
  ['http://shop:8080/a%2Fb%20c', '/a/b c'],
  ['http://shop/%C3%A9é', '/éé'],
  ['http://shop/%FF', '/\uFFFD'],
  ['http://shop', ''],
  ['http://shop?x', ''],
  ['http://shop/a#b', '/a#b'],
  ['http://user:p%40ss@shop/a', '/a'],
  ['http://[::1]:80/a', '/a'],
  ['http://shöp/a', '/a'],
  ['http://sh%C3%B6p/a', '/a'],
  ['/a?b', '/a'],
  ['//a/b', '//a/b'],
  ['*', '*'],
  ['mailto:a', ''],
  ['', undefined],
  ['a/b', undefined],
  [':a', undefined],
  ['?', undefined],
  ['http://sh op/a', undefined],
  ['http://shop:80x/a', undefined],
  ['http://a:b:80/a', undefined],
  ['http://[::1/a', undefined],
  ['http://sh%6Fp/a', undefined],
  ['http://shop/%zz', undefined],
  ['http://shop/%a', undefined],
  ['http://shop/a\nb', undefined],
  ['http://shop/a\x7fb', undefined],
  ['http://shop/a\x85b', '/a\x85b'],
  ['http://u%zz@shop/a', undefined],
])('the path of %j is %j', (url, path) => {
  expect(requestPathOf(url)).toBe(path)
})
