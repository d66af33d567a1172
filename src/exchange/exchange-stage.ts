import type { Exchange } from '../model/exchange.ts'
import { Direction, type FlowView, L7Type, timeMsOf } from '../model/flow-view.ts'
import type { Outcome, Stage } from '../pipeline/contract.ts'
import {
  addSide,
  exchangeOf,
  fillFromRequest,
  type HeaderOptions,
  type Heard,
  hear,
  isAnswered,
  type OpenCall,
  type OpenSide,
  openCall,
  readRequest,
  readRequestHeaders,
  readResponse,
} from './open-call.ts'

/** Index = outcome; 0: went on, or is held. Closed: each is a value of the `outcome` and `reason` labels. */
export const EXCHANGE_OUTCOMES = [
  'kept',
  'joined',
  'merged:second_reporter',
  'merged:retry',
  'filtered:sample',
  'dropped:no_type',
  'dropped:no_peer',
] as const
const KEPT = 0
const JOINED = 1
const SECOND_REPORTER = 2
const RETRY = 3
const SAMPLE = 4
const NO_TYPE = 5
const NO_PEER = 6

export interface ExchangeOptions extends HeaderOptions {
  /** A request without an answer leaves as unanswered after this long, in ms. */
  readonly unansweredAfterMs: number
  /** How long a complete call waits for the other proxy's account of it, in ms. */
  readonly mergeWindowMs: number
  /** Calls held at most; beyond it the oldest leaves as it is (`evicted` counts). */
  readonly pendingMax: number
}

export interface ExchangeStage extends Stage<FlowView, Exchange> {
  /** Calls that were told before their time, to stay within the bounds. */
  readonly evicted: number
  /** Calls that a late answer, or the other proxy's account, cannot find any more, for the same reason. */
  readonly forgotten: number
}

type Emit = (exchange: Exchange) => void

/** Told calls that may still hear from a proxy: late answers, and late twins. */
const TOLD_MAX = 10_000
/** Open requests of one connection; a client that never gets an answer must not make pairing slow. */
const CONNECTION_MAX = 1_024
/** Calls that look alike to the search for a twin; clients choose their ids. */
const ALIKE_MAX = 64

/**
 * Joins the REQUEST and the RESPONSE of one HTTP call, and the accounts of both proxies where two
 * reported it. Takes HTTP flows only.
 *
 * Pairs by connection (node, direction, the client's address and port), there by x-request-id, else
 * first in first out. The server's address is only a preference: behind a load balancer the request
 * shows the chosen pod and comes once a try, the answer comes once, and a local 429 shows the
 * Service's address. Two accounts are one call when x-request-id, method and path are equal, the
 * directions differ, the client is the same, and both began within `mergeWindowMs`.
 *
 * Deterministic: time is what `advance` says, and the flows' own.
 */
export function createExchangeStage(options: ExchangeOptions): ExchangeStage {
  return new Exchanges(options)
}

class Exchanges implements ExchangeStage {
  evicted = 0
  forgotten = 0
  readonly #options: ExchangeOptions
  /** Sides that wait for their other half, by connection, oldest first. */
  readonly #waiting = new Map<string, OpenSide[]>()
  /** Calls with one side, by what both proxies would tell alike. */
  readonly #single = new Map<string, OpenCall[]>()
  /** Every held call, oldest first; those in `#done` only wait for a twin. */
  readonly #open = new Set<OpenCall>()
  readonly #done = new Set<OpenCall>()
  readonly #told = new Map<string, OpenSide>()
  #wallMs = 0
  /** What `advance` let pass so far: a clock that is set back must not hold everything. */
  #passedMs = 0

  constructor(options: ExchangeOptions) {
    this.#options = options
  }

  get held(): number {
    return this.#open.size + this.#done.size
  }

  accept(flow: FlowView, emit: Emit): Outcome {
    if (flow.l7Type === L7Type.sample) return SAMPLE
    if (flow.l7Type !== L7Type.request && flow.l7Type !== L7Type.response) return NO_TYPE
    // What an access log entry that was never filled becomes: docs/hubble.md, HTTP.
    if (flow.sourceIp() === '' || flow.destinationIp() === '') return NO_PEER
    return flow.l7Type === L7Type.request ? this.#request(flow, emit) : this.#response(flow, emit)
  }

  advance(_eventMs: number, wallMs: number, emit: Emit): void {
    const isEnd = wallMs === Number.POSITIVE_INFINITY
    if (!isEnd) {
      this.#passedMs += Math.max(0, wallMs - this.#wallMs)
      this.#wallMs = wallMs
    }
    const nowMs = isEnd ? wallMs : this.#passedMs
    for (const call of this.#done) {
      if (nowMs - call.doneAtMs < this.#options.mergeWindowMs) break
      this.#tell(call, emit)
    }
    for (const call of this.#open) {
      if (nowMs - call.heldAtMs < this.#options.unansweredAfterMs) break
      this.#tell(call, emit)
    }
  }

  #request(flow: FlowView, emit: Emit): Outcome {
    const heard = hear(flow)
    const sides = this.#waiting.get(heard.connection)
    const own = sides?.find((side) => side.requestMs < 0 && isAnsweredBy(side, flow, heard))
    if (own !== undefined) {
      this.#removeSingle(own.call)
      fillFromRequest(own.call, flow, heard)
      if (own.call.sides.length === 1) this.#addSingle(own.call)
      readRequest(own, flow)
      readRequestHeaders(own.call, flow, this.#options)
      this.#stopWaiting(own)
      this.#settle(own.call, emit)
      return JOINED
    }
    // A try that a load balancer's proxy repeats: same client connection, same id, no answer yet.
    const again =
      flow.direction === Direction.egress && heard.requestId !== ''
        ? sides?.find((side) => !isAnswered(side) && isSameCall(side.call, heard))
        : undefined
    if (again !== undefined) {
      readRequest(again, flow)
      readRequestHeaders(again.call, flow, this.#options)
      again.call.attempts++
      return RETRY
    }
    const twin = this.#twinOf(flow, heard)
    if (twin !== undefined) {
      this.#removeSingle(twin)
      readRequestHeaders(twin, flow, this.#options)
      this.#wait(addSide(twin, flow, heard.connection), emit)
      return SECOND_REPORTER
    }
    this.#hold(openCall(flow, heard, this.#options, this.#passedMs), emit)
    return KEPT
  }

  #response(flow: FlowView, emit: Emit): Outcome {
    const heard = hear(flow)
    const side = this.#sideFor(flow, heard)
    if (side !== undefined) {
      readResponse(side, flow)
      this.#stopWaiting(side)
      const isFirst = side === side.call.sides[0]
      this.#settle(side.call, emit)
      return isFirst ? JOINED : SECOND_REPORTER
    }
    const key = toldKey(heard.connection, heard.requestId)
    const told = this.#told.get(key)
    if (told !== undefined && isSameAnswer(told.call, heard)) {
      return this.#late(told, flow, key, emit)
    }
    const twin = this.#twinOf(flow, heard)
    if (twin !== undefined) {
      this.#removeSingle(twin)
      addSide(twin, flow, heard.connection)
      this.#settle(twin, emit)
      return SECOND_REPORTER
    }
    const call = openCall(flow, heard, this.#options, this.#passedMs)
    call.doneAtMs = this.#passedMs
    this.#hold(call, emit)
    return KEPT
  }

  /** A response to a call that was told: a correction where the side that was told had no answer. */
  #late(side: OpenSide, flow: FlowView, key: string, emit: Emit): Outcome {
    this.#told.delete(key)
    readResponse(side, flow)
    if (side !== side.call.told) return SECOND_REPORTER
    side.call.revises = true
    emit(exchangeOf(side.call))
    return KEPT
  }

  #sideFor(flow: FlowView, heard: Heard): OpenSide | undefined {
    const sides = this.#waiting.get(heard.connection)
    if (sides === undefined) return undefined
    const id = heard.requestId
    const [only] = sides
    if (sides.length === 1 && only?.call.requestId === id && isSameAnswer(only.call, heard)) {
      return isAnswered(only) ? undefined : only
    }
    const open = sides.filter((side) => !isAnswered(side))
    if (open.length === 0) return undefined
    const byId = id === '' ? [] : open.filter((side) => side.call.requestId === id)
    const fitting =
      byId.length > 0 ? byId : open.filter((s) => id === '' || s.call.requestId === '')
    const alike = fitting.filter(({ call }) => isSameAnswer(call, heard))
    const candidates = byId.length > 0 && alike.length === 0 ? byId : alike
    const isServer = (side: OpenSide) =>
      side.destinationIp === flow.sourceIp() && side.destinationPort === flow.sourcePort
    return candidates.find(isServer) ?? candidates[0]
  }

  #twinOf(flow: FlowView, { likeness }: Heard): OpenCall | undefined {
    const alike = likeness === '' ? undefined : this.#single.get(likeness)
    if (alike === undefined) return undefined
    const isResponse = flow.l7Type === L7Type.response
    const clientIp = isResponse ? flow.destinationIp() : flow.sourceIp()
    const serverIp = isResponse ? flow.sourceIp() : flow.destinationIp()
    const service = isResponse ? flow.sourceService() : flow.destinationService()
    const ms = timeMsOf(flow)
    return alike.find((call) => {
      const side = call.sides[0]
      if (side === undefined || side.direction === flow.direction) return false
      const seenMs = isResponse && isAnswered(side) ? side.responseMs : side.requestMs
      const isNear = seenMs < 0 || Math.abs(seenMs - ms) <= this.#options.mergeWindowMs
      const isServer =
        side.destinationIp === serverIp || side.destinationService !== '' || service !== ''
      return isNear && side.sourceIp === clientIp && isServer
    })
  }

  #hold(call: OpenCall, emit: Emit): void {
    if (this.held >= this.#options.pendingMax) {
      const [oldest] = this.#done.size > 0 ? this.#done : this.#open
      if (oldest !== undefined) {
        this.evicted++
        this.#tell(oldest, emit)
      }
    }
    const [side] = call.sides
    if (side !== undefined) this.#wait(side, emit)
    const target = call.doneAtMs < 0 ? this.#open : this.#done
    target.add(call)
    this.#addSingle(call)
  }

  #addSingle(call: OpenCall): void {
    if (call.likeness === '') return
    const calls = this.#single.get(call.likeness)
    if (calls === undefined) this.#single.set(call.likeness, [call])
    else if (calls.length < ALIKE_MAX) calls.push(call)
    else this.forgotten++
  }

  /** After an answer: tells the call when nothing more can come, else lets it wait for its twin. */
  #settle(call: OpenCall, emit: Emit): void {
    const isComplete = call.sides.every((side) => isAnswered(side) && side.requestMs >= 0)
    const mayHaveTwin = call.requestId !== '' && this.#options.mergeWindowMs > 0
    if (isComplete && (call.sides.length > 1 || !mayHaveTwin)) {
      this.#tell(call, emit)
      return
    }
    if (call.doneAtMs >= 0) return
    call.doneAtMs = this.#passedMs
    this.#open.delete(call)
    this.#done.add(call)
  }

  #tell(call: OpenCall, emit: Emit): void {
    this.#open.delete(call)
    this.#done.delete(call)
    this.#removeSingle(call)
    for (const side of call.sides) {
      this.#stopWaiting(side)
      // Without an id a late answer could be any later call's on that connection.
      if (!isAnswered(side) && call.requestId !== '') this.#remember(side)
    }
    emit(exchangeOf(call))
  }

  #remember(side: OpenSide): void {
    if (this.#told.size >= TOLD_MAX) {
      const [oldest] = this.#told.keys()
      if (oldest !== undefined && this.#told.delete(oldest)) this.forgotten++
    }
    this.#told.set(toldKey(side.connection, side.call.requestId), side)
  }

  #wait(side: OpenSide, emit: Emit): void {
    const sides = this.#waiting.get(side.connection)
    if (sides === undefined) {
      this.#waiting.set(side.connection, [side])
      return
    }
    const [oldest] = sides
    if (oldest !== undefined && sides.length >= CONNECTION_MAX) {
      this.evicted++
      this.#tell(oldest.call, emit)
    }
    sides.push(side)
  }

  #stopWaiting(side: OpenSide): void {
    const sides = this.#waiting.get(side.connection)
    const at = sides?.indexOf(side) ?? -1
    if (sides === undefined || at < 0) return
    if (sides.length === 1) this.#waiting.delete(side.connection)
    else sides.splice(at, 1)
  }

  #removeSingle(call: OpenCall): void {
    if (call.likeness === '') return
    const calls = this.#single.get(call.likeness)
    const at = calls?.indexOf(call) ?? -1
    if (calls === undefined || at < 0) return
    if (calls.length === 1) this.#single.delete(call.likeness)
    else calls.splice(at, 1)
  }
}

function isSameCall({ requestId, method, path }: OpenCall, heard: Heard): boolean {
  return requestId === heard.requestId && method === heard.method && path === heard.url.path
}

/** Whether a response without a request is this request's: it cannot be older, and what it tells fits. */
function isAnsweredBy({ call, responseMs }: OpenSide, flow: FlowView, heard: Heard): boolean {
  if (call.requestId !== heard.requestId || timeMsOf(flow) > responseMs) return false
  const { method, path } = call
  return (method === '' || method === heard.method) && (path === '' || path === heard.url.path)
}

/** Old proxies leave method and URL out of a RESPONSE; what it tells must fit. */
function isSameAnswer(call: OpenCall, { method, url }: Heard): boolean {
  return (method === '' || call.method === method) && (url.path === '' || call.path === url.path)
}

function toldKey(connection: string, id: string): string {
  return `${connection}|${id}`
}
