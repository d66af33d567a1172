import { expect, it } from 'vitest'
import { runWeir } from './weir.ts'

it('the demo finds both abusers, limits them, proves it, and hits nobody else', async () => {
  const { code, stdout, stderr } = await runWeir(['demo', '--for', '50s', '--json'])
  expect(stderr).toBe('')
  const summary = JSON.parse(stdout) as { findings: { rule: string }[] }
  expect(summary).toMatchObject({ unaccounted: 0 })
  expect(new Set(summary.findings.map(({ rule }) => rule))).toEqual(
    new Set(['auth-bruteforce', 'request-flood']),
  )
  const limit = { effect: 'effective', state: 'enforced', others_limited: 0 }
  expect(summary).toMatchObject({
    limits: [
      { ...limit, client: { value: 'labs/password-tester' } },
      { ...limit, client: { value: 'partners/partner-sync' } },
    ],
  })
  expect(code).toBe(0)
})
