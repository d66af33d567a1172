import type { Endpoint } from '../model/endpoint.ts'
import { type ApiClaim, Exchange, type ExchangeOutcome, type Report } from '../model/exchange.ts'
import {
  Direction,
  type FlowView,
  L7Type,
  REDACTED,
  timeMsOf,
  Verdict,
} from '../model/flow-view.ts'
import { keptText, ownText } from '../runtime/kept-text.ts'
import { identityHash } from './identity-hash.ts'
import { partsOfUrl, type UrlParts } from './url.ts'

const REQUEST_ID_MAX = 128
const HEADER_MAX = 1_024
const METHOD_MAX = 64
/** More than ten proxies of the longest addresses, with ports. */
const FORWARDED_MAX = 768

/** What is read of a request's headers besides those that each call has. */
export interface HeaderOptions {
  /** Lower-case names of the headers that tell who called; their values leave hashed. */
  readonly identityHeaders: readonly string[]
  /** What headers say of the API; `header` gives a value by its lower-case name, '' where it is absent. */
  readonly claimOf?: ((header: (name: string) => string) => ApiClaim | null) | undefined
}

/** What a flow says of its call, read once: URLs are long, and a connection may have many calls open. */
export interface Heard {
  /** {@link connectionOf} */
  readonly connection: string
  /** x-request-id; '' when it is absent or redacted: equal ids would pair anything with anything. */
  readonly requestId: string
  readonly method: string
  /** Slices of the flow's text: whoever keeps one copies it. */
  readonly url: UrlParts
  /** What both proxies would tell alike of the call; '' without an id. */
  readonly likeness: string
}

export function hear(flow: FlowView): Heard {
  const id = flow.httpHeader('x-request-id')
  const requestId = id === REDACTED ? '' : keptText(id, REQUEST_ID_MAX)
  const method = keptText(flow.httpMethod(), METHOD_MAX)
  const url = partsOfUrl(flow.httpUrl())
  const likeness = likenessOf(requestId, method, url.path)
  return { connection: connectionOf(flow), requestId, method, url, likeness }
}

function likenessOf(requestId: string, method: string, path: string): string {
  return requestId === '' ? '' : `${requestId}\n${method}\n${path}`
}

/** One proxy's side of a call that is still open. Filled from the flows that it sent. */
export interface OpenSide {
  readonly call: OpenCall
  readonly connection: string
  readonly direction: Direction
  readonly cluster: string
  readonly node: string
  uuid: string
  /** Unix ms of the flows; -1 while not seen. */
  requestMs: number
  responseMs: number
  latencyNs: number
  status: number
  denied: boolean
  source: Endpoint
  sourceIp: string
  sourcePort: number
  destination: Endpoint
  destinationIp: string
  destinationPort: number
  destinationService: string
  destinationNames: readonly string[]
  sourceNames: readonly string[]
}

/** A call that waits: for its answer, or for the other proxy's account of it. Never leaves the room. */
export interface OpenCall {
  readonly sides: OpenSide[]
  method: string
  scheme: string
  host: string
  path: string
  protocol: string
  requestId: string
  /** As of a `Heard`. */
  likeness: string
  traceParent: string
  forwardedFor: string
  userAgent: string
  identityValues: readonly string[]
  weirMark: string
  weirShadow: string
  apiClaim: ApiClaim | null
  attempts: number
  revises: boolean
  /** The side whose account was told; undefined before the call was. */
  told: OpenSide | undefined
  /** When the first flow came, and when the first side was complete: in ms that `advance` let pass. */
  heldAtMs: number
  doneAtMs: number
}

/**
 * Key of a connection as one proxy saw it, by its client's side: the server's side changes where a
 * load balancer chose a pod, or answered by itself. Source: docs/hubble.md, HTTP.
 */
function connectionOf(flow: FlowView): string {
  const isResponse = flow.l7Type === L7Type.response
  const ip = isResponse ? flow.destinationIp() : flow.sourceIp()
  const port = isResponse ? flow.destinationPort : flow.sourcePort
  return `${flow.cluster}|${flow.nodeName()}|${flow.direction}|${ip}|${port}`
}

/** Opens a call with its first side, from a REQUEST or from a RESPONSE whose request was not seen (yet). */
export function openCall(
  flow: FlowView,
  heard: Heard,
  headers: HeaderOptions,
  passedMs: number,
): OpenCall {
  const call: OpenCall = {
    sides: [],
    method: heard.method,
    ...keptParts(flow, heard.url),
    protocol: keptText(flow.httpProtocol(), METHOD_MAX),
    requestId: heard.requestId,
    likeness: heard.likeness,
    traceParent: '',
    forwardedFor: '',
    userAgent: '',
    identityValues: [],
    weirMark: '',
    weirShadow: '',
    apiClaim: null,
    attempts: 1,
    revises: false,
    told: undefined,
    heldAtMs: passedMs,
    doneAtMs: -1,
  }
  addSide(call, flow, heard.connection)
  if (flow.l7Type === L7Type.request) readRequestHeaders(call, flow, headers)
  return call
}

/** Adds one proxy's side and fills it from its first flow. */
export function addSide(call: OpenCall, flow: FlowView, connection: string): OpenSide {
  const isResponse = flow.l7Type === L7Type.response
  const side: OpenSide = {
    call,
    connection,
    direction: flow.direction,
    cluster: flow.cluster,
    node: flow.nodeName(),
    uuid: '',
    requestMs: -1,
    responseMs: -1,
    latencyNs: 0,
    status: 0,
    denied: false,
    source: isResponse ? flow.destination : flow.source,
    sourceIp: isResponse ? flow.destinationIp() : flow.sourceIp(),
    sourcePort: isResponse ? flow.destinationPort : flow.sourcePort,
    destination: isResponse ? flow.source : flow.destination,
    destinationIp: isResponse ? flow.sourceIp() : flow.destinationIp(),
    destinationPort: isResponse ? flow.sourcePort : flow.destinationPort,
    destinationService: isResponse ? flow.sourceService() : flow.destinationService(),
    destinationNames: isResponse ? flow.sourceNames() : flow.destinationNames(),
    sourceNames: isResponse ? flow.destinationNames() : flow.sourceNames(),
  }
  call.sides.push(side)
  if (isResponse) readResponse(side, flow)
  else readRequest(side, flow)
  return side
}

/** Fills a side from its REQUEST; of several tries the first one's uuid and time count, the last one's pod. */
export function readRequest(side: OpenSide, flow: FlowView): void {
  if (side.requestMs < 0) {
    side.uuid = flow.uuid()
    side.requestMs = timeMsOf(flow)
    side.denied = flow.verdict === Verdict.dropped
  }
  side.destination = flow.destination
  side.destinationIp = flow.destinationIp()
  side.destinationPort = flow.destinationPort
  side.destinationService = flow.destinationService()
  side.destinationNames = flow.destinationNames()
}

/** Fills a side from its RESPONSE. */
export function readResponse(side: OpenSide, flow: FlowView): void {
  side.responseMs = timeMsOf(flow)
  side.latencyNs = flow.latencyNs
  side.status = flow.httpStatus
  const mark = flow.httpHeader('x-weir')
  if (mark !== '') side.call.weirMark = keptText(mark, HEADER_MAX)
}

/** Takes from the request's headers what later rooms need; identity headers only hashed. */
export function readRequestHeaders(
  call: OpenCall,
  flow: FlowView,
  { identityHeaders, claimOf }: HeaderOptions,
): void {
  const header = (name: string) => {
    const value = flow.httpHeader(name)
    return value === REDACTED ? '' : keptText(value, HEADER_MAX)
  }
  call.traceParent ||= header('traceparent')
  call.forwardedFor ||= endOf(flow.httpHeader('x-forwarded-for'))
  call.userAgent ||= header('user-agent')
  // Where values are redacted the mark's presence still tells; identity decides what it is worth.
  call.weirShadow ||= keptText(flow.httpHeader('x-weir-would-limit'), HEADER_MAX)
  call.apiClaim ??= claimOf?.((name) => flow.httpHeader(name)) ?? null
  if (identityHeaders.length > 0 && call.identityValues.length === 0) {
    call.identityValues = identityHeaders.map((name) => {
      const value = header(name)
      return value === '' ? '' : identityHash(value)
    })
  }
}

/** The end of X-Forwarded-For is what proxies wrote: padding in front must not push it out. */
function endOf(value: string): string {
  if (value === REDACTED) return ''
  return value.length <= FORWARDED_MAX ? value : ownText(value.slice(-FORWARDED_MAX))
}

/** Completes what an orphaned RESPONSE could not tell, once its REQUEST is there. */
export function fillFromRequest(call: OpenCall, flow: FlowView, heard: Heard): void {
  const url = keptParts(flow, heard.url)
  call.method ||= heard.method
  call.scheme ||= url.scheme
  call.host ||= url.host
  call.path ||= url.path
  call.requestId ||= heard.requestId
  call.likeness = likenessOf(call.requestId, call.method, call.path)
}

/** The parts as they are where they are all of the URL; else copies, so that no query is kept with them. */
function keptParts(flow: FlowView, { scheme, host, path }: UrlParts): UrlParts {
  const whole = scheme.length + '://'.length + host.length + path.length
  if (flow.httpUrl().length <= whole) return { scheme, host, path }
  return { scheme: ownText(scheme), host: ownText(host), path: ownText(path) }
}

export function isAnswered(side: OpenSide): boolean {
  return side.responseMs >= 0
}

/**
 * The record of a call, whatever it has by now. The server's account counts where it has an end: its
 * node's ring may hold the answer back, while the client's has told it. A correction is of the same
 * account, as that gives the call its id.
 */
export function exchangeOf(call: OpenCall): Exchange {
  const main = call.told ?? mainOf(call.sides)
  if (main === undefined) throw new Error('Cannot tell a call: it has no side')
  call.told = main
  const other = call.sides.find((side) => side !== main)
  return new Exchange({
    ...call,
    outcome: outcomeOf(main),
    report: reportOf(main),
    twin: other === undefined ? null : reportOf(other),
  })
}

function mainOf(sides: readonly OpenSide[]): OpenSide | undefined {
  const server = sides.find((side) => side.direction === Direction.ingress)
  const hasEnd = (side: OpenSide) => side.denied || isAnswered(side)
  if (server !== undefined && hasEnd(server)) return server
  return sides.find(hasEnd) ?? server ?? sides[0]
}

function outcomeOf(side: OpenSide): ExchangeOutcome {
  if (side.denied) return 'denied'
  return isAnswered(side) ? 'answered' : 'unanswered'
}

function reportOf(side: OpenSide): Report {
  const seenMs = side.requestMs >= 0 ? side.requestMs : side.responseMs
  const durationMs = durationOf(side)
  return {
    direction: side.direction,
    cluster: side.cluster,
    node: side.node,
    uuid: side.uuid,
    seenMs,
    startMs: durationMs >= 0 ? side.responseMs - durationMs : seenMs,
    durationMs,
    estimated: durationMs >= 0 && side.latencyNs === 0,
    status: side.status,
    source: side.source,
    sourceIp: side.sourceIp,
    sourcePort: side.sourcePort,
    destination: side.destination,
    destinationIp: side.destinationIp,
    destinationPort: side.destinationPort,
    destinationService: side.destinationService,
    destinationNames: side.destinationNames,
    sourceNames: side.sourceNames,
  }
}

/** Envoy's own measure where Hubble has it; else the difference of the flows' times; -1 without either. */
function durationOf(side: OpenSide): number {
  if (!isAnswered(side)) return -1
  if (side.latencyNs > 0) return side.latencyNs / 1e6
  return side.requestMs < 0 ? -1 : Math.max(0, side.responseMs - side.requestMs)
}
