import { describe, expect, it } from 'vitest'
import { burst, findingsOf, inOrder, LOGIN, ordinaryLife } from './calls.ts'

const HOUR = 3_600

describe('request-flood', () => {
  it('fires within the minute, as soon as the count passes the floor', () => {
    expect(findingsOf(burst(239, 10, { at: 0 }))).toEqual([])
    const findings = findingsOf(burst(240, 10, { at: 5 }))
    expect(findings).toMatchObject([
      {
        rule: 'request-flood',
        kind: 'flood',
        severity: 'medium',
        client: { value: '203.0.113.1' },
        target: null,
        operation: { method: 'GET', template: '/items' },
        first: '2026-01-01T00:00:05.000Z',
        last: '2026-01-01T00:00:14.958Z',
        score: 240,
        threshold: 240,
        baseline: { source: 'none', floor: 240, ownMax: 0 },
        counts: { '200': 121, requests: 240, recorded: 121 },
        sentence:
          'Client ip 203.0.113.1 sent 240 requests within 10 s to orders 1.0, against a threshold of 240 in 60 s; no baseline yet.',
        suggestion: { limit: { rate: 4, per: '1s', burst: 4, scope: 'operation' } },
      },
    ])
    expect(findings[0]?.samples).toHaveLength(10)
  })

  it('counts over a sliding window: no minute boundary helps', () => {
    expect(findingsOf(burst(240, 59, { at: 30 }))).toHaveLength(1)
    expect(findingsOf(burst(400, 120, { at: 0 }))).toEqual([])
  })

  it('compares with the population once it has been learned', () => {
    const life = ordinaryLife()
    const findings = findingsOf([...life, ...burst(120, 20, { at: HOUR })])
    expect(findings).toMatchObject([
      { threshold: 120, baseline: { source: 'population', p99: 8, ownMax: 0, floor: 120 } },
    ])
    expect(findings[0]?.suggestion?.limit).toMatchObject({ rate: 1, burst: 1 })
    expect(findingsOf([...life, ...burst(119, 20, { at: HOUR })])).toEqual([])
  })

  it('suggests a limit on the API where the calls are spread over it', () => {
    const spread = inOrder(
      burst(200, 20, { at: 0 }),
      burst(100, 20, { at: 0.01, operation: LOGIN, status: 200 }),
    )
    const [finding] = findingsOf(spread)
    expect(finding).toMatchObject({ operation: null, suggestion: { limit: { scope: 'api' } } })
  })

  it('leaves alone a chatty client that always was', () => {
    const chatty = { client: '192.0.2.9' }
    const past = burst(100 * 60, HOUR, { at: 0, ...chatty })
    const busier = burst(190, 60, { at: HOUR, ...chatty })
    expect(findingsOf(inOrder(ordinaryLife(), past, busier))).toEqual([])
    const far = burst(500, 60, { at: HOUR, ...chatty })
    expect(findingsOf(inOrder(ordinaryLife(), past, far))).toHaveLength(1)
  })

  it('learns nothing from a flood, so that the next one is found, too', () => {
    const flood = (at: number) => burst(6_000, 600, { at })
    const findings = findingsOf(inOrder(ordinaryLife(0, 240), flood(HOUR), flood(3 * HOUR)))
    expect(findings.filter(({ severity }) => severity === 'medium')).toHaveLength(2)
    expect(findings.every(({ baseline }) => baseline['p99'] === 8)).toBe(true)
  })

  it('learns nothing from an API that is down, whose clients try again and again', () => {
    const storm = Array.from({ length: 10 }, (_, i) =>
      burst(900, 600, { at: HOUR, client: `198.51.100.${i}`, status: 503 }),
    )
    const calls = inOrder(ordinaryLife(0, 90), ...storm, burst(130, 50, { at: 1.4 * HOUR }))
    expect(findingsOf(calls)).toMatchObject([{ client: { value: '203.0.113.1' }, threshold: 120 }])
  })

  it('lets no client raise the population’s percentile alone', () => {
    const many = Array.from({ length: 900 }, (_, i) => burst(1, 1, { at: i * 2, client: `c${i}` }))
    const noisy = burst(100 * 30, 1_800, { at: 0, client: '192.0.2.9' })
    const calls = inOrder(...many, noisy, burst(130, 50, { at: 1_800 }))
    expect(findingsOf(calls)).toMatchObject([{ threshold: 120, baseline: { p99: 1 } }])
  })

  it('is not raised step by step by who stays below twice its own maximum', () => {
    const ramp = [100, 190, 360, 690].flatMap((count, i) =>
      burst(count, 59, { at: HOUR + i * 660 }),
    )
    const [finding] = findingsOf(inOrder(ordinaryLife(0, 120), ramp))
    expect(finding).toMatchObject({ threshold: 200, baseline: { ownMax: 100 } })
  })

  it('becomes more severe by multiples: same id, told three times in all', () => {
    const findings = findingsOf(burst(5_000, 50, { at: 0 }))
    expect(findings.map(({ severity, score }) => [severity, score])).toEqual([
      ['medium', 240],
      ['high', 720],
      ['critical', 2_400],
    ])
    expect(new Set(findings.map(({ id }) => id)).size).toBe(1)
  })

  it('is one abuse until it has been over for the cool-down', () => {
    const twice = (gap: number) => [...burst(300, 30, { at: 0 }), ...burst(300, 30, { at: gap })]
    expect(findingsOf(twice(400))).toHaveLength(1)
    const findings = findingsOf(twice(700))
    expect(new Set(findings.map(({ id }) => id)).size).toBe(2)
  })

  it('never counts what we limited ourselves, but counts what another limited', () => {
    expect(findingsOf(burst(2_000, 50, { at: 0, status: 429, limitedBy: 'weir' }))).toEqual([])
    const [finding] = findingsOf(burst(300, 50, { at: 0, status: 429, limitedBy: 'other' }))
    expect(finding).toMatchObject({ severity: 'medium', counts: { '429': 121 } })
  })

  it('takes a rush of many clients as one incident', () => {
    const rush = Array.from({ length: 20 }, (_, i) => burst(400, 60, { at: 0, client: `c${i}` }))
    const findings = findingsOf(inOrder(...rush))
    expect(findings).toMatchObject([
      { kind: 'incident', client: null, target: { api: 'orders' }, suggestion: null },
    ])
  })

  it.each([
    { why: 'a job that bursts', seconds: 60, status: 200, found: 0 },
    { why: 'a workload that keeps it up', seconds: 400, status: 200, found: 1 },
    { why: 'a workload that does harm at once', seconds: 60, status: 503, found: 1 },
  ])('finds $found: $why in the cluster', ({ seconds, status, found }) => {
    const workload = { kind: 'workload', client: 'shop/report' } as const
    const calls = burst(10 * seconds, seconds, { at: HOUR, status, ...workload })
    const findings = findingsOf(inOrder(ordinaryLife(0, 80), calls))
    expect(new Set(findings.map(({ id }) => id)).size).toBe(found)
  })

  it.each([150, 600, 3_000, 12_000])(
    'finds a workload that sends %i a minute, however far that is above all others together',
    (perMinute) => {
      const bot = { kind: 'workload', client: 'shop/bot' } as const
      const flood = (at: number) => burst(perMinute * 8, 480, { at, ...bot })
      const calls = inOrder(ordinaryLife(0, 130), flood(HOUR), flood(2 * HOUR))
      const findings = findingsOf(calls)
      expect(new Set(findings.map(({ id }) => id)).size).toBe(2)
      for (const { threshold, baseline, client } of findings) {
        expect([threshold, client?.value]).toEqual([120, 'shop/bot'])
        expect(baseline['p99']).toBeLessThan(10)
      }
    },
  )

  it('is not excused by its own first minutes, where few clients have taught anything', () => {
    const quiet = Array.from({ length: 12 }, (_, i) =>
      burst(5 * 50, 3_000, { at: i, client: `198.51.100.${i}` }),
    )
    const flood = burst(600 * 8, 480, { at: 2_400, kind: 'workload', client: 'shop/bot' })
    const [finding] = findingsOf(inOrder(...quiet, flood))
    expect(finding).toMatchObject({ client: { value: 'shop/bot' }, baseline: { p99: 5 } })
  })

  it.each([
    { why: 'a workload', who: { kind: 'workload', client: 'ingress/gateway' } },
    { why: 'a node that stands for others', who: { client: '10.0.0.1', reserved: 'remote-node' } },
  ] as const)('takes $why with most of an API’s calls for a gateway', ({ who }) => {
    const gateway = burst(600 * 40, 2_400, { at: 0, ...who })
    expect(findingsOf(inOrder(ordinaryLife(0, 40), gateway))).toEqual([])
  })

  it('says which workload was called, where no API is known', () => {
    const [finding] = findingsOf(burst(240, 10, { at: 0, api: null, to: 'shop/cart' }))
    expect(finding).toMatchObject({ api: null, target: { workload: 'shop/cart' } })
    expect(finding?.sentence).toContain('to workload shop/cart')
  })

  it('obeys its thresholds', () => {
    const thresholds = { windowSeconds: 10, warmFloorPerMinute: 60 }
    const rules = [{ id: 'request-flood', thresholds }]
    expect(findingsOf(burst(9, 9, { at: 0 }), { rules })).toEqual([])
    expect(findingsOf(burst(10, 9, { at: 0 }), { rules })).toMatchObject([
      { score: 10, threshold: 10 },
    ])
    const off = [{ id: 'request-flood', enabled: false }]
    expect(findingsOf(burst(1_000, 9, { at: 0 }), { rules: off })).toEqual([])
  })
})
