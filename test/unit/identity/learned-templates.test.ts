import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LearnedTemplates, OTHER_PATHS } from '../../../src/identity/learned-templates.ts'
import { regexOfTemplate } from '../../../src/identity/path-template.ts'

const WINDOW_MS = 60_000

/** Asks for paths of one service; `GET`, answered 200, in the first window, unless it says otherwise. */
class Asked {
  readonly templates: LearnedTemplates

  constructor(options: ConstructorParameters<typeof LearnedTemplates>[0] = {}) {
    this.templates = new LearnedTemplates(options)
  }

  path(
    path: string,
    { service = 'shop/orders:80', method = 'GET', status = 200, window = 0 } = {},
  ) {
    const learned = this.templates.templateOf(service, method, path, status, window * WINDOW_MS)
    return learned && { template: learned.template, isPromoted: learned.isPromoted }
  }

  templateOf(path: string, how: Parameters<Asked['path']>[1] = {}): string | undefined {
    return this.path(path, how)?.template
  }
}

const words = (count: number, start = 0): string[] =>
  Array.from({ length: count }, (_, i) => {
    const n = start + i
    return `w${String.fromCharCode(97 + Math.floor(n / 26 / 26), 97 + (Math.floor(n / 26) % 26), 97 + (n % 26))}`
  })

function isMatch(template: string, path: string): boolean {
  return new RegExp(`^${regexOfTemplate(template)}$`, 's').test(path)
}

describe('LearnedTemplates', () => {
  it.each([
    ['/', '/'],
    ['/users/42/orders', '/users/{int}/orders'],
    ['/users/', '/users/'],
    ['//users', '//users'],
    ['/v2/report.pdf', '/v2/report.pdf'],
    ['/a'.repeat(40), `${'/a'.repeat(32)}/{rest...}`],
    [`/files/${'x'.repeat(3_000)}`, '/files/{rest...}'],
    [`/${'x'.repeat(3_000)}`, '/{rest...}'],
  ])('makes of %s %s', (path, template) => {
    expect(new Asked().templateOf(path)).toBe(template)
    expect(isMatch(template, path)).toBe(true)
  })

  it.each(['', '*', 'example.com:443'])('has none for %j, which is no path', (path) => {
    expect(new Asked().path(path)).toBeUndefined()
  })

  it('promotes what was seen in two windows', () => {
    const asked = new Asked()
    expect(asked.path('/users/1', { window: 7 })?.isPromoted).toBe(false)
    expect(asked.path('/users/2', { window: 7 })?.isPromoted).toBe(false)
    expect(asked.path('/users/3', { window: 8 })).toEqual({
      template: '/users/{int}',
      isPromoted: true,
    })
  })

  it.each([404, 405, 401, 403, 500, 0])('learns nothing from answers %i alone', (status) => {
    const asked = new Asked()
    for (let window = 0; window < 5; window++) {
      expect(asked.path('/wp-login.php', { status, window })).toBeUndefined()
    }
  })

  it('does not promote by 404, but does by any other answer once the path is known', () => {
    const asked = new Asked()
    asked.path('/login')
    expect(asked.path('/login', { status: 404, window: 1 })?.isPromoted).toBe(false)
    expect(asked.path('/login', { status: 0, window: 2 })?.isPromoted).toBe(false)
    expect(asked.path('/login', { status: 401, window: 3 })?.isPromoted).toBe(true)
  })

  it('makes a parameter of more than 20 texts in one place, with all that was below them', () => {
    const asked = new Asked()
    for (const name of words(20)) asked.path(`/users/${name}/orders`)
    expect(asked.templateOf('/users/waaa/orders')).toBe('/users/waaa/orders')
    expect(asked.templateOf('/users/zoe/orders')).toBe('/users/{param}/orders')
    expect(asked.templateOf('/users/waaa/orders')).toBe('/users/{param}/orders')
    expect(asked.templateOf('/users/waaa/carts')).toBe('/users/{param}/carts')
    expect(asked.templateOf('/users/7/orders')).toBe('/users/{int}/orders')
    expect(asked.templateOf('/users')).toBe('/users')
  })

  it('keeps a promotion through a collapse, and counts the windows of all that it joins', () => {
    const asked = new Asked({ fanOutMax: 2 })
    asked.path('/u/ann')
    asked.path('/u/bob', { window: 1 })
    expect(asked.path('/u/eve', { window: 1 })).toEqual({
      template: '/u/{param}',
      isPromoted: true,
    })
  })

  it('keeps methods apart, and one place for those that nobody knows', () => {
    const asked = new Asked({ fanOutMax: 1 })
    asked.path('/a')
    asked.path('/b')
    expect(asked.templateOf('/a')).toBe('/{param}')
    expect(asked.templateOf('/a', { method: 'POST' })).toBe('/a')
    const { templates } = asked
    const of = (method: string) => templates.templateOf('s', method, '/a', 200, 0)?.operation
    expect(of('PWN1')).toBe(of('PWN2'))
    expect(of('PWN1')).toEqual({ method: '_OTHER', template: '/a' })
  })

  it('stands in for what has no room, and makes room of what was not seen lately', () => {
    const asked = new Asked({ templatesMax: 4, fanOutMax: 100 })
    for (const name of ['a', 'b', 'c']) asked.path(`/${name}`)
    asked.path('/b', { window: 1 })
    expect(asked.templateOf('/d', { window: 1 })).toBe(OTHER_PATHS)
    expect(asked.templateOf('/d', { window: 2 })).toBe('/d')
    expect(asked.templateOf('/a', { window: 2 })).toBe('/a')
    // `/b` is promoted and stays; `/c` and `/a` had to go.
    expect(asked.templateOf('/b', { status: 500, window: 2 })).toBe('/b')
    expect(asked.templateOf('/c', { status: 500, window: 2 })).toBeUndefined()
    expect(asked.templates.templatesEvicted).toBe(2)
    expect(asked.templates.overflowed).toBe(1)
  })

  it('forgets the service that was used least recently', () => {
    const asked = new Asked({ servicesMax: 2 })
    asked.path('/a', { service: 'one' })
    asked.path('/a', { service: 'two' })
    asked.path('/a', { service: 'one' })
    asked.path('/a', { service: 'three' })
    expect(asked.path('/a', { service: 'one', status: 500 })).toBeDefined()
    expect(asked.path('/a', { service: 'two', status: 500 })).toBeUndefined()
    expect(asked.templates.servicesEvicted).toBe(1)
  })

  it('keeps what real calls taught while a scanner asks 100,000 times in vain', () => {
    const asked = new Asked()
    for (const window of [0, 1]) for (const name of words(15)) asked.path(`/${name}`, { window })
    for (let i = 0; i < 100_000; i++) {
      asked.path(`/admin-${i.toString(36)}/x`, { status: i % 2 === 0 ? 404 : 403, window: 2 })
    }
    expect(asked.path('/waaa', { window: 3 })).toEqual({ template: '/waaa', isPromoted: true })
    expect(asked.path('/new', { window: 3 })?.template).toBe('/new')
    expect(asked.templates.overflowed).toBe(0)
  })
})

const text = fc.constantFrom('orders', 'users', 'me', 'v1', ...words(40))
const value = fc.oneof(
  fc.nat().map(String),
  fc.uuid(),
  fc.emailAddress(),
  fc.string({ maxLength: 8 }).map((part) => part.replaceAll('/', '')),
)
const path = fc
  .array(fc.oneof({ weight: 3, arbitrary: text }, value), { maxLength: 6 })
  .map((parts) => `/${parts.join('/')}`)
const request = fc.record({
  path,
  method: fc.constantFrom('GET', 'POST', 'BREW'),
  status: fc.constantFrom(200, 200, 201, 301, 404, 500),
  window: fc.nat({ max: 6 }),
})
const requests = fc.array(request, { maxLength: 400, size: 'max' })

describe('LearnedTemplates, whatever is asked', () => {
  it('has at most 100 templates a service at any time, and they match their paths', () => {
    const property = fc.property(requests, fc.integer({ min: 2, max: 30 }), (all, fanOutMax) => {
      const asked = new Asked({ fanOutMax })
      for (const one of all) {
        const learned = asked.path(one.path, one)
        if (learned !== undefined && !isMatch(learned.template, one.path)) return false
      }
      // What is known now, without learning more.
      const templates = new Set<string>()
      for (const one of all) {
        const learned = asked.path(one.path, { method: one.method, status: 503 })
        if (learned === undefined) continue
        if (!isMatch(learned.template, one.path)) return false
        templates.add(learned.template)
      }
      return templates.size <= 100
    })
    fc.assert(property, { numRuns: 60 })
  })

  it('is bounded by 100 under a flood of paths that all are answered', () => {
    const asked = new Asked()
    const templates = new Set<string>()
    for (let i = 0; i < 20_000; i++) {
      const parts = [i % 7, i % 11, i % 13].map((n) => words(1, n)[0])
      const odd = ['7', 'x%20', '2026-03-01', 'a@b.cd', ''][i % 5]
      templates.add(`GET ${asked.templateOf(`/${parts.join(`/${odd}/`)}/${i}`)}`)
    }
    expect(templates.size).toBeLessThanOrEqual(100)
    expect(templates).toContain(`GET ${OTHER_PATHS}`)
  })

  it('gives the same templates for the same input', () => {
    const property = fc.property(requests, (all) => {
      const runs = [
        new Asked({ fanOutMax: 3, templatesMax: 10 }),
        new Asked({ fanOutMax: 3, templatesMax: 10 }),
      ]
      const [first, second] = runs.map((asked) => all.map((one) => asked.path(one.path, one)))
      expect(first).toEqual(second)
    })
    fc.assert(property, { numRuns: 40 })
  })

  it('never has a name as a text where there are more of them than the fan-out', () => {
    const names = fc.uniqueArray(fc.stringMatching(/^[a-z][a-z-]{0,20}$/), {
      minLength: 30,
      maxLength: 60,
    })
    const property = fc.property(names, (all) => {
      const asked = new Asked()
      for (const name of all) asked.path(`/users/${name}/orders`)
      for (const name of all) {
        const template = asked.templateOf(`/users/${name}/orders`) ?? ''
        expect(template).toMatch(/^\/users\/\{\w+\}\/orders$/)
      }
    })
    fc.assert(property, { numRuns: 50 })
  })
})
