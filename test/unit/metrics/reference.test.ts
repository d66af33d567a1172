import { expect, it } from 'vitest'
import { METRICS } from '../../../src/model/metric-definitions.ts'

const INTRODUCTION = `# Metrics

Served at \`/metrics\`. A call without an API counts with \`api=""\`, \`version=""\`, \`namespace=""\` and
confidence \`none\` or \`ambiguous\`. \`status_class\` is \`2xx\` … \`5xx\`, or \`none\` without an answer.
Unanswered, denied and limited calls are subsets of the requests. Node's own process metrics come
besides.

\`(cluster)\`: the metric has \`cluster\` as its first label where the sources are of more than one
cluster; it is the cluster whose Hubble reported. Labels that cluster objects fill take as many values
as \`metrics.budgets\` says, and a metric has at most 50,000 label sets; what comes later counts as
\`other\`. \`weir_source_lag_seconds\` is measured once a second and node.

`

it('docs/metrics.md lists every metric with its labels (vitest -u writes it)', async () => {
  const rows = Object.values(METRICS).map(({ name, type, labels, help, ofCluster }) => {
    const names = [...(ofCluster ? ['(cluster)'] : []), ...labels].join(', ')
    return `| \`${name}\` | ${type} | ${names} | ${help} |`
  })
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
