import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../../src/errors.ts'
import type { ApiCallFields } from '../../../src/model/api-call.ts'
import type { ExchangeFields } from '../../../src/model/exchange.ts'
import type { Limit } from '../../../src/model/limit.ts'
import type { ServiceFacts } from '../../../src/respond/eligibility.ts'
import { planOf } from '../../../src/respond/plan.ts'
import { createResponder, type ResponderOptions } from '../../../src/respond/responder.ts'
import {
  API,
  callOf,
  decisionOf,
  factsOf,
  findingOf,
  memoryTarget,
  SERVICE,
  START_MS,
  TARGET,
} from './samples.ts'

const STAGES = {
  armMs: 1_000,
  settleMs: 1_000,
  shadowMs: 5_000,
  judgeMs: [5_000, 10_000],
  ttlMs: [60_000, 180_000],
  minWriteIntervalMs: 1_000,
}

const BOT = { kind: 'workload', value: 'shop/bot', addresses: [] } as const

/** What identity makes of an answer with our revision. */
const REFUSED = { outcome: 'limited', limitedBy: 'weir' } as const

/** A responder in mode enforce on a target in memory, and a clock that the test moves. */
function world(options: Partial<ResponderOptions> = {}, initial: readonly object[] = []) {
  const memory = memoryTarget(initial)
  const told: Limit[] = []
  const errors: string[] = []
  const facts: { now: Partial<ServiceFacts> } = { now: {} }
  const responder = createResponder({
    ...STAGES,
    mode: 'enforce',
    target: memory.target,
    targetsOf: () => [TARGET],
    factsOf: () => factsOf(facts.now),
    randomHex: () => '5be2a91f',
    onLimit: (limit) => told.push(limit),
    onError: (error) => errors.push(error.message),
    ...options,
  })
  const clock = { nowMs: START_MS }
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const tick = async (): Promise<void> => {
    responder.sink.advance(clock.nowMs, clock.nowMs)
    await settle()
  }
  return {
    ...memory,
    responder,
    told,
    errors,
    facts,
    clock,
    tick,
    /** Moves on second by second. */
    async pass(seconds: number): Promise<void> {
      for (let i = 0; i < seconds; i++) {
        clock.nowMs += 1_000
        await tick()
      }
    },
    async start(): Promise<void> {
      await responder.start(new AbortController().signal)
      await tick()
    },
    calls(
      count: number,
      call: Partial<ApiCallFields> = {},
      exchange: Partial<ExchangeFields> = {},
    ) {
      for (let i = 0; i < count; i++) {
        responder.sink.accept(callOf(clock.nowMs, call, exchange))
      }
    },
    marked: { weirShadow: 'r=5be2a91f; c=10.0.0.2' },
    refusedBy: (revision: string | null, address = '10.0.0.2') => ({
      weirMark: `enforce; r=${revision}; c=${address}`,
    }),
    limit: (): Limit => {
      const limit = responder.limits().at(-1)
      if (limit === undefined) throw new Error('no limit')
      return limit
    },
    text: (): string => memory.standing.get('shop/weir-checkout') ?? '',
  }
}
type World = ReturnType<typeof world>

/** Takes the finding's limit to the moment at which it is enforced. */
async function enforced(w: World, finding = findingOf()): Promise<void> {
  await w.start()
  w.responder.finding(finding)
  await w.pass(4)
  expect(w.limit()).toMatchObject({ state: 'shadow' })
  w.calls(10, {}, w.marked)
  await w.pass(8)
  expect(w.limit()).toMatchObject({ state: 'enforced' })
}

function inertText(): string {
  const plan = planOf({ ...SERVICE, uid: 'uid-1' }, [], '')
  if ('refusal' in plan) throw new Error(plan.refusal)
  return JSON.stringify(plan.cec)
}

describe('mode observe', () => {
  it('proposes, and writes nothing', async () => {
    const w = world({ mode: 'observe', target: null })
    await w.start()
    w.responder.finding(findingOf())
    await w.pass(30)
    expect(w.limit()).toMatchObject({ state: 'proposed', mode: 'shadow', revision: null })
    await w.pass(40)
    expect(w.limit()).toMatchObject({ state: 'expired', until: null })
    expect(w.written).toEqual([])
    expect(w.responder.inForce()).toEqual({ revisions: new Set(), nonces: new Set() })
  })

  it('is the only one that needs no target', () => {
    expect(() => world({ mode: 'shadow', target: null })).toThrow(ConfigError)
  })
})

describe('the life of a limit', () => {
  it('is proposed, shadow, enforced and proved, expired, and leaves the CEC as it was armed', async () => {
    const w = world()
    await w.start()
    w.responder.finding(findingOf())
    expect(w.limit()).toMatchObject({ state: 'proposed', revision: null, burst: 10 })
    await w.pass(1)
    expect(w.text()).toBe(inertText())
    await w.pass(2)
    expect(w.limit()).toMatchObject({ state: 'shadow', revision: expect.stringMatching(/^\w{8}$/) })
    expect(w.responder.inForce().nonces).toEqual(new Set(['5be2a91f']))
    expect(w.text()).toContain('weir.shadow_ratelimit')
    expect(w.text()).not.toContain('enforce; r=')
    w.calls(30, {}, w.marked)
    expect(w.limit().evidence).toMatchObject({ limited: 30 })
    await w.pass(8)
    const { revision } = w.limit()
    expect(w.limit()).toMatchObject({ state: 'enforced', effect: 'undecided' })
    expect(w.text()).toContain(`enforce; r=${revision}; c=`)
    expect(w.responder.inForce().revisions).toContain(revision)
    await w.pass(2)
    w.calls(50)
    w.calls(400, REFUSED, w.refusedBy(revision))
    await w.pass(6)
    expect(w.limit()).toMatchObject({
      state: 'enforced',
      effect: 'effective',
      evidence: { limited: 400, passed: 50, others_limited: 0 },
    })
    await w.pass(60)
    expect(w.limit()).toMatchObject({ state: 'expired', effect: 'effective', until: null })
    expect(w.text()).toBe(inertText())
    expect(w.told.map(({ state }) => state)).toEqual(
      expect.arrayContaining(['proposed', 'shadow', 'enforced', 'expired']),
    )
  })

  it('writes once for each change, and never again the same', async () => {
    const w = world()
    await enforced(w)
    expect(w.written).toHaveLength(3) // armed, shadow, enforced
    w.responder.finding(findingOf())
    await w.pass(20)
    expect(w.written).toHaveLength(3)
    expect(w.responder.counts()).toMatchObject({ repeated: 1, writes: 3 })
    expect(w.responder.limits()).toHaveLength(1)
  })

  it('ends where the shadow marks nothing: the limit is not needed', async () => {
    const w = world()
    await w.start()
    w.responder.finding(findingOf())
    await w.pass(4)
    w.calls(20) // below the limit
    w.calls(20, {}, { weirShadow: 'r=00000000; c=10.0.0.2' }) // forged
    await w.pass(8)
    expect(w.limit()).toMatchObject({ state: 'reverted', effect: 'not_needed' })
    expect(w.text()).toBe(inertText())
  })

  it('stays a shadow in mode shadow, until its time is over', async () => {
    const w = world({ mode: 'shadow' })
    await w.start()
    w.responder.finding(findingOf())
    await w.pass(4)
    w.calls(20, {}, w.marked)
    await w.pass(30)
    expect(w.limit()).toMatchObject({ state: 'shadow', mode: 'shadow' })
    await w.pass(60)
    expect(w.limit()).toMatchObject({ state: 'expired', evidence: { limited: 20 } })
    expect(w.written.join()).not.toContain('enforce; r=')
    expect(w.text()).toBe(inertText())
  })

  it('takes a limit back that lets too much pass', async () => {
    const w = world()
    await enforced(w)
    await w.pass(2)
    w.calls(500)
    await w.pass(6)
    expect(w.limit()).toMatchObject({ state: 'reverted', effect: 'ineffective' })
    expect(w.text()).toBe(inertText())
    w.responder.finding(findingOf())
    expect(w.limit()).toMatchObject({
      state: 'refused',
      reason: expect.stringContaining('no effect'),
    })
  })

  it('keeps a limit whose client is too quiet to tell', async () => {
    const w = world()
    await enforced(w)
    await w.pass(2)
    w.calls(5)
    await w.pass(20)
    expect(w.limit()).toMatchObject({ state: 'enforced', effect: 'undecided' })
  })

  it('does not count calls before it could act, to the gateway, or unanswered, as passed', async () => {
    const w = world()
    await enforced(w)
    for (let i = 0; i < 500; i++) w.responder.sink.accept(callOf(START_MS + 8_500))
    await w.pass(2)
    w.calls(500, { via: 'client' })
    w.calls(500, { outcome: 'unanswered' }, { outcome: 'unanswered' })
    w.calls(500, { operation: { method: 'POST', template: '/orders' } })
    await w.pass(6)
    expect(w.limit()).toMatchObject({ state: 'enforced', evidence: { passed: 0 } })
  })

  it.each([
    { why: 'another client', address: '10.0.0.77', call: { clientAddress: '10.0.0.77' } },
    {
      why: 'another operation of the client',
      address: '10.0.0.2',
      call: { operation: { method: 'POST', template: '/orders' } },
    },
    { why: 'another API of the client', address: '10.0.0.2', call: { api: { ...API, id: 'x' } } },
  ])('takes a limit back at once that hits $why', async ({ address, call }) => {
    const w = world()
    await enforced(w)
    w.calls(1, { ...REFUSED, ...call }, w.refusedBy(w.limit().revision, address))
    expect(w.limit()).toMatchObject({
      state: 'reverted',
      effect: 'collateral',
      evidence: { others_limited: 1 },
    })
    await w.pass(1)
    expect(w.text()).toBe(inertText())
  })

  it('takes a shadow back that marks somebody else', async () => {
    const w = world()
    await w.start()
    w.responder.finding(findingOf())
    await w.pass(4)
    w.calls(1, { clientAddress: '10.0.0.77' }, { weirShadow: 'r=5be2a91f; c=10.0.0.77' })
    expect(w.limit()).toMatchObject({ state: 'reverted', effect: 'collateral' })
  })

  it('is not misled by answers with a revision that was never ours', async () => {
    const w = world()
    await enforced(w)
    const refused = { outcome: 'limited', limitedBy: 'other' } as const
    w.calls(3, { ...refused, clientAddress: '10.0.0.77' }, w.refusedBy('deadbeef', '10.0.0.77'))
    expect(w.limit()).toMatchObject({ state: 'enforced', evidence: { others_limited: 0 } })
  })

  it('counts a refused call whose revision is hidden by its client', async () => {
    const w = world()
    await enforced(w)
    w.calls(3, REFUSED, { weirMark: 'HUBBLE_REDACTED' })
    expect(w.limit()).toMatchObject({ evidence: { limited: 3 } })
  })

  it('still knows late answers of rules that it has replaced', async () => {
    const w = world()
    await enforced(w)
    const { revision } = w.limit()
    const second = { kind: 'ip', value: '10.0.0.3', addresses: ['10.0.0.3'] } as const
    w.responder.finding(findingOf({ id: 'finding-2', client: second }))
    await w.pass(3)
    expect(w.limit()).toMatchObject({ state: 'shadow' })
    expect(w.responder.inForce().revisions.size).toBeGreaterThan(1)
    w.calls(2, REFUSED, w.refusedBy(revision))
    const [first] = w.responder.limits()
    expect(first).toMatchObject({ state: 'enforced', evidence: { limited: 2, others_limited: 0 } })
    await w.pass(140)
    expect(w.responder.inForce().revisions).not.toContain(revision)
  })

  it('stands longer each time that the client comes back', async () => {
    const w = world()
    await enforced(w)
    const firstUntil = Date.parse(w.limit().until ?? '') - Date.parse(w.limit().since)
    await w.pass(61)
    w.responder.finding(findingOf())
    await w.pass(3)
    w.calls(9, {}, w.marked)
    await w.pass(8)
    const { state, until, since, id } = w.limit()
    expect(state).toBe('enforced')
    expect(Date.parse(until ?? '') - Date.parse(since)).toBeGreaterThan(2 * firstUntil)
    expect(w.responder.limits().filter((limit) => limit.id === id)).toHaveLength(1)
    expect(w.responder.limits()).toHaveLength(2)
  })
})

describe('an abuse that goes on', () => {
  /** `perSecond` calls in each of `seconds`, of which the limit lets ten pass. */
  async function abuse(w: World, seconds: number, perSecond: number): Promise<void> {
    for (let i = 0; i < seconds; i++) {
      w.calls(Math.min(10, perSecond))
      w.calls(Math.max(0, perSecond - 10), REFUSED, w.refusedBy(w.limit().revision))
      await w.pass(1)
    }
  }

  it('keeps its limit, for the next longer time, and writes no new rules for it', async () => {
    const w = world()
    await enforced(w)
    const { revision, until } = w.limit()
    await abuse(w, 70, 40)
    expect(w.limit()).toMatchObject({
      state: 'enforced',
      effect: 'effective',
      revision,
      reason: expect.stringMatching(
        /^it goes on: (?:3[89]|40)\.\d calls a second .*, 10\.0 pass.* 180 s$/,
      ),
    })
    expect(Date.parse(w.limit().until ?? '')).toBe(Date.parse(until ?? '') + 180_000)
    expect(w.responder.counts()).toMatchObject({ renewed: 1 })
    expect(w.text()).toContain(String(w.limit().until))
    await w.pass(185) // it has stopped
    expect(w.limit()).toMatchObject({ state: 'expired' })
    expect(w.text()).toBe(inertText())
    expect(w.responder.counts()).toMatchObject({ renewed: 1 })
  })

  it.each([
    { why: 'keeps to the rate', perSecond: 10 },
    { why: 'stays below it', perSecond: 2 },
  ])('loses it once the client $why', async ({ perSecond }) => {
    const w = world()
    await enforced(w)
    await abuse(w, 70, perSecond)
    expect(w.limit()).toMatchObject({ state: 'expired' })
  })

  it('loses it where flows stopped coming: nothing tells that it goes on', async () => {
    const w = world({ ttlMs: [120_000] })
    await enforced(w)
    await abuse(w, 40, 40)
    const eventMs = w.clock.nowMs
    for (let i = 0; i < 90; i++) {
      w.clock.nowMs += 1_000
      w.responder.sink.advance(eventMs, w.clock.nowMs)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(w.limit()).toMatchObject({ state: 'expired', effect: 'effective' })
  })

  it('loses it after a burst that has long passed', async () => {
    const w = world()
    await enforced(w)
    await abuse(w, 5, 100)
    await w.pass(60)
    expect(w.limit()).toMatchObject({ state: 'expired', evidence: { limited: 450 } })
  })
})

describe('flows that are told late', () => {
  it('are waited for before a shadow is judged, and before a limit is', async () => {
    const w = world()
    const lateMs = 30_000
    await w.start()
    w.responder.finding(findingOf())
    const passLate = async (seconds: number, call: (startMs: number) => void): Promise<void> => {
      for (let i = 0; i < seconds; i++) {
        w.clock.nowMs += 1_000
        call(w.clock.nowMs - lateMs)
        w.responder.sink.advance(w.clock.nowMs - lateMs, w.clock.nowMs)
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    await passLate(30, (startMs) => {
      if (w.limit().state === 'shadow') w.responder.sink.accept(callOf(startMs)) // of before the write
    })
    expect(w.limit()).toMatchObject({ state: 'shadow', evidence: { limited: 0, passed: 0 } })
    await passLate(12, (startMs) => w.responder.sink.accept(callOf(startMs, {}, w.marked)))
    expect(w.limit()).toMatchObject({ state: 'enforced' })
    // 30 s of what passed before the write came into force must not make it ineffective.
    await passLate(30, (startMs) => {
      for (let i = 0; i < 50; i++) w.responder.sink.accept(callOf(startMs))
    })
    expect(w.limit()).toMatchObject({ state: 'enforced', effect: 'undecided' })
  })

  it('are not judged by a node whose clock is ahead', async () => {
    const w = world()
    await w.start()
    w.responder.finding(findingOf())
    for (let i = 0; i < 5; i++) {
      w.clock.nowMs += 1_000
      w.responder.sink.advance(w.clock.nowMs + 3_600_000, w.clock.nowMs)
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(w.limit()).toMatchObject({ state: 'shadow' })
  })
})

describe('marks that are not what they seem', () => {
  const other = { clientAddress: '10.0.0.77' }
  it.each([
    {
      why: 'of another caller, on an answer of its own server',
      call: REFUSED,
      mark: '10.9.9.9',
    },
    {
      why: 'on an answer that was not refused',
      call: { ...other },
      mark: '10.0.0.77',
    },
    {
      why: 'on an answer of another Service',
      call: { ...REFUSED, ...other },
      mark: '10.0.0.77',
      to: { destinationService: 'shop/mine', destinationIp: '10.96.0.8' },
    },
    {
      why: "on an answer that one of the Service's pods wrote",
      call: { ...REFUSED, ...other },
      mark: '10.0.0.77',
      to: { destinationService: '', destinationIp: '10.0.9.1' },
    },
    {
      why: "of the client's own, on another operation, by its own server",
      call: { ...REFUSED, api: null, operation: { method: 'GET', template: '/x' } },
      mark: '10.0.0.2',
      to: { destinationService: '', destinationIp: '10.0.0.2' },
    },
  ])('do not lift a limit: our revision $why', async ({ call, mark, to = {} }) => {
    const w = world()
    await enforced(w)
    const { report } = callOf(w.clock.nowMs, call).exchange
    const exchange = { ...w.refusedBy(w.limit().revision, mark), report: { ...report, ...to } }
    w.calls(3, call, exchange)
    expect(w.limit()).toMatchObject({ state: 'enforced', evidence: { others_limited: 0 } })
  })

  it('do not lift a limit: the header of the shadow, handed on by the backend', async () => {
    const w = world()
    await w.start()
    w.responder.finding(findingOf())
    await w.pass(4)
    w.calls(5, { clientAddress: '10.0.9.1', api: { ...API, id: 'x' } }, w.marked)
    expect(w.limit()).toMatchObject({ state: 'shadow', evidence: { limited: 0 } })
    expect(w.responder.counts()).toMatchObject({ strayMarks: 5 })
  })

  it('count by the address of a Service that Hubble does not name', async () => {
    const w = world()
    await enforced(w)
    const { report } = callOf(w.clock.nowMs, other).exchange
    w.calls(
      1,
      { ...REFUSED, ...other },
      {
        ...w.refusedBy(w.limit().revision, '10.0.0.77'),
        report: { ...report, destinationService: '' },
      },
    )
    expect(w.limit()).toMatchObject({ state: 'reverted', effect: 'collateral' })
  })
})

describe('an address that is not the client’s alone', () => {
  const two = { kind: 'workload', value: 'shop/bot', addresses: ['10.0.0.2', '10.0.0.3'] } as const
  const neighbour = { kind: 'workload', value: 'shop/web', addresses: ['10.0.0.3'] } as const

  it('is given up at the first call of another client, and not taken again', async () => {
    const w = world()
    await enforced(w, findingOf({ client: two }))
    w.calls(1, { client: neighbour, clientAddress: '10.0.0.3' })
    await w.pass(2)
    expect(w.text()).not.toContain('10.0.0.3')
    w.responder.finding(findingOf({ client: two }))
    await w.pass(2)
    expect(w.text()).not.toContain('10.0.0.3')
    w.calls(1, { client: neighbour, clientAddress: '10.0.0.2' })
    expect(w.limit()).toMatchObject({
      state: 'reverted',
      reason: expect.stringContaining('shop/web'),
    })
    await w.pass(2)
    expect(w.text()).toBe(inertText())
  })

  it('takes the limit back when another client behind it is refused', async () => {
    const w = world()
    await enforced(w)
    w.calls(1, { ...REFUSED, client: neighbour }, w.refusedBy(w.limit().revision))
    expect(w.limit()).toMatchObject({ state: 'reverted', effect: 'collateral' })
  })

  it('is kept where its last owner called before the limit, or the client is named otherwise', async () => {
    const w = world()
    await enforced(w)
    w.responder.sink.accept(callOf(START_MS - 5_000, { client: neighbour }))
    w.calls(1, { client: { kind: 'header', value: 'f00d', addresses: ['10.0.0.2'] } })
    expect(w.limit()).toMatchObject({ state: 'enforced' })
  })
})

describe('the clock', () => {
  it('that goes back takes every limit with it, and holds no undo up', async () => {
    const w = world()
    await enforced(w)
    w.clock.nowMs -= 3_600_000
    await w.pass(1)
    expect(w.limit()).toMatchObject({
      state: 'reverted',
      reason: expect.stringContaining('3599 s'),
    })
    expect(w.text()).toBe(inertText())
    w.responder.finding(findingOf({ id: 'finding-2' }))
    await w.pass(4)
    expect(w.limit()).toMatchObject({ state: 'shadow' })
  })

  it('that is set back a little only stands still', async () => {
    const w = world()
    await enforced(w)
    w.clock.nowMs -= 5_000
    await w.pass(1)
    expect(w.limit()).toMatchObject({ state: 'enforced' })
  })
})

describe('what speaks against a limit', () => {
  it('refuses with the reason, once however often it is found, and counts', async () => {
    const w = world({ protect: ['10.0.0.0/24'] })
    await w.start()
    w.responder.finding(findingOf())
    w.responder.finding(findingOf())
    expect(w.told).toMatchObject([{ state: 'refused', reason: '10.0.0.2 must never be limited' }])
    expect(w.responder.counts().refused).toEqual({ protected_address: 2 })
  })

  it('refuses a namespace that it cannot see', async () => {
    const w = world()
    w.facts.now = { namespaceLabels: undefined }
    w.responder.finding(findingOf())
    expect(w.limit()).toMatchObject({
      state: 'refused',
      reason: expect.stringContaining('visible'),
    })
  })

  it('leaves findings about no single client, or without a suggestion, alone', () => {
    const w = world()
    w.responder.finding(findingOf({ client: null }))
    w.responder.finding(findingOf({ suggestion: null }))
    expect(w.told).toEqual([])
    expect(w.responder.counts()).toMatchObject({ findings: 2, withoutLimit: 2 })
  })

  it.each([
    { budget: { limitsMax: 1 }, code: 'budget_limits' },
    { budget: { clientsPerApiMax: 1 }, code: 'budget_clients' },
    { budget: { cecsMax: 1 }, code: 'budget_cecs' },
  ])('keeps within the budget $code', async ({ budget, code }) => {
    const w = world({
      budgets: budget,
      targetsOf: (_api, operation) => [
        operation?.template === '/other' ? { ...TARGET, service: 'other' } : TARGET,
      ],
    })
    await w.start()
    w.responder.finding(findingOf())
    const client = { kind: 'ip', value: '10.0.0.3', addresses: ['10.0.0.3'] } as const
    const operation = { method: 'GET', template: '/other' }
    w.responder.finding(findingOf({ id: 'finding-2', client, operation }))
    expect(w.limit()).toMatchObject({ state: 'refused', reason: expect.stringContaining('budget') })
    expect(w.responder.counts().refused).toEqual({ [code]: 1 })
    await w.pass(3)
    expect([...w.standing.keys()]).toEqual(['shop/weir-checkout'])
  })

  it('writes no more rules a minute than the budget, but always takes them back', async () => {
    const w = world({ budgets: { writesPerMinuteMax: 2 } })
    await w.start()
    w.responder.finding(findingOf())
    await w.pass(4)
    w.calls(9, {}, w.marked)
    await w.pass(20)
    expect(w.written).toHaveLength(2) // armed, shadow; the third has to wait
    w.responder.pause(true)
    await w.tick()
    expect(w.text()).toBe(inertText())
  })

  it('takes a limit back when another CEC comes to name the Service', async () => {
    const w = world()
    await enforced(w)
    const theirs = {
      metadata: { name: 'theirs', namespace: 'shop' },
      spec: { services: [{ name: 'checkout', namespace: 'shop' }] },
    }
    w.facts.now = { cecs: [theirs] }
    await w.pass(12)
    expect(w.limit()).toMatchObject({
      state: 'reverted',
      reason: expect.stringContaining('theirs'),
    })
    expect(w.text()).toBe(inertText())
  })

  it.each([
    { why: 'the namespace opts out', now: { namespaceLabels: {} }, says: 'not opted in any more' },
    {
      why: 'the namespace is not seen any more',
      now: { namespaceLabels: undefined },
      says: 'opted',
    },
    {
      why: 'the client becomes a backend',
      now: { endpointAddresses: ['10.0.0.2'] },
      says: 'backend',
    },
  ])('takes a limit back when $why', async ({ now, says }) => {
    const w = world()
    await enforced(w)
    w.facts.now = now
    await w.pass(12)
    expect(w.limit()).toMatchObject({ state: 'reverted', reason: expect.stringContaining(says) })
    expect(w.text()).toBe(inertText())
  })

  it.each([
    { why: 'a node that is no probe', reserved: 'host', userAgent: 'curl/8', refused: true },
    { why: 'the outside', reserved: 'world', userAgent: '', refused: true },
    { why: 'the kubelet', reserved: 'host', userAgent: 'kube-probe/1.33', refused: false },
    { why: "Cilium's gateway", reserved: 'ingress', userAgent: '', refused: false },
  ])('of a Service that $why calls: $refused', async ({ reserved, userAgent, refused }) => {
    const w = world()
    await w.start()
    const { report } = callOf(START_MS).exchange
    const source = { ...report.source, reserved }
    const to = { destinationService: '', destinationIp: '10.0.9.1' }
    w.calls(1, { clientAddress: '10.0.5.5' }, { userAgent, report: { ...report, source, ...to } })
    w.responder.finding(findingOf())
    expect(w.limit().state).toBe(refused ? 'refused' : 'proposed')
    if (refused) expect(w.limit().reason).toContain(`called by ${reserved}`)
    w.clock.nowMs += 86_460_000
    await w.tick()
    w.responder.finding(findingOf({ id: 'finding-2' }))
    expect(w.limit().state).toBe('proposed')
  })

  it('keys no limit on an address that is gone', async () => {
    const w = world()
    const client = {
      kind: 'workload',
      value: 'shop/bot',
      addresses: ['10.0.0.2', '10.0.0.3'],
    } as const
    await enforced(w, findingOf({ client }))
    w.responder.addressGone('10.0.0.3')
    await w.pass(2)
    expect(w.text()).not.toContain('10.0.0.3')
    expect(w.text()).toContain('10.0.0.2')
    w.responder.addressGone('10.0.0.2')
    await w.pass(2)
    expect(w.limit()).toMatchObject({ state: 'reverted' })
    expect(w.text()).toBe(inertText())
  })

  it('goes with its client to a new pod, at its first call', async () => {
    const w = world({ protect: ['10.0.0.66'], budgets: { addressesMax: 3 } })
    await enforced(w)
    const seenAt = (clientAddress: string, call: Partial<ApiCallFields> = {}) => {
      w.calls(500, { ...call, clientAddress, client: BOT })
    }
    seenAt('10.0.0.8')
    seenAt('10.0.0.66') // protected
    seenAt('10.0.9.1') // a backend
    seenAt('10.0.0.7', { operation: { method: 'POST', template: '/orders' } })
    w.responder.sink.accept(callOf(START_MS - 1, { clientAddress: '10.0.0.5', client: BOT })) // long gone
    await w.pass(2)
    expect(w.limit().client.addresses).toEqual(['10.0.0.2', '10.0.0.8'])
    expect(w.text()).toContain('10.0.0.8')
    w.calls(20, { clientAddress: '10.0.0.8' })
    await w.pass(12) // judged twice: what passed before the write is not held against it
    expect(w.limit()).toMatchObject({ state: 'enforced', evidence: { passed: 20 } })
    for (const last of [10, 11, 12]) seenAt(`10.0.0.${last}`)
    expect(w.limit().client.addresses).toHaveLength(3)
  })

  it('follows a client to its new addresses', async () => {
    const w = world()
    await enforced(w)
    const client = {
      kind: 'workload',
      value: 'shop/bot',
      addresses: ['10.0.0.2', '10.0.0.8'],
    } as const
    w.responder.finding(findingOf({ client }))
    await w.pass(2)
    expect(w.text()).toContain('10.0.0.8')
  })
})

describe('the kill switch', () => {
  it('takes everything back at once, and refuses what comes until it is off', async () => {
    const w = world({ minWriteIntervalMs: 600_000 })
    await w.start()
    w.responder.finding(findingOf())
    await w.pass(1)
    w.responder.pause(true)
    expect(w.limit()).toMatchObject({ state: 'reverted', reason: 'the kill switch is on' })
    w.responder.finding(findingOf({ id: 'finding-2' }))
    expect(w.limit()).toMatchObject({ state: 'refused' })
    w.responder.pause(false)
    w.responder.finding(findingOf({ id: 'finding-2' }))
    expect(w.limit()).toMatchObject({ state: 'proposed' })
  })

  it('does not wait for the interval between writes', async () => {
    const w = world()
    await enforced(w)
    w.responder.pause(true)
    await w.tick()
    expect(w.text()).toBe(inertText())
  })
})

describe('a target that is away', () => {
  it('is tried again, and the limit says so meanwhile', async () => {
    const w = world()
    await w.start()
    w.failing.error = new Error('disk full')
    w.responder.finding(findingOf())
    await w.pass(2)
    expect(w.limit()).toMatchObject({
      state: 'proposed',
      reason: expect.stringContaining('disk full'),
    })
    expect(w.errors[0]).toContain('Cannot write the CEC of shop/checkout')
    w.failing.error = undefined
    await w.pass(5)
    expect(w.limit().reason).not.toContain('disk full')
    expect(w.limit()).toMatchObject({ state: 'shadow' })
  })

  it('does not lose an undo: it is written once the target is back', async () => {
    const w = world()
    await enforced(w)
    const { revision } = w.limit()
    w.failing.error = new Error('gone')
    w.responder.pause(true)
    await w.pass(120)
    expect(w.text()).toContain(`r=${revision}`)
    expect(w.responder.inForce().revisions).toContain(revision)
    expect(w.limit()).toMatchObject({ state: 'reverted', reason: expect.stringContaining('gone') })
    w.failing.error = undefined
    await w.pass(70)
    expect(w.text()).toBe(inertText())
    expect(w.responder.counts().writeErrors).toBeLessThan(20)
  })

  it('gets no limit whose time ran out meanwhile', async () => {
    const w = world()
    await w.start()
    w.responder.finding(findingOf())
    await w.pass(4)
    w.calls(10, {}, w.marked)
    w.failing.error = new Error('gone')
    await w.pass(150)
    expect(w.limit()).toMatchObject({ state: 'expired', effect: 'undecided' })
    w.failing.error = undefined
    await w.pass(70)
    expect(w.text()).toBe(inertText())
    expect(w.written.join()).not.toContain('enforce; r=')
  })

  it('is still known by the rules that stand there, whatever could not be written since', async () => {
    const w = world()
    await enforced(w)
    const { revision } = w.limit()
    w.failing.error = new Error('gone')
    for (let i = 0; i < 12; i++) {
      const address = `10.0.1.${i}`
      const client = { kind: 'ip', value: address, addresses: [address] } as const
      w.responder.finding(findingOf({ id: `finding-${i + 2}`, client }))
      await w.pass(65)
    }
    expect(w.responder.inForce().revisions).toContain(revision)
  })

  it('is read back before anything is written', async () => {
    const w = world()
    w.failing.error = new Error('no route')
    await w.start()
    w.responder.finding(findingOf())
    await w.pass(1)
    expect(w.errors).toContain('Cannot read our CECs back: the target refused')
    w.failing.error = undefined
    await w.pass(4)
    expect(w.text()).not.toBe('')
  })
})

describe('a restart', () => {
  const acting = planOf({ ...SERVICE, uid: 'uid-1' }, [decisionOf()], '')
  const left = 'refusal' in acting ? {} : (acting.cec as object)

  it('takes back what an earlier process left in force, and keeps its CEC armed', async () => {
    const live = JSON.parse(JSON.stringify(left))
    live.metadata.resourceVersion = '7'
    live.metadata.managedFields = [{ manager: 'weir' }]
    const w = world({}, [live])
    await w.start()
    expect(w.text()).toBe(inertText())
    expect(w.written).toHaveLength(1)
    w.responder.finding(findingOf())
    await w.pass(2)
    expect(w.limit()).toMatchObject({ state: 'shadow' })
  })

  it('writes nothing where an armed CEC is inert already', async () => {
    const w = world({}, [JSON.parse(inertText())])
    await w.start()
    await w.pass(5)
    expect(w.written).toEqual([])
  })

  it('says which CEC it cannot read, and goes on', async () => {
    const w = world({}, [{ metadata: { name: 'weir-x', namespace: 'shop', labels: {} } }, left])
    await w.start()
    expect(w.errors).toEqual([expect.stringContaining('shop/weir-x')])
    expect(w.text()).toBe(inertText())
  })

  it('leaves nothing in force when it stops, and may be stopped twice', async () => {
    const w = world()
    await enforced(w)
    const { signal } = new AbortController()
    await w.responder.stop(signal)
    expect(w.text()).toBe(inertText())
    expect(w.limit()).toMatchObject({ state: 'reverted', reason: 'Weir stops' })
    await w.responder.stop(signal)
    expect(w.written).toHaveLength(4)
  })
})

it.each([
  { mode: 'shadow', told: 'shadow' },
  { mode: 'enforce', told: 'enforce' },
] as const)('a refused limit named enforce whatever the mode was: $mode', ({ mode, told }) => {
  const w = world({ mode, protect: ['10.0.0.0/24'] })
  w.responder.finding(findingOf())
  expect(w.limit()).toMatchObject({ state: 'refused', mode: told })
})

it('forgets the oldest ended limits, and counts them', () => {
  const w = world({ budgets: { endedMax: 10 }, protect: ['10.0.0.0/24'] })
  for (let i = 0; i < 30; i++) w.responder.finding(findingOf({ id: `finding-${i}` }))
  expect(w.responder.limits()).toHaveLength(10)
  expect(w.responder.counts()).toMatchObject({ evictions: { limits: 20 } })
})

it('takes back the limit that a CEC has no room for, and keeps the others', async () => {
  const matches = [{ method: 'GET', pathRegex: '/wide/[^/]+', template: '/wide' }]
  const many = Array.from({ length: 60 }, (_, i) => ({ ...matches[0], method: `M${i}` }))
  const w = world({
    targetsOf: (_api, _operation, scope) => [
      scope === 'api' ? { ...TARGET, matches: many as typeof matches } : TARGET,
    ],
  })
  await enforced(w)
  const suggestion = { limit: { rate: 1, per: '1s', burst: 1, scope: 'api' } } as const
  w.responder.finding(findingOf({ id: 'finding-2', suggestion }))
  await w.pass(3)
  expect(w.limit()).toMatchObject({ state: 'reverted', reason: expect.stringContaining('entries') })
  expect(w.errors).toEqual([expect.stringContaining('Cannot plan the CEC of shop/checkout')])
  expect(w.responder.limits()[0]).toMatchObject({ state: 'enforced' })
})
