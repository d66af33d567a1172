import fc from 'fast-check'
import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { MetricCells } from '../../../src/model/metric-cells.ts'
import type { MetricDefinition } from '../../../src/model/metric-definitions.ts'
import { HOSTILE_VALUES, linesOf, reference, samplesOf } from '../../fixtures/exposition.ts'

const LABELS = ['one', 'two'] as const
const COUNTER: MetricDefinition = { name: 'c_total', type: 'counter', labels: LABELS, help: 'a\\b' }
const GAUGE: MetricDefinition = { name: 'g', type: 'gauge', labels: ['one'], help: 'x\ny' }
const HISTOGRAM: MetricDefinition = {
  name: 'h_seconds',
  type: 'histogram',
  labels: LABELS,
  help: 'h',
  buckets: [0.1, 1, 2.5],
}
const DEFINITIONS = [COUNTER, GAUGE, HISTOGRAM]

/** Our metrics and prom-client's, and one function that feeds both. */
function both(withCluster = false) {
  const registry = new Registry()
  const cells = new MetricCells()
  const options = { withCluster }
  const counter = cells.scalar(COUNTER, options)
  const gauge = cells.scalar(GAUGE, options)
  const histogram = cells.histogram(HISTOGRAM, options)
  const references = DEFINITIONS.map((definition) => reference(registry, definition, withCluster))
  const update = (metric: number, values: readonly string[], n: number) => {
    references[metric]?.(values, n)
    if (metric === 0) counter.add(counter.cellOf(values), n)
    if (metric === 1) gauge.set(gauge.cellOf(values), n)
    if (metric === 2) histogram.observe(histogram.cellOf(values), n)
  }
  return { registry, cells, update }
}

it('shows a metric without series by its head, as prom-client does', async () => {
  const { registry, cells } = both()
  expect(await cells.metrics()).toBe(await registry.metrics())
})

it('is what prom-client shows, after any updates with any labels', async () => {
  const value = fc.constantFrom(...HOSTILE_VALUES)
  const number = fc.oneof(fc.nat(20), fc.double({ min: 0, max: 20, noNaN: true }))
  const one = fc.tuple(fc.nat(2), value, value, number)
  await fc.assert(
    fc.asyncProperty(fc.array(one, { maxLength: 60 }), async (updates) => {
      const { registry, cells, update } = both()
      for (const [metric, a, b, n] of updates) update(metric, metric === 1 ? [a] : [a, b], n)
      expect(linesOf(await cells.metrics())).toEqual(linesOf(await registry.metrics()))
    }),
  )
})

it('puts a bound itself into its bucket, and what no bucket takes into the sum and the count', async () => {
  const cells = new MetricCells()
  const histogram = cells.histogram(HISTOGRAM)
  const cell = histogram.cellOf(['a', 'b'])
  for (const n of [0.1, 2.5, 2.6]) histogram.observe(cell, n)
  const text = await cells.metrics()
  const buckets = samplesOf(text, 'h_seconds_bucket').map(([{ le }, n]) => [le, n])
  expect(buckets).toEqual([
    ['0.1', 1],
    ['1', 1],
    ['2.5', 2],
    ['+Inf', 3],
  ])
  expect(samplesOf(text, 'h_seconds_sum')[0]?.[1]).toBeCloseTo(5.2)
  expect(samplesOf(text, 'h_seconds_count')[0]?.[1]).toBe(3)
})

it('keeps all values while it grows', async () => {
  const cells = new MetricCells()
  const counter = cells.scalar(COUNTER)
  const histogram = cells.histogram(HISTOGRAM)
  for (let i = 0; i < 1_000; i++) {
    counter.add(counter.cellOf([`${i}`, '']), i)
    histogram.observe(histogram.cellOf([`${i}`, '']), i)
  }
  const text = await cells.metrics()
  const expected = Array.from({ length: 1_000 }, (_, i) => [{ one: `${i}`, two: '' }, i])
  expect(samplesOf(text, 'c_total')).toEqual(expected)
  expect(samplesOf(text, 'h_seconds_sum')).toEqual(expected)
})

describe('label values', () => {
  it('are read back as they were, whatever they are', async () => {
    const property = fc.asyncProperty(fc.string({ unit: 'binary' }), async (value) => {
      const cells = new MetricCells()
      const counter = cells.scalar(COUNTER)
      counter.add(counter.cellOf([value, 'b']))
      const expected = [[{ one: value, two: 'b' }, 1]]
      expect(samplesOf(await cells.metrics(), 'c_total')).toEqual(expected)
    })
    await fc.assert(property)
    const line = 'a\n"} 1\nb\\'
    const cells = new MetricCells()
    const counter = cells.scalar(COUNTER)
    counter.add(counter.cellOf([line, '']))
    const text = await cells.metrics()
    expect(text).toContain('c_total{one="a\\n\\"} 1\\nb\\\\",two=""} 1\n')
  })

  it('that look like another label were counted in its series', async () => {
    const { registry, cells, update } = both()
    update(0, ['a', ',two:b'], 1)
    update(0, ['a,two:', 'b'], 1)
    expect(samplesOf(await registry.metrics(), 'c_total')).toHaveLength(1)
    expect(samplesOf(await cells.metrics(), 'c_total')).toHaveLength(2)
  })
})

describe('beyond seriesMax', () => {
  const start = () => {
    let full = 0
    const cells = new MetricCells()
    const onFull = () => full++
    const counter = cells.scalar(COUNTER, { seriesMax: 2, closed: ['two'], onFull })
    const add = (one: string, two: string) => {
      const cell = counter.cellOf([one, two])
      counter.add(cell)
      return cell
    }
    return { cells, counter, add, full: () => full }
  }

  it('counts under other, closed labels as they are, and tells each update', async () => {
    const { cells, add, full } = start()
    for (const one of ['a', 'b', 'c', 'd', 'c', 'a']) add(one, 'x')
    add('e', 'y')
    expect(samplesOf(await cells.metrics(), 'c_total')).toEqual([
      [{ one: 'a', two: 'x' }, 2],
      [{ one: 'b', two: 'x' }, 1],
      [{ one: 'other', two: 'x' }, 3],
      [{ one: 'other', two: 'y' }, 1],
    ])
    expect(full()).toBe(4)
  })

  it('finds the same cell again, and makes no other', () => {
    const { counter, add } = start()
    for (const one of ['a', 'b']) expect(add(one, 'x')).toBeGreaterThan(0)
    const beyond = add('c', 'x')
    expect(beyond).toBeLessThan(0)
    for (let i = 0; i < 1_000; i++) expect(add(`v${i}`, 'x')).toBe(beyond)
    expect(counter.size).toBe(3)
  })

  it('tells a histogram likewise', async () => {
    const cells = new MetricCells()
    const histogram = cells.histogram(HISTOGRAM, { seriesMax: 1 })
    for (const one of ['a', 'b', 'c']) histogram.observe(histogram.cellOf([one, 'x']), 1)
    expect(samplesOf(await cells.metrics(), 'h_seconds_count')).toEqual([
      [{ one: 'a', two: 'x' }, 1],
      [{ one: 'other', two: 'other' }, 2],
    ])
  })
})

it('has the cluster as its first label only where the metric is of a cluster', async () => {
  const cells = new MetricCells()
  const own = cells.scalar({ ...COUNTER, ofCluster: true }, { withCluster: true })
  const plain = cells.scalar(GAUGE, { withCluster: true })
  own.add(own.cellOf(['blue', 'a', 'b']))
  plain.set(plain.cellOf(['a']), 1)
  const text = await cells.metrics()
  expect(text).toContain('c_total{cluster="blue",one="a",two="b"} 1')
  expect(text).toContain('g{one="a"} 1')
})

it('hides a series that has no value, until it has one again', async () => {
  const cells = new MetricCells()
  const gauge = cells.scalar(GAUGE)
  const cell = gauge.cellOf(['a'])
  gauge.set(cell, Number.NaN)
  expect(samplesOf(await cells.metrics(), 'g')).toEqual([])
  gauge.set(cell, 2)
  expect(samplesOf(await cells.metrics(), 'g')).toEqual([[{ one: 'a' }, 2]])
})

it('a scrape of many series held up everything else', async () => {
  const cells = new MetricCells()
  const histogram = cells.histogram(HISTOGRAM)
  const seen = Array.from({ length: 5_000 }, (_, i) => histogram.cellOf([`${i}`, 'x']))
  for (const cell of seen) histogram.observe(cell, 0.5)
  let turns = 0
  let isDone = false
  const beat = () => {
    turns++
    // Updates go on between the slices.
    for (const cell of seen) histogram.observe(cell, 0.5)
    if (!isDone) setImmediate(beat)
  }
  setImmediate(beat)
  const text = await cells.metrics()
  isDone = true
  expect(turns).toBeGreaterThan(5)
  const counts = samplesOf(text, 'h_seconds_count').map(([, n]) => n)
  const sums = samplesOf(text, 'h_seconds_sum').map(([, n]) => n)
  expect(counts).toHaveLength(5_000)
  // Each label set is of one moment, though not all are of the same.
  expect(sums).toEqual(counts.map((n) => n * 0.5))
  expect(new Set(counts).size).toBeGreaterThan(1)
})
