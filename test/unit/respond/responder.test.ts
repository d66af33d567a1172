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
    w.calls(400, { outcome: 'limited', limitedBy: 'weir' }, w.refusedBy(revision))
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
    w.calls(1, call, w.refusedBy(w.limit().revision, address))
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
    w.calls(3, { clientAddress: '10.0.0.77' }, w.refusedBy('deadbeef', '10.0.0.77'))
    expect(w.limit()).toMatchObject({ state: 'enforced', evidence: { others_limited: 0 } })
  })

  it('counts a refused call whose revision is hidden by its client', async () => {
    const w = world()
    await enforced(w)
    w.calls(3, { outcome: 'limited', limitedBy: 'weir' }, { weirMark: 'HUBBLE_REDACTED' })
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
    w.calls(2, { outcome: 'limited' }, w.refusedBy(revision))
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

it('forgets the oldest ended limits, and counts them', () => {
  const w = world({ budgets: { endedMax: 10 }, protect: ['10.0.0.0/24'] })
  for (let i = 0; i < 30; i++) w.responder.finding(findingOf({ id: `finding-${i}` }))
  expect(w.responder.limits()).toHaveLength(10)
  expect(w.responder.counts()).toMatchObject({ evicted: 20 })
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
