import { randomBytes } from 'node:crypto'
import { ConfigError, type EnforceError } from '../errors.ts'
import type { ApiCall } from '../model/api-call.ts'
import type { Finding } from '../model/finding.ts'
import { type Limit, type LimitsInForce, NO_LIMITS } from '../model/limit.ts'
import type { Sink } from '../pipeline/contract.ts'
import type { Component } from '../runtime/lifecycle.ts'
import type { ActiveLimit } from './active-limit.ts'
import { AddressList } from './address.ts'
import type { CecTarget } from './cec-target.ts'
import { CecWriter } from './cec-writer.ts'
import {
  backendProblem,
  isOptedIn,
  limitableAddresses,
  type ServiceFacts,
  serviceProblems,
} from './eligibility.ts'
import { createEvidence } from './evidence.ts'
import { LimitBook, type LimitBudgets } from './limit-book.ts'
import { LimitLife, type LimitStages } from './limit-life.ts'
import { OutsideCallers } from './outside-callers.ts'
import { type ProposalContext, proposeLimit } from './proposal.ts'

/** Outcomes of the responder's sink: it looks at every call, and sheds none. */
export const RESPOND_OUTCOMES = ['seen'] as const

export interface ResponderOptions extends Partial<LimitStages> {
  /** observe: nothing is written; shadow: limits only mark; enforce: they limit, after a shadow. */
  readonly mode: 'observe' | 'shadow' | 'enforce'
  /** Where CECs stand; null only with mode observe. */
  readonly target: CecTarget | null
  readonly targetsOf: ProposalContext['targetsOf']
  readonly factsOf: ProposalContext['factsOf']
  /** Addresses and CIDRs that are never limited: nodes, gateways, probes, monitoring. */
  readonly protect?: readonly string[]
  readonly budgets?: Partial<LimitBudgets>
  /** Least time between two writes of one CEC, in ms; default 5 s. */
  readonly minWriteIntervalMs?: number
  /** Called at each change of a limit's state, effect or reason. */
  readonly onLimit?: (limit: Limit) => void
  /** A write, or reading back, failed, or our own validator refused a plan. It is tried again where that can help. */
  readonly onError?: (error: EnforceError) => void
  /** 8 hex digits for a shadow; random by default. */
  readonly randomHex?: () => string
}

/** What the responder did so far. */
interface ResponderCounts {
  readonly findings: number
  /** Findings that suggest no limit, or are about no single client. */
  readonly withoutLimit: number
  /** Findings that a limit was already there for. */
  readonly repeated: number
  /** Limits that were given more time, because the abuse went on. */
  readonly renewed: number
  /** Marks of ours on calls that our rules cannot have hit: echoed, handed on, or forged. */
  readonly strayMarks: number
  readonly refused: { readonly [code: string]: number }
  readonly writes: number
  readonly writeErrors: number
  /** What the bounds cost: ended limits, what became of earlier ones, and outside callers that were forgotten. */
  readonly evictions: {
    readonly [table in 'limits' | 'limit_histories' | 'outside_callers']: number
  }
}

export interface Responder extends Component {
  readonly sink: Sink<ApiCall>
  finding(finding: Finding): void
  /** Active ones and the ended ones that are still remembered, oldest first. */
  limits(): readonly Limit[]
  /** Replaced whole whenever it changes; for whoever marks calls as limited by us. */
  inForce(): LimitsInForce
  /** The kill switch: true takes every limit back at once, and refuses new ones until false. */
  pause(paused: boolean): void
  /** A pod is gone, its address may be another's soon: no limit is keyed on it any more. */
  addressGone(address: string): void
  counts(): ResponderCounts
}

/** Of mode observe, in which no limit asks for a write. */
const NOWHERE: CecTarget = { list: async () => [], write: async () => {} }

const STAGES: LimitStages = {
  armMs: 5_000,
  settleMs: 2_000,
  shadowMs: 15_000,
  judgeMs: [5_000, 10_000, 30_000],
  ttlMs: [600_000, 1_800_000, 7_200_000],
}
const BUDGETS: LimitBudgets = {
  limitsMax: 100,
  clientsPerApiMax: 20,
  cecsMax: 20,
  writesPerMinuteMax: 30,
  addressesMax: 20,
  endedMax: 500,
}
/** A clock that is set back by no more than this only stands still meanwhile. */
const CLOCK_STEP_MS = 10_000
/** Addresses that a limit may have had in its life, as a multiple of those that it may have at once. */
const EVER_KEYED_MAX = 4
/** How often Services under limits are looked at again: another CEC may have come. */
const RECHECK_MS = 10_000

/**
 * Turns findings into limits, and takes them back. One limit's way: proposed → shadow (it must mark
 * the client's calls) → enforced (proved, or taken back) → expired; a limit that has no effect, or
 * hits others, is reverted. The only clock is what the sink's `advance` says.
 *
 * It remembers nothing across a restart: `start` takes back what an earlier process left in force,
 * and `stop` takes back its own, so no limit outlives whoever would end it. Armed CECs stay: making
 * and removing them costs connections.
 *
 * @throws {ConfigError} for a mode that writes without a target, and for wrong `protect` entries.
 */
export function createResponder(options: ResponderOptions): Responder {
  const { mode, target, onLimit = () => {}, onError = () => {} } = options
  if (mode !== 'observe' && target === null) {
    throw new ConfigError(`Cannot respond in mode ${mode}: there is no target to write to`)
  }
  const budgets = { ...BUDGETS, ...options.budgets }
  const stages: LimitStages = {
    armMs: options.armMs ?? STAGES.armMs,
    settleMs: options.settleMs ?? STAGES.settleMs,
    shadowMs: options.shadowMs ?? STAGES.shadowMs,
    judgeMs: options.judgeMs ?? STAGES.judgeMs,
    ttlMs: options.ttlMs ?? STAGES.ttlMs,
  }
  const context: ProposalContext = {
    targetsOf: options.targetsOf,
    factsOf,
    protect: new AddressList(options.protect ?? []),
    addressesMax: budgets.addressesMax,
    unseenNamespace: 'refuse',
  }
  const book = new LimitBook({ budgets, mode: mode === 'enforce' ? mode : 'shadow', onLimit })
  const writer = new CecWriter({
    target: target ?? NOWHERE,
    randomHex: options.randomHex ?? (() => randomBytes(4).toString('hex')),
    minWriteIntervalMs: options.minWriteIntervalMs ?? 5_000,
    writesPerMinuteMax: budgets.writesPerMinuteMax,
    cecsMax: budgets.cecsMax,
    onError,
  })
  const life = new LimitLife({ mode, stages, book, writer })
  const evidence = createEvidence({ book, writer, life, factsOf, onNewAddress: follow })
  const outside = new OutsideCallers()
  let nowMs = 0
  let recheckedMs = 0
  let paused = false
  let findings = 0
  let withoutLimit = 0

  function factsOf(namespace: string, service: string): ServiceFacts {
    const facts = options.factsOf(namespace, service)
    const destinations = [`${namespace}/${service}`, ...facts.endpointAddresses]
    const outsideCaller = outside.callerOf(destinations, nowMs)
    return outsideCaller === undefined ? facts : { ...facts, outsideCaller }
  }

  function finding(told: Finding): void {
    findings++
    if (told.client === null || told.suggestion === null) {
      withoutLimit++
      return
    }
    const atMs = nowMs === 0 ? Date.parse(told.last) : nowMs
    const proposal = proposeLimit(told, context)
    const known = book.activeFor(told)
    if (known !== undefined) {
      if (!('refusal' in proposal) && book.widen(known, proposal.addresses)) book.changed(known)
    } else if ('refusal' in proposal) {
      book.refuse(told, proposal.code, proposal.refusal, atMs)
    } else if (paused) {
      book.refuse(told, 'paused', 'the kill switch is on', atMs)
    } else {
      const problem = life.begin(told, proposal, atMs)
      if (problem !== undefined) book.refuse(told, problem.code, problem.message, atMs)
    }
  }

  function advance(eventMs: number, wallMs: number): void {
    if (!Number.isFinite(wallMs)) return // The input ended; `stop` takes everything back.
    if (wallMs < nowMs - CLOCK_STEP_MS) rewind(wallMs)
    nowMs = Math.max(nowMs, wallMs)
    if (nowMs - recheckedMs >= RECHECK_MS) recheck()
    life.advance(Number.isFinite(eventMs) ? eventMs : nowMs, nowMs)
    if (mode !== 'observe') writer.advance(nowMs, paused ? 'urgent' : 'paced')
  }

  /** By a clock that went back each limit would outlive its time, and wait as long to be undone. */
  function rewind(wallMs: number): void {
    const seconds = Math.round((nowMs - wallMs) / 1_000)
    nowMs = wallMs
    recheckedMs = wallMs
    revertAll(`the clock went back by ${seconds} s`)
    writer.rewind(wallMs)
  }

  /** A pod was started anew, or another one: the limit goes with its client, where it may. */
  function follow(limit: ActiveLimit, address: string): void {
    if (limit.addresses.size >= budgets.addressesMax || limit.lost.has(address)) return
    if (limit.keyedOn.size >= EVER_KEYED_MAX * budgets.addressesMax) return
    const keys = limitableAddresses([address], context)
    if ('code' in keys) return
    const isBackend = limit.proposal.places.some(({ namespace, service }) => {
      return backendProblem(keys.addresses, factsOf(namespace, service)) !== undefined
    })
    if (!isBackend && book.widen(limit, keys.addresses)) book.changed(limit)
  }

  /** Takes back what has become somebody else's to decide. */
  function recheck(): void {
    recheckedMs = nowMs
    for (const slot of writer.slots()) {
      const { namespace, service } = slot.service
      const acting = [...slot.limits].filter((limit) => !limit.ended)
      if (acting.length === 0) continue
      const facts = factsOf(namespace, service)
      const [problem] = serviceProblems(slot.service, facts)
      const optedOut =
        isOptedIn(facts) === true ? undefined : `${namespace} is not opted in any more`
      for (const limit of acting) {
        const why = problem ?? backendProblem([...limit.addresses], facts)
        const reason = why?.message ?? optedOut
        if (reason !== undefined) life.revert(limit, reason)
      }
    }
  }

  function revertAll(reason: string): void {
    for (const limit of book.active()) life.revert(limit, reason)
  }

  return {
    name: 'respond',
    sink: {
      accept(call) {
        outside.see(call)
        return evidence.accept(call)
      },
      advance,
    },
    finding,
    limits: () => book.limits(),
    inForce: () => (mode === 'observe' ? NO_LIMITS : writer.inForce()),
    pause(on) {
      paused = on
      if (!on) return
      revertAll('the kill switch is on')
      if (mode !== 'observe') writer.advance(nowMs, 'urgent')
    },
    addressGone(address) {
      for (const limit of book.byAddress(address)) life.dropAddress(limit, address, 'is gone')
    },
    counts: () => ({
      findings,
      withoutLimit,
      repeated: book.repeated,
      renewed: life.renewed,
      strayMarks: evidence.strayMarks,
      refused: Object.fromEntries(book.refused),
      writes: writer.writes,
      writeErrors: writer.writeErrors,
      evictions: {
        limits: book.evicted,
        limit_histories: life.history.forgotten,
        outside_callers: outside.forgotten,
      },
    }),
    async start() {
      if (mode !== 'observe') await writer.readBack()
    },
    async stop(deadline) {
      revertAll('Weir stops')
      if (mode !== 'observe') await writer.flush(deadline)
    },
  }
}
