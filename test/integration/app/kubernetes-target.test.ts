import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { parse } from 'yaml'
import {
  createKubernetesTarget,
  type KubernetesTarget,
  type KubernetesTargetOptions,
} from '../../../src/app/kubernetes-target.ts'
import { ConfigError, type EnforceError } from '../../../src/errors.ts'
import { type Decision, planOf } from '../../../src/respond/plan.ts'
import { readArmedService } from '../../../src/respond/read-back.ts'
import { renderFindings } from '../../../src/respond/render.ts'
import { createResponder, type Responder } from '../../../src/respond/responder.ts'
import { isObject, type JsonObject, objectAt, textAt } from '../../services/json-object.ts'
import { type Kubernetes, startKubernetes } from '../../services/kubernetes.ts'
import { need } from '../../services/need.ts'
import {
  callOf,
  decisionOf,
  factsOf,
  findingOf,
  SERVICE,
  START_MS,
  serviceObject,
  TARGET,
} from '../../unit/respond/samples.ts'
import { breakablePathTo } from '../kubernetes/breakable-path.ts'
import { rbacFor, weirsOwnRbac } from '../kubernetes/cluster-objects.ts'
import { asWeir } from '../kubernetes/recorded-watch.ts'

const NONCE = '5be2a91f'
const RULES = 'typed_per_filter_config'
const BRIEFLY_MS = 5_000

function cecOf(namespace: string, ...decisions: readonly Decision[]): JsonObject {
  const plan = planOf({ ...SERVICE, namespace, uid: 'uid-1' }, decisions, NONCE)
  if ('refusal' in plan || !isObject(plan.cec)) throw new Error('no plan')
  return plan.cec
}

const otherDecision = decisionOf({ id: 'limit-2', addresses: ['10.0.0.3'] })

/** As others see it: without what the server sets. */
function bare(cec: JsonObject): JsonObject {
  const {
    uid: _u,
    resourceVersion: _r,
    creationTimestamp: _c,
    generation: _g,
    managedFields: _m,
    ...metadata
  } = objectAt(cec, 'metadata')
  return { ...cec, metadata }
}

describe.skipIf(need('kubernetes').skip)('createKubernetesTarget()', () => {
  let kubernetes: Kubernetes
  let namespaces = 0
  const reader = weirsOwnRbac().filter((o) => JSON.stringify(o).includes('weir-reader'))
  const writer = weirsOwnRbac().filter((o) => JSON.stringify(o).includes('weir-enforcer'))
  const noWriter = rbacFor('weir-enforcer', ['cilium.io'], ['ciliumenvoyconfigs'], ['delete'])

  beforeAll(async () => {
    kubernetes = await startKubernetes()
    await kubernetes.installCrds('cilium', ['ciliumenvoyconfigs'])
    await kubernetes.apply(...reader)
  })
  beforeEach(() => kubernetes.apply(...writer))
  afterAll(() => kubernetes.stop())

  async function open(options: Partial<KubernetesTargetOptions> = {}): Promise<KubernetesTarget> {
    const target = createKubernetesTarget({ connect: asWeir(kubernetes), ...options })
    await target.start(new AbortController().signal)
    onTestFinished(() => target.stop(AbortSignal.timeout(1_000)))
    return target
  }

  const label = async (name: string, labels: object): Promise<void> =>
    kubernetes.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } })

  /** A namespace of the test's own. */
  async function optedIn(): Promise<string> {
    const name = `shop-${++namespaces}`
    await label(name, { 'weir.dev/enforce': 'enabled' })
    return name
  }

  const pathOf = (namespace: string): string =>
    `/apis/cilium.io/v2/namespaces/${namespace}/ciliumenvoyconfigs/weir-checkout`

  /** Undefined where there is none. */
  async function standing(namespace: string): Promise<JsonObject | undefined> {
    const { status, body } = await kubernetes.call('GET', pathOf(namespace))
    return status === 404 ? undefined : body
  }

  async function standingText(namespace: string): Promise<string> {
    return JSON.stringify(await standing(namespace))
  }

  const versionOf = async (namespace: string): Promise<string> =>
    textAt(objectAt((await standing(namespace)) ?? {}, 'metadata'), 'resourceVersion')

  it('creates, changes, undoes, and makes anew what was removed', async () => {
    const namespace = await optedIn()
    const target = await open()
    const forms = [
      cecOf(namespace),
      cecOf(namespace, decisionOf({ mode: 'shadow' })),
      cecOf(namespace, decisionOf(), otherDecision),
      cecOf(namespace, decisionOf()),
      cecOf(namespace),
    ]
    for (const cec of forms) {
      await target.write(cec)
      expect(bare((await standing(namespace)) ?? {})).toEqual(cec)
      const listed = (await target.list()).map(readArmedService)
      expect(listed).toContainEqual({
        service: { ...SERVICE, namespace, uid: 'uid-1' },
        ours: cec,
      })
    }
    await kubernetes.remove(cecOf(namespace))
    await target.write(cecOf(namespace), { undo: true })
    expect(await standing(namespace)).toBeUndefined()
    await target.write(cecOf(namespace, decisionOf()))
    expect(bare((await standing(namespace)) ?? {})).toEqual(cecOf(namespace, decisionOf()))
  })

  it.each(['shadow', 'enforce'] as const)('has there what render prints: %s', async (mode) => {
    const namespace = await optedIn()
    const rendered = renderFindings([findingOf()], {
      mode,
      targetsOf: () => [{ ...TARGET, namespace }],
      factsOf: () => factsOf(),
    })
    if ('refusal' in rendered) throw new Error(rendered.refusal)
    const cec: unknown = parse(rendered.documents)
    if (!isObject(cec)) throw new Error('no object')
    await (await open()).write(cec)
    expect(bare((await standing(namespace)) ?? {})).toEqual(cec)
  })

  it('writes nothing where it stands already, and leaves others their metadata', async () => {
    const namespace = await optedIn()
    const target = await open()
    await target.write(cecOf(namespace, decisionOf()))
    const theirs = {
      labels: { team: 'shop' },
      annotations: { note: 'seen' },
      finalizers: ['example.com/audit'],
    }
    const { apiVersion, kind } = cecOf(namespace)
    const metadata = { name: 'weir-checkout', namespace, ...theirs }
    await kubernetes.apply({ apiVersion, kind, metadata })
    const before = await versionOf(namespace)
    await target.write(cecOf(namespace, decisionOf()))
    expect(await versionOf(namespace)).toBe(before)
    await target.write(cecOf(namespace))
    const now = (await standing(namespace)) ?? {}
    expect(now).toMatchObject({ metadata: theirs, spec: cecOf(namespace)['spec'] })
    expect(JSON.stringify(now)).not.toContain('weir.dev/decisions')
    expect(readArmedService(now)).toMatchObject({ ours: cecOf(namespace) })
    await kubernetes.apply({ apiVersion, kind, metadata: { ...metadata, finalizers: [] } })
  })

  it('fails, and may try again, where somebody else wrote between its read and its write', async () => {
    const namespace = await optedIn()
    const path = await holdingPath(kubernetes.server)
    const target = await open({ connect: { ...asWeir(kubernetes), server: path.server } })
    await target.write(cecOf(namespace))
    path.hold()
    const writing = target.write(cecOf(namespace, decisionOf()))
    writing.catch(() => {})
    const { apiVersion, kind } = cecOf(namespace)
    const metadata = { name: 'weir-checkout', namespace, annotations: { note: 'meanwhile' } }
    await sleep(300)
    await kubernetes.apply({ apiVersion, kind, metadata })
    path.passOthers()()
    await expect(writing).rejects.toMatchObject({
      code: 'ENFORCE',
      retryable: true,
      message: expect.stringContaining('HTTP 409'),
    })
    expect(await standingText(namespace)).not.toContain(RULES)
    await target.write(cecOf(namespace, decisionOf()))
    const text = await standingText(namespace)
    expect(text).toContain(RULES)
    expect(text).toContain('meanwhile')
  })

  it('brings no rules with a write that comes after they were taken back', async () => {
    const namespace = await optedIn()
    const path = await holdingPath(kubernetes.server)
    const connect = { ...asWeir(kubernetes), server: path.server }
    const target = await open({ connect, deadlineMs: 1_000 })
    await target.write(cecOf(namespace))
    path.hold()
    await expect(target.write(cecOf(namespace, decisionOf()))).rejects.toMatchObject({
      retryable: true,
      message: `Cannot write CEC ${namespace}/weir-checkout: the API server took longer than 1000 ms`,
    })
    const release = path.passOthers()
    await target.write(cecOf(namespace), { undo: true })
    release()
    await sleep(500)
    expect(bare((await standing(namespace)) ?? {})).toEqual(cecOf(namespace))
  })

  it('never touches an object of that name that is not ours, not even to undo', async () => {
    const namespace = await optedIn()
    const target = await open()
    const spec = { services: [], resources: [] }
    const theirs = { ...cecOf(namespace), metadata: { name: 'weir-checkout', namespace }, spec }
    await kubernetes.apply(theirs)
    for (const write of [
      () => target.write(cecOf(namespace, decisionOf())),
      () => target.write(cecOf(namespace), { undo: true }),
    ]) {
      await expect(write()).rejects.toMatchObject({
        retryable: false,
        message: `Cannot write CEC ${namespace}/weir-checkout: it exists and is not Weir's`,
      })
    }
    expect(await standing(namespace)).toMatchObject({ spec })
    expect(await target.list()).not.toContainEqual(
      expect.objectContaining({ metadata: expect.objectContaining({ namespace }) }),
    )
  })

  it('brings no rule where the namespace has not opted in, or not any more, and takes rules away', async () => {
    const namespace = await optedIn()
    const target = await open()
    const [both, one, none] = [
      cecOf(namespace, decisionOf(), otherDecision),
      cecOf(namespace, decisionOf()),
      cecOf(namespace),
    ]
    const moved = cecOf(namespace, decisionOf({ addresses: ['10.0.0.9'] }))
    const prolonged = cecOf(namespace, decisionOf({ until: '2026-01-01T02:00:00.000Z' }))
    const refused = {
      retryable: false,
      message: expect.stringContaining('has not opted in (label weir.dev/enforce: enabled)'),
    }
    await label(namespace, {})
    await expect(target.write(none)).rejects.toMatchObject(refused)
    expect(await standing(namespace)).toBeUndefined()
    await label(namespace, { 'weir.dev/enforce': 'enabled' })
    await target.write(both)
    await label(namespace, { 'weir.dev/enforce': 'disabled' })
    await expect(target.write(moved)).rejects.toMatchObject(refused)
    await target.write(one)
    await expect(target.write(both)).rejects.toMatchObject(refused)
    await expect(target.write(prolonged)).rejects.toMatchObject(refused)
    expect(bare((await standing(namespace)) ?? {})).toEqual(one)
    await target.write(none, { undo: true })
    expect(bare((await standing(namespace)) ?? {})).toEqual(none)
    await expect(target.write(one)).rejects.toMatchObject(refused)
  })

  it('says that a namespace is not there', async () => {
    const write = (await open()).write(cecOf('nowhere', decisionOf()))
    await expect(write).rejects.toMatchObject({
      retryable: false,
      message: expect.stringContaining('whether namespace nowhere has opted in is not known'),
      cause: expect.objectContaining({ message: expect.stringContaining('"nowhere" not found') }),
    })
  })

  it('says which role to bind where RBAC refuses, and writes once it is bound', async () => {
    const namespace = await optedIn()
    const target = await open()
    await kubernetes.apply(...noWriter)
    const allowed = 'RBAC must allow verb "create" on resource "ciliumenvoyconfigs"'
    // The server's authorizer hears of it in a moment.
    await expect
      .poll(() => target.write(cecOf(namespace)).catch((error: unknown) => error))
      .toMatchObject({
        retryable: false,
        message: expect.stringMatching(
          new RegExp(`${allowed} .* in namespace "${namespace}": bind ClusterRole weir-enforcer$`),
        ),
      })
    await kubernetes.apply(...writer)
    await expect.poll(() => outcomeOf(target.write(cecOf(namespace)))).toBe('done')
    expect(await standing(namespace)).toBeDefined()
  })

  it('says which role reads, where that one is missing', async () => {
    const stranger = await startKubernetes()
    onTestFinished(() => stranger.stop())
    await stranger.installCrds('cilium', ['ciliumenvoyconfigs'])
    const target = await open({ connect: asWeir(stranger) })
    const [cluster, object] = ['in all namespaces', 'in namespace "shop"']
    for (const { ask, verb, where } of [
      { ask: () => target.list(), verb: 'list', where: cluster },
      { ask: () => target.write(cecOf('shop')), verb: 'get', where: object },
    ]) {
      const rule = `verb "${verb}" on resource "ciliumenvoyconfigs" of apiGroup "cilium.io" ${where}`
      await expect(ask()).rejects.toMatchObject({
        retryable: false,
        message: expect.stringContaining(`${rule}: bind ClusterRole weir-reader`),
      })
    }
    const cecs = ['ciliumenvoyconfigs']
    await stranger.apply(...rbacFor('cecs', ['cilium.io'], cecs, ['get', 'list', 'create']))
    await expect
      .poll(() => target.write(cecOf('shop')).catch((error: unknown) => error))
      .toMatchObject({
        retryable: false,
        message: expect.stringContaining('"namespaces": bind ClusterRole weir-reader'),
      })
  })

  it('waits no longer than its deadline for a server that says nothing, and writes when it does', async () => {
    const namespace = await optedIn()
    const path = await breakablePathTo(kubernetes.server)
    const connect = { ...asWeir(kubernetes), server: path.server }
    const target = await open({ connect, deadlineMs: 500 })
    path.hush()
    const begun = Date.now()
    const late = { retryable: true }
    await expect(target.write(cecOf(namespace, decisionOf()))).rejects.toMatchObject(late)
    await expect(target.list()).rejects.toMatchObject(late)
    expect(Date.now() - begun).toBeLessThan(3_000)
    path.cut()
    await expect(target.write(cecOf(namespace))).rejects.toMatchObject({
      ...late,
      message: expect.not.stringContaining(kubernetes.weirToken),
    })
    path.mend()
    await target.write(cecOf(namespace))
    expect(await standing(namespace)).toBeDefined()
  })

  it('survives a server that is killed during a write', async () => {
    const namespace = await optedIn()
    const target = await open()
    await target.write(cecOf(namespace))
    const during = outcomeOf(target.write(cecOf(namespace, decisionOf())))
    await kubernetes.kill()
    expect(['done', 'retryable']).toContain(await during)
    expect(await outcomeOf(target.write(cecOf(namespace, otherDecision)))).toBe('retryable')
    expect(await outcomeOf(target.list())).toBe('retryable')
    await kubernetes.start()
    await expect
      .poll(() => outcomeOf(target.write(cecOf(namespace, otherDecision))), { timeout: 20_000 })
      .toBe('done')
    expect(bare((await standing(namespace)) ?? {})).toEqual(cecOf(namespace, otherDecision))
  })

  it('is away until it is started, and after it is stopped', async () => {
    const target = createKubernetesTarget({ connect: asWeir(kubernetes) })
    const away = { retryable: true, message: 'Cannot list our CECs: the target is not open' }
    await expect(target.list()).rejects.toMatchObject(away)
    await target.stop(AbortSignal.timeout(1_000))
    await target.start(new AbortController().signal)
    await expect.poll(() => outcomeOf(target.list())).toBe('done')
    await target.stop(AbortSignal.timeout(1_000))
    await expect(target.list()).rejects.toMatchObject(away)
    const nowhere = createKubernetesTarget({ connect: { from: 'kubeconfig', path: '/nowhere' } })
    await expect(nowhere.start(new AbortController().signal)).rejects.toThrow(ConfigError)
  })

  describe('a responder on it', () => {
    /** In mode enforce; the clock is the test's, the cluster is real. */
    async function world(namespace: string, target: KubernetesTarget) {
      let busy = 0
      const errors: EnforceError[] = []
      const service = serviceObject()
      const responder: Responder = createResponder({
        mode: 'enforce',
        target: {
          list: () => target.list(),
          write: (cec, how) => {
            busy++
            return target.write(cec, how).finally(() => busy--)
          },
        },
        targetsOf: () => [{ ...TARGET, namespace }],
        factsOf: () => factsOf({ service }),
        randomHex: () => NONCE,
        armMs: 1_000,
        settleMs: 1_000,
        shadowMs: 3_000,
        judgeMs: [3_000, 8_000],
        ttlMs: [30_000],
        minWriteIntervalMs: 1_000,
        onError: (error) => errors.push(error),
      })
      const clock = { nowMs: START_MS }
      const pass = async (seconds: number): Promise<void> => {
        for (let i = 0; i < seconds; i++) {
          clock.nowMs += 1_000
          responder.sink.advance(clock.nowMs, clock.nowMs)
          const deadline = Date.now() + BRIEFLY_MS
          do await new Promise((resolve) => setTimeout(resolve, 1))
          while (busy > 0 && Date.now() < deadline)
        }
      }
      const calls = (count: number, ...fields: LateFields): void => {
        for (let i = 0; i < count; i++) responder.sink.accept(callOf(clock.nowMs, ...fields))
      }
      await responder.start(new AbortController().signal)
      return { responder, errors, pass, calls, limit: () => responder.limits().at(-1) }
    }
    type World = Awaited<ReturnType<typeof world>>
    type LateFields = Parameters<typeof callOf> extends [number, ...infer Rest] ? Rest : never

    async function enforced(w: World): Promise<void> {
      w.responder.finding(findingOf())
      await w.pass(3)
      expect(w.limit()).toMatchObject({ state: 'shadow' })
      w.calls(20, {}, { weirShadow: `r=${NONCE}; c=10.0.0.2` })
      await w.pass(5)
      expect(w.limit()).toMatchObject({ state: 'enforced' })
    }

    it('takes a limit from shadow to enforced to its end, and leaves the CEC inert', async () => {
      const namespace = await optedIn()
      const w = await world(namespace, await open())
      w.responder.finding(findingOf())
      await w.pass(1)
      expect(bare((await standing(namespace)) ?? {})).toEqual(cecOf(namespace))
      await enforced(w)
      const revision = w.limit()?.revision
      expect(await standingText(namespace)).toContain(`enforce; r=${revision}; c=`)
      await w.pass(2)
      const refused = { outcome: 'limited', limitedBy: 'weir' } as const
      w.calls(20)
      w.calls(200, refused, { weirMark: `enforce; r=${revision}; c=10.0.0.2` })
      await w.pass(8)
      expect(w.limit()).toMatchObject({ state: 'enforced', effect: 'effective' })
      await w.pass(100)
      expect(w.limit()).toMatchObject({ state: 'expired' })
      expect(bare((await standing(namespace)) ?? {})).toEqual(cecOf(namespace))
      expect(w.errors).toEqual([])
    })

    it('leaves nothing in force at its stop, nor after a crash once another one starts', async () => {
      const namespace = await optedIn()
      const target = await open()
      const first = await world(namespace, target)
      await enforced(first)
      await first.responder.stop(AbortSignal.timeout(BRIEFLY_MS))
      expect(bare((await standing(namespace)) ?? {})).toEqual(cecOf(namespace))
      const version = await versionOf(namespace)
      const second = await world(namespace, target) // adopts what stands, which is inert
      expect(await versionOf(namespace)).toBe(version)
      await enforced(second) // and crashes
      const third = await world(namespace, target)
      expect(bare((await standing(namespace)) ?? {})).toEqual(cecOf(namespace))
      expect(third.errors).toEqual([])
    })

    it('says what RBAC refuses, and goes on by itself once it is granted', async () => {
      const namespace = await optedIn()
      await kubernetes.apply(...noWriter)
      const target = await open()
      await expect.poll(() => outcomeOf(target.write(cecOf(namespace)))).toBe('refused')
      const w = await world(namespace, target)
      w.responder.finding(findingOf())
      await w.pass(2)
      expect(w.limit()).toMatchObject({
        state: 'proposed',
        reason: expect.stringContaining('bind ClusterRole weir-enforcer'),
      })
      expect(w.errors[0]).toMatchObject({ retryable: false })
      await kubernetes.apply(...writer)
      // Another namespace's write tells when the authorizer has heard of it.
      const other = await optedIn()
      await expect.poll(() => outcomeOf(target.write(cecOf(other)))).toBe('done')
      await w.pass(4)
      expect(w.limit()).toMatchObject({ state: 'shadow' })
      expect(await standingText(namespace)).toContain(RULES)
    })

    it('loses no undo while the server is away', async () => {
      const namespace = await optedIn()
      const path = await breakablePathTo(kubernetes.server)
      const target = await open({ connect: { ...asWeir(kubernetes), server: path.server } })
      const w = await world(namespace, target)
      await enforced(w)
      path.cut()
      w.responder.pause(true)
      await w.pass(10)
      expect(w.limit()).toMatchObject({ state: 'reverted' })
      expect(await standingText(namespace)).toContain(RULES)
      path.mend()
      await w.pass(20)
      expect(bare((await standing(namespace)) ?? {})).toEqual(cecOf(namespace))
    })
  })
})

/**
 * An address of the server. Writes have connections of their own, reads keep theirs: after `hold()`
 * the next new connection is a write's, and waits for `release` after its first bytes, whoever hangs up.
 */
async function holdingPath(target: string) {
  const { hostname, port } = new URL(target)
  const sockets: Socket[] = []
  let held: PromiseWithResolvers<void> | undefined
  const server = createServer((socket) => {
    const onward = connect(Number(port), hostname)
    sockets.push(
      socket.on('error', () => {}),
      onward.on('error', () => {}),
    )
    onward.pipe(socket)
    const gate = held
    let isFirst = true
    socket.on('data', (chunk: Buffer) => {
      if (isFirst || gate === undefined) onward.write(chunk)
      else void gate.promise.then(() => onward.write(chunk))
      isFirst = false
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('Cannot forward: no port')
  return {
    server: `https://127.0.0.1:${address.port}`,
    hold: () => {
      held = Promise.withResolvers<void>()
    },
    /** New connections are free; the held one stays so. */
    passOthers: () => {
      const { resolve } = held ?? Promise.withResolvers<void>()
      held = undefined
      return resolve
    },
  }
}

/** `done`, `retryable` or `refused`; anything else that is thrown is a defect. */
async function outcomeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return 'done'
  } catch (error) {
    if (!(error instanceof Error) || !('retryable' in error)) throw error
    return error.retryable === true ? 'retryable' : 'refused'
  }
}
