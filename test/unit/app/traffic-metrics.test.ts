import { expect, it } from 'vitest'
import { sourceClustersOf } from '../../../src/app/sources.ts'
import { configSchema } from '../../../src/config/schema.ts'

it('knows the cluster of each source by the name that the source gets', () => {
  const sources = [
    { relay: 'a:80', cluster: 'blue' },
    { peer: 'b:80' },
    { file: 'c.ndjson', name: 'capture', cluster: 'green' },
    { file: '-' },
  ]
  const config = configSchema.parse({ cluster: 'home', hubble: { sources } })
  expect([...sourceClustersOf(config)]).toEqual([
    ['a:80', 'blue'],
    ['b:80', 'home'],
    ['capture', 'green'],
    ['-', 'home'],
  ])
})
