import { expect, it } from 'vitest'
import type { Limit } from '../../../src/model/limit.ts'
import { Ledger } from '../../../src/pipeline/ledger.ts'
import { createLogger } from '../../../src/telemetry/logger.ts'
import { Telemetry } from '../../../src/telemetry/telemetry.ts'

const LIMIT: Limit = {
  id: 'limit-1',
  finding: 'finding-1',
  client: { kind: 'workload', value: 'labs/job', addresses: ['10.0.0.7'] },
  api: null,
  operation: null,
  rate: 1,
  per: '1s',
  burst: 1,
  scope: 'api',
  mode: 'enforce',
  state: 'proposed',
  reason: 'arming',
  since: '2026-01-01T00:00:00.000Z',
  until: null,
  revision: null,
  effect: 'undecided',
  evidence: { limited: 0, passed: 0, others_limited: 0 },
}

function start() {
  const telemetry = new Telemetry({
    log: createLogger('silent', { write: () => {} }),
    version: 'test',
    nodeVersion: 'test',
    configHash: 'test',
    now: () => 0,
  })
  const ledger = new Ledger()
  let limits: readonly Limit[] = []
  telemetry.observe({
    ledger,
    limits: () => limits,
    apis: () => 3,
    evictions: () => ({ calls: 2 }),
    coverage: () => [],
    discoveries: () => ({}),
  })
  const change = (changes: Partial<Limit>) => {
    const limit = { ...LIMIT, ...changes }
    limits = [limit]
    telemetry.limit(limit)
  }
  const forget = () => {
    limits = []
  }
  const series = async (name: string) => {
    const lines = (await telemetry.metrics()).body.split('\n')
    return lines.filter((line) => line.startsWith(name) && !line.startsWith('#'))
  }
  return { telemetry, ledger, change, forget, series }
}

it('counts each verdict once, and undecided only for a limit that ended so', async () => {
  const { change, series } = start()
  change({ state: 'shadow' })
  change({ state: 'enforced', effect: 'effective' })
  change({ state: 'enforced', effect: 'effective', reason: 'again' })
  change({ state: 'expired', effect: 'effective' })
  change({ id: 'limit-2', state: 'shadow' })
  change({ id: 'limit-2', state: 'reverted' })
  expect(await series('weir_limit_effect_total')).toEqual([
    'weir_limit_effect_total{effect="effective"} 1',
    'weir_limit_effect_total{effect="undecided"} 1',
  ])
})

it('shows limits in every state, and counts what they refused even when they are forgotten', async () => {
  const { change, forget, series } = start()
  change({ state: 'enforced', evidence: { limited: 5, passed: 2, others_limited: 0 } })
  expect(await series('weir_limits{')).toContain('weir_limits{state="enforced"} 1')
  expect(await series('weir_limits{')).toContain('weir_limits{state="refused"} 0')
  change({ state: 'enforced', evidence: { limited: 9, passed: 2, others_limited: 0 } })
  await series('weir_limits{')
  forget()
  await series('weir_limits{')
  expect(await series('weir_limit_requests_total')).toEqual([
    'weir_limit_requests_total{api="",outcome="limited"} 9',
    'weir_limit_requests_total{api="",outcome="passed"} 2',
  ])
})

it('reads the ledger at each scrape', async () => {
  const { ledger, series } = start()
  const stage = ledger.open('exchange', ['kept', 'joined', 'merged:retry'], () => 1)
  stage.in = 6
  stage.out = 2
  stage.ended(1)
  stage.ended(2, 2)
  expect(await series('weir_pipeline_')).toEqual([
    'weir_pipeline_items_total{stage="exchange",outcome="in",reason=""} 6',
    'weir_pipeline_items_total{stage="exchange",outcome="out",reason=""} 2',
    'weir_pipeline_items_total{stage="exchange",outcome="joined",reason=""} 1',
    'weir_pipeline_items_total{stage="exchange",outcome="merged",reason="retry"} 2',
    'weir_pipeline_in_flight{stage="exchange"} 1',
    'weir_pipeline_unaccounted{stage="exchange"} 0',
  ])
  expect(await series('weir_evicted_total')).toEqual(['weir_evicted_total{what="calls"} 2'])
  expect(await series('weir_catalogue_apis')).toEqual(['weir_catalogue_apis 3'])
})
