import { describe, expect, it, onTestFinished } from 'vitest'
import { startEnvoy } from '../../services/envoy.ts'
import { need } from '../../services/need.ts'

describe.skipIf(need('envoy').skip)('envoy', () => {
  it('runs a bootstrap and shows its counters', async () => {
    const envoy = await startEnvoy({ node: { id: 'smoke', cluster: 'smoke' } })
    onTestFinished(() => envoy.stop())
    expect(await envoy.stats('^server\\.(live|concurrency)$')).toEqual({
      'server.live': 1,
      'server.concurrency': 2,
    })
    expect(await envoy.admin('/server_info')).toContain('/1.40.0/')
  })

  it('says why it refuses a bootstrap', async () => {
    await expect(startEnvoy({ no_such_field: true })).rejects.toThrow(/no_such_field/)
  })
})
