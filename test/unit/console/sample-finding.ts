import type { Finding } from '../../../src/model/finding.ts'
import type { Limit } from '../../../src/model/limit.ts'
import { ORDERS } from '../traces/sample-call.ts'

export function sampleFinding(over: Partial<Finding> = {}): Finding {
  return {
    id: 'f1',
    rule: 'auth-bruteforce',
    ruleVersion: 1,
    kind: 'bruteforce',
    severity: 'medium',
    client: { kind: 'ip', value: '192.0.2.7', addresses: ['192.0.2.7'] },
    target: null,
    api: ORDERS,
    operation: { method: 'POST', template: '/login' },
    first: '2026-01-01T00:00:00.000Z',
    last: '2026-01-01T00:01:00.000Z',
    score: 12,
    threshold: 9,
    baseline: { source: 'none', floor: 5 },
    coverage: 1,
    counts: { failures: 40 },
    samples: ['c1'],
    sentence: '40 of 41 logins failed',
    suggestion: { limit: { rate: 1, per: '1s', burst: 1, scope: 'operation' } },
    ...over,
  }
}

export function sampleLimit(over: Partial<Limit> = {}): Limit {
  return {
    id: 'l1',
    finding: 'f1',
    client: { kind: 'ip', value: '192.0.2.7', addresses: ['192.0.2.7'] },
    api: ORDERS,
    operation: null,
    rate: 1,
    per: '1s',
    burst: 1,
    scope: 'api',
    mode: 'enforce',
    state: 'enforced',
    reason: 'the rule asked for it',
    since: '2026-01-01T00:00:00.000Z',
    until: null,
    revision: null,
    effect: 'undecided',
    evidence: { limited: 0, passed: 0, others_limited: 0 },
    ...over,
  }
}
