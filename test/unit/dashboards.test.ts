import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { METRICS, type MetricDefinition } from '../../src/model/metric-definitions.ts'

const gridPos = z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() })
const target = z.object({ refId: z.string(), expr: z.string(), legendFormat: z.string() })
const dashboard = z
  .object({
    uid: z.string(),
    schemaVersion: z.number().min(39),
    templating: z.object({
      list: z.array(z.object({ name: z.string(), definition: z.string().optional() })),
    }),
    panels: z.array(
      z.object({
        id: z.number(),
        title: z.string().min(1),
        gridPos,
        targets: z.array(target).default([]),
      }),
    ),
  })
  .parse(JSON.parse(readFileSync('dashboards/weir.json', 'utf8')))

const definitions: readonly MetricDefinition[] = Object.values(METRICS)
const HISTOGRAM_SERIES = /_(?:bucket|sum|count)$/

/** The definition of a series, and the labels that it has. */
function seriesOf(name: string): { type: string; labels: readonly string[] } | undefined {
  const exact = definitions.find((definition) => definition.name === name)
  if (exact !== undefined) return exact.type === 'histogram' ? undefined : exact
  const base = definitions.find(
    (definition) =>
      definition.type === 'histogram' && definition.name === name.replace(HISTOGRAM_SERIES, ''),
  )
  if (base === undefined || !HISTOGRAM_SERIES.test(name)) return undefined
  return {
    type: 'histogram',
    labels: name.endsWith('_bucket') ? [...base.labels, 'le'] : base.labels,
  }
}

/** What is wrong with a query: names and labels that Weir does not have, rates of what does not count. */
function problemsOf(expr: string, legend = ''): string[] {
  const problems: string[] = []
  const used = [...expr.matchAll(/\b(rate|increase)?\(?(weir_\w+)(?:\{([^}]*)\})?/g)]
  if (used.length === 0) problems.push('no metric')
  const groups = [...expr.matchAll(/\bby \(([^)]*)\)/g)].map(([, list = '']) => list.split(/, */))
  for (const [, counted, name = '', matchers = ''] of used) {
    const series = seriesOf(name)
    if (series === undefined) {
      problems.push(`${name} is not defined`)
      continue
    }
    const isGauge = series.type === 'gauge'
    const isValues = expr.startsWith('label_values(')
    if (!isValues && isGauge === (counted !== undefined))
      problems.push(`${name} is a ${series.type}`)
    const matched = [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label]) => label)
    for (const label of [...matched, ...groups.flat()]) {
      if (!series.labels.includes(label ?? '')) problems.push(`${name} has no label ${label}`)
    }
  }
  for (const [, label = ''] of legend.matchAll(/\{\{(\w+)\}\}/g)) {
    if (!groups.flat().includes(label))
      problems.push(`the legend shows ${label}, which is summed up`)
  }
  return problems
}

describe('dashboards/weir.json', () => {
  const panels = dashboard.panels.filter(({ targets }) => targets.length > 0)

  it.each(panels)('asks for what Weir exposes: $title', ({ targets }) => {
    expect(targets.flatMap(({ expr, legendFormat }) => problemsOf(expr, legendFormat))).toEqual([])
  })

  it('offers variables that queries use, from what Weir exposes', () => {
    const text = JSON.stringify(dashboard.panels)
    for (const { name, definition } of dashboard.templating.list) {
      if (definition === undefined) continue
      expect(text).toContain(`$${name}`)
      const [, metric = '', label = ''] = /^label_values\((\w+), (\w+)\)$/.exec(definition) ?? []
      expect(seriesOf(metric)?.labels).toContain(label)
    }
  })

  it('shows each counted loss and the books', () => {
    const asked = panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)).join('\n')
    for (const { name } of [
      METRICS.apiUnanswered,
      METRICS.apiDenied,
      METRICS.apiLimited,
      METRICS.flowsLost,
      METRICS.flowsRejected,
      METRICS.pipelineUnaccounted,
      METRICS.events,
      METRICS.spans,
      METRICS.limits,
    ]) {
      expect(asked).toContain(name)
    }
  })

  it('places panels side by side, each with an id of its own', () => {
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length)
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
    expect(Math.max(...dashboard.panels.map(({ gridPos: { x, w } }) => x + w))).toBeLessThan(25)
  })
})

describe('problemsOf()', () => {
  it.each([
    { expr: 'sum(rate(weir_nothing_total[5m]))', problem: 'weir_nothing_total is not defined' },
    {
      expr: 'sum(rate(weir_api_requests_total{path="/"}[5m]))',
      problem: 'weir_api_requests_total has no label path',
    },
    {
      expr: 'sum by (client) (rate(weir_api_requests_total[5m]))',
      problem: 'weir_api_requests_total has no label client',
    },
    { expr: 'sum(weir_api_requests_total)', problem: 'weir_api_requests_total is a counter' },
    { expr: 'sum(rate(weir_limits[5m]))', problem: 'weir_limits is a gauge' },
    {
      expr: 'sum(rate(weir_api_request_duration_seconds[5m]))',
      problem: 'weir_api_request_duration_seconds is not defined',
    },
  ])('finds: $problem', ({ expr, problem }) => {
    expect(problemsOf(expr)).toContain(problem)
  })
})
