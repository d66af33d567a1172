import { expect, it } from 'vitest'
import { METRICS } from '../../../src/model/metric-definitions.ts'

const INTRODUCTION = `# Metrics

Served at \`/metrics\`. A call without an API counts with \`api=""\`, \`version=""\`, \`namespace=""\` and
confidence \`none\` or \`ambiguous\`. \`status_class\` is \`2xx\` … \`5xx\`, or \`none\` without an answer.
Unanswered, denied and limited calls are subsets of the requests. Node's own process metrics come
besides.

`

it('docs/metrics.md lists every metric with its labels (vitest -u writes it)', async () => {
  const rows = Object.values(METRICS).map(
    ({ name, type, labels, help }) => `| \`${name}\` | ${type} | ${labels.join(', ')} | ${help} |`,
  )
  const table = ['| name | type | labels | meaning |', '|---|---|---|---|', ...rows].join('\n')
  await expect(`${INTRODUCTION}${table}\n`).toMatchFileSnapshot('../../../docs/metrics.md')
})

it('follows the naming rules: counters end in _total, histograms in a base unit', () => {
  for (const { name, type } of Object.values(METRICS)) {
    expect(name).toMatch(/^weir_[a-z0-9_]+$/)
    expect(name.endsWith('_total')).toBe(type === 'counter')
    if (type === 'histogram') expect(name).toMatch(/_(seconds|bytes)$/)
  }
})
