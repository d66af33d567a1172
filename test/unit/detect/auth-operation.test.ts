import { describe, expect, it } from 'vitest'
import { AUTH_WORDS, AuthOperations } from '../../../src/detect/auth-operation.ts'
import { callOf, ORDERS } from './calls.ts'

const operations = new AuthOperations(AUTH_WORDS)

describe('AuthOperations', () => {
  it.each([
    { path: '/api/v1/login', name: '/api/v1/login' },
    { path: '/LOGIN/42/next', name: '/LOGIN' },
    { path: '/oauth2/token', name: '/oauth2' },
    { path: '/v1/sign-in', name: '/v1/sign-in' },
    { path: '/v1/user_login', name: '/v1/user_login' },
    { path: '/getToken', name: '/getToken' },
    { path: '/auth.do', name: '/auth.do' },
    { path: '/authors/7', name: null },
    { path: '/tokenizers', name: null },
    { path: '/orders/7', name: null },
    { path: '/', name: null },
    { path: '', name: null },
    { path: `/${'a'.repeat(10_000)}-login`, name: null },
    { path: `${'/a'.repeat(100)}/login`, name: null },
  ])('finds $name in the path $path', ({ path, name }) => {
    const call = callOf({ at: 0, api: null, operation: null, method: 'POST', path })
    expect(operations.nameOf(call)).toBe(name === null ? null : `POST ${name}`)
  })

  it.each([
    { context: '/orders/1.0', template: '/sessions/{id}', name: 'GET /sessions/{id}' },
    { context: '/auth/1.0', template: '/users', name: 'GET /users' },
    { context: '/orders/1.0', template: '/users', name: null },
  ])('takes $template of $context whole: $name', ({ context, template, name }) => {
    const api = { ...ORDERS, context }
    const call = callOf({ at: 0, api, operation: { method: 'GET', template } })
    for (let i = 0; i < 2; i++) expect(operations.nameOf(call)).toBe(name)
  })

  it('takes the words that it is given', () => {
    const own = new AuthOperations(['Anmelden'])
    const pathOf = (path: string) => own.nameOf(callOf({ at: 0, operation: null, path }))
    expect([pathOf('/anmelden'), pathOf('/login')]).toEqual(['GET /anmelden', null])
  })
})
