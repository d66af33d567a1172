import { expect, it } from 'vitest'
import { respondOptions } from '../../../src/app/respond-options.ts'
import { configSchema } from '../../../src/config/schema.ts'
import { ConfigError } from '../../../src/errors.ts'

const ACCESS = { from: 'cluster' } as const

function optionsOf(respond: object, access?: typeof ACCESS) {
  return respondOptions(configSchema.parse({ respond }).respond, access)
}

it.each([
  { why: 'nothing is configured', respond: {} },
  { why: 'it only observes', respond: { target: 'kubernetes' } },
])('writes nowhere where $why', ({ respond }) => {
  expect(optionsOf(respond)).toMatchObject({ mode: 'observe', target: null })
  expect(optionsOf(respond)).not.toHaveProperty('targetComponent')
})

it('has a target in the cluster, which is to be opened and closed', () => {
  const { target, targetComponent } = optionsOf({ mode: 'shadow', target: 'kubernetes' }, ACCESS)
  expect(targetComponent).toBe(target)
  expect(targetComponent?.name).toBe('respond-target')
})

it('refuses to write to a cluster that nobody named', () => {
  expect(() => optionsOf({ mode: 'enforce', target: 'kubernetes' })).toThrow(ConfigError)
})

it('needs nothing to be opened for a directory', () => {
  const options = optionsOf({ mode: 'shadow', target: 'directory', directory: '/tmp/cecs' })
  expect(options.target).not.toBeNull()
  expect(options).not.toHaveProperty('targetComponent')
})
