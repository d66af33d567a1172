import { type ExportResult, ExportResultCode } from '@opentelemetry/core'
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { PatientExporter } from '../../../src/traces/patient-exporter.ts'

const WELL: ExportResult = { code: ExportResultCode.SUCCESS }
const AWAY: ExportResult = {
  code: ExportResultCode.FAILED,
  error: Object.assign(new Error('no route'), { code: 'ECONNREFUSED' }),
}
const REFUSED: ExportResult = {
  code: ExportResultCode.FAILED,
  error: Object.assign(new Error('Bad Request'), { code: 400 }),
}
const SPANS: ReadableSpan[] = []

/** An endpoint that answers as `answers` says, the last one for ever; null: not at all. */
function start(...answers: (ExportResult | null)[]) {
  const log: string[] = []
  let attempts = 0
  const inner: SpanExporter = {
    export(_spans, done) {
      const answer = answers[Math.min(attempts++, answers.length - 1)]
      if (answer !== null && answer !== undefined) done(answer)
    },
    shutdown: async () => {},
  }
  const exporter = new PatientExporter({
    exporter: inner,
    backoffMs: (attempt) => attempt * 100,
    onSettled: (_spans, delivered) => log.push(delivered ? 'delivered' : 'lost'),
    onFailing: (text) => log.push(`failing: ${text}`),
    onWell: () => log.push('well'),
  })
  return { exporter, log, attempts: () => attempts }
}

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('PatientExporter', () => {
  it('holds a batch until the endpoint takes it, and tells each change once', () => {
    const { exporter, log, attempts } = start(AWAY, AWAY, WELL)
    const done = vi.fn()
    exporter.export(SPANS, done)
    expect(log).toEqual(['failing: no route (ECONNREFUSED)'])
    vi.advanceTimersByTime(100)
    expect([attempts(), exporter.failing]).toEqual([2, true])
    expect(done).not.toHaveBeenCalled()
    vi.advanceTimersByTime(200)
    expect(log).toEqual(['failing: no route (ECONNREFUSED)', 'delivered', 'well'])
    expect(exporter.failing).toBe(false)
    expect(done).toHaveBeenCalledExactlyOnceWith(WELL)
  })

  it('loses at once what the endpoint refuses for good', () => {
    const { exporter, log } = start(REFUSED, WELL)
    exporter.export(SPANS, () => {})
    exporter.export(SPANS, () => {})
    expect(log).toEqual(['lost', 'failing: Bad Request (400)', 'delivered', 'well'])
  })

  it('loses a batch that cannot be encoded, and goes on', () => {
    const inner: SpanExporter = {
      export: () => {
        throw new RangeError('too long')
      },
      shutdown: async () => {},
    }
    const events: string[] = []
    new PatientExporter({
      exporter: inner,
      backoffMs: () => 1,
      onSettled: (_spans, delivered) => events.push(String(delivered)),
      onFailing: (text) => events.push(text),
      onWell: () => {},
    }).export(SPANS, () => {})
    expect(events).toEqual(['false', 'too long'])
  })

  it('tries what waits once more when in a hurry, and then lets it go', () => {
    const { exporter, log, attempts } = start(AWAY)
    exporter.export(SPANS, () => {})
    exporter.hurry()
    expect([attempts(), log.at(-1)]).toEqual([2, 'lost'])
    vi.advanceTimersByTime(60_000)
    expect(attempts()).toBe(2)
  })

  it('ends everything, what comes later included, once given up', () => {
    const { exporter, log, attempts } = start(null)
    const done = vi.fn()
    exporter.export(SPANS, done)
    exporter.giveUp()
    exporter.export(SPANS, done)
    expect(log).toEqual(['lost', 'lost'])
    expect(attempts()).toBe(1)
    expect(done).toHaveBeenCalledTimes(2)
  })

  it('counts a batch once when its answer comes after it was given up', () => {
    const answers: ((result: ExportResult) => void)[] = []
    const settled: boolean[] = []
    const exporter = new PatientExporter({
      exporter: { export: (_spans, done) => void answers.push(done), shutdown: async () => {} },
      backoffMs: () => 1,
      onSettled: (_spans, delivered) => settled.push(delivered),
      onFailing: () => {},
      onWell: () => {},
    })
    exporter.export(SPANS, () => {})
    exporter.giveUp()
    for (const answer of answers) answer(WELL)
    expect(settled).toEqual([false])
  })
})
