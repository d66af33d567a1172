import { join } from 'node:path'
import { beforeEach, expect, it, vi } from 'vitest'
import { ConfigError, describeError } from '../../../src/errors.ts'
import { type KubernetesAccess, openAccess } from '../../../src/kubernetes/access.ts'
import { directoryOf } from '../../fixtures/directory.ts'

const SECRET = 'eyJhbGciOi.secret-token'
const CLUSTER = { name: 'c', cluster: { server: 'https://127.0.0.1:6443' } }
const USER = { name: 'u', user: { token: SECRET } }
const CONTEXT = { name: 'x', context: { cluster: 'c', user: 'u' } }

function kubeconfig(text: string, context?: string): KubernetesAccess {
  const path = join(directoryOf({ config: text }), 'config')
  return { from: 'kubeconfig', path, ...(context === undefined ? {} : { context }) }
}

function configOf(changes: object): string {
  const whole = {
    clusters: [CLUSTER],
    users: [USER],
    contexts: [CONTEXT],
    'current-context': 'x',
  }
  return JSON.stringify({ ...whole, ...changes })
}

// Whoever runs the tests may do so in a pod.
beforeEach(() => void vi.stubEnv('KUBERNETES_SERVICE_HOST', undefined))

it.each([
  {
    why: 'a kubeconfig that is not there',
    access: () => ({ from: 'kubeconfig', path: '/nowhere/config' }) as const,
    says: 'Cannot read kubeconfig /nowhere/config: it is missing or no kubeconfig (ENOENT)',
  },
  {
    why: 'a kubeconfig that is no YAML',
    access: () => kubeconfig(`users:\n- user:\n    token: ${SECRET}\n   broken: [\n`),
    says: 'it is missing or no kubeconfig',
  },
  {
    why: 'a kubeconfig that is empty',
    access: () => kubeconfig(''),
    says: 'it is missing or no kubeconfig',
  },
  {
    why: 'a context that the kubeconfig does not have',
    access: () => kubeconfig(configOf({}), 'production'),
    says: 'it has no context "production"',
  },
  {
    why: 'a context without its cluster',
    access: () => kubeconfig(configOf({ clusters: [] })),
    says: 'names no API server',
  },
  {
    why: 'plain HTTP that nobody allowed',
    access: () => ({ from: 'server', server: 'http://127.0.0.1:8080', token: SECRET }) as const,
    says: 'http://127.0.0.1:8080 is plain HTTP',
  },
  {
    why: 'a pod that is none',
    access: () => ({ from: 'cluster' }) as const,
    says: 'this process does not run in a pod',
  },
])('refuses $why, and keeps its secrets', async ({ access, says }) => {
  const error: unknown = await openAccess(access()).catch((cause: unknown) => cause)
  expect(error).toBeInstanceOf(ConfigError)
  expect(describeError(error)).toContain(says)
  expect(describeError(error)).not.toContain(SECRET)
})

it('speaks as the user of the context that is asked for', async () => {
  const other = { name: 'v', user: { token: 'another' } }
  const contexts = [CONTEXT, { name: 'y', context: { cluster: 'c', user: 'v' } }]
  const found = await openAccess(kubeconfig(configOf({ contexts, users: [USER, other] }), 'y'))
  expect(found.server.href).toBe('https://127.0.0.1:6443/')
  expect((await found.requestOptions()).headers).toEqual({ Authorization: 'Bearer another' })
})
