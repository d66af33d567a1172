import { type Attributes, SpanKind, type SpanStatus, SpanStatusCode } from '@opentelemetry/api'
import type { ClientApplication } from '../model/api.ts'
import type { ApiCall } from '../model/api-call.ts'
import { type Endpoint, workloadOf } from '../model/endpoint.ts'
import type { Report } from '../model/exchange.ts'
import { KNOWN_METHODS } from '../model/http-method.ts'

/** Text of a span beyond this many characters is cut: senders choose paths and user agents. */
const TEXT_LENGTH_MAX = 1_024
/** What `error.type` says of a request that got no response. */
const UNANSWERED = 'unanswered'

/** The API's context and the operation's template: few values, unlike the path. '' where none is known. */
function routeOf(call: ApiCall): string {
  if (call.operation === null) return ''
  const context = call.api?.context ?? ''
  const { template } = call.operation
  if (template === '' || template === '/') return context === '' ? template : context
  const base = context.endsWith('/') ? context.slice(0, -1) : context
  return template.startsWith('/') ? `${base}${template}` : `${base}/${template}`
}

/** `{method} {route}`, `{method}` without a route; methods that HTTP does not know are `HTTP`. */
export function spanNameOf(call: ApiCall): string {
  const { method } = call.exchange
  const verb = KNOWN_METHODS.has(method) ? method : 'HTTP'
  const route = routeOf(call)
  return route === '' ? verb : `${verb} ${cut(route)}`
}

/** A server answers for 5xx only, a client has failed with 4xx as well; no answer is an error on both sides. */
export function statusOf(call: ApiCall, report: Report, kind: SpanKind): SpanStatus {
  const failedFrom = kind === SpanKind.CLIENT ? 400 : 500
  if (call.outcome === 'unanswered' || report.status >= failedFrom) {
    return { code: SpanStatusCode.ERROR }
  }
  return { code: SpanStatusCode.UNSET }
}

/**
 * What one report of a call tells: HTTP and network attributes of the semantic conventions 1.44,
 * `service.peer.*` of the other side, and under `weir.` what they have no name for. Unknown is absent.
 * `http.route` stands on CLIENT spans too: behind a load balancer's proxy there are no others.
 */
export function attributesOf(call: ApiCall, report: Report, kind: SpanKind): Attributes {
  const { exchange } = call
  const attributes: Attributes = {}
  const put = (key: string, value: string | number): void => {
    if (value === '' || value === 0) return
    attributes[key] = typeof value === 'string' ? cut(value) : value
  }
  const route = routeOf(call)
  putMethod(attributes, exchange.method)
  put('http.route', route)
  put('http.response.status_code', report.status)
  put('error.type', errorTypeOf(call, report, kind))
  const [protocol = '', version = ''] = exchange.protocol.toLowerCase().split('/')
  put('network.protocol.name', protocol === 'unknown' ? '' : protocol)
  put('network.protocol.version', version)
  put('user_agent.original', exchange.userAgent)
  const { address, port } = serverOf(exchange.host, exchange.scheme, report)
  put('server.address', address)
  put('server.port', port)
  if (kind === SpanKind.SERVER) {
    put('url.scheme', exchange.scheme)
    put('url.path', exchange.path)
    put('client.address', call.clientAddress || report.sourceIp)
    put('network.peer.address', report.sourceIp)
    put('network.peer.port', report.sourcePort)
    putPeer(put, report.source)
  } else {
    put('url.full', urlOf(exchange.scheme, exchange.host || hostOf(address, port), exchange.path))
    put('url.template', route)
    put('http.request.resend_count', exchange.attempts - 1)
    put('network.peer.address', report.destinationIp)
    put('network.peer.port', report.destinationPort)
    putPeer(put, report.destination)
  }
  put('k8s.node.name', report.node.slice(report.node.lastIndexOf('/') + 1))
  put('k8s.service.name', nameIn(report.destinationService))
  putWeir(put, attributes, call, report)
  return attributes
}

type Put = (key: string, value: string | number) => void

function putMethod(attributes: Attributes, method: string): void {
  if (KNOWN_METHODS.has(method)) {
    attributes['http.request.method'] = method
    return
  }
  attributes['http.request.method'] = '_OTHER'
  if (method !== '') attributes['http.request.method_original'] = cut(method)
}

function putPeer(put: Put, peer: Endpoint): void {
  put('service.peer.name', nameIn(workloadOf(peer)))
  put('service.peer.namespace', peer.namespace)
}

function putWeir(put: Put, attributes: Attributes, call: ApiCall, report: Report): void {
  put('weir.call.id', call.exchange.id)
  put('weir.outcome', call.outcome)
  if (call.api !== null) {
    put('weir.api.id', call.api.id)
    put('weir.api.name', call.api.name)
    put('weir.api.version', call.api.version)
    put('weir.api.context', call.api.context)
    put('weir.api.type', call.api.type)
    put('weir.api.organization', call.api.organization)
    put('weir.api.environment', call.api.environment)
    put('weir.api.namespace', call.api.namespace)
  } else if (call.candidates.length > 0) {
    attributes['weir.api.candidates'] = call.candidates.map((api) => cut(api.id))
  }
  put('weir.api.operation', call.operation?.template ?? '')
  put('weir.api.confidence', call.confidence)
  put('weir.api.how', call.how)
  put('weir.client.kind', call.client.kind)
  put('weir.client.value', call.client.value)
  put('weir.client.service_account', call.client.serviceAccount ?? '')
  putApplication(put, call.client.application)
  put('weir.via', call.via)
  put('weir.limited_by', call.limitedBy ?? '')
  if (call.wouldLimit) attributes['weir.would_limit'] = true
  if (report.estimated) attributes['weir.estimated'] = true
  if (call.exchange.revises) attributes['weir.revises'] = true
}

function putApplication(put: Put, application: ClientApplication | undefined): void {
  if (application === undefined) return
  put('weir.application.name', application.name)
  put('weir.application.owner', application.owner)
  put('weir.application.organization', application.organization)
  put('weir.application.key_type', application.keyType)
  put('weir.application.subscription', application.subscription?.name ?? '')
  put('weir.application.tier', application.subscription?.tier ?? '')
}

function errorTypeOf(call: ApiCall, report: Report, kind: SpanKind): string {
  if (statusOf(call, report, kind).code !== SpanStatusCode.ERROR) return ''
  return report.status === 0 ? UNANSWERED : String(report.status)
}

/** The authority as sent, taken apart; the address that was dialled where none was sent. */
function serverOf(host: string, scheme: string, report: Report): { address: string; port: number } {
  if (host === '') return { address: report.destinationIp, port: report.destinationPort }
  const { 1: name = host, 2: digits } = /^(.*?)(?::(\d{1,5}))?$/s.exec(host) ?? []
  const standard = scheme === 'https' ? 443 : scheme === 'http' ? 80 : 0
  const isBareIpv6 = name.includes(':') && !name.startsWith('[')
  if (isBareIpv6) return { address: host, port: standard }
  const address = name.startsWith('[') && name.endsWith(']') ? name.slice(1, -1) : name
  return { address, port: digits === undefined ? standard : Number(digits) }
}

function hostOf(address: string, port: number): string {
  if (address === '') return ''
  const name = address.includes(':') ? `[${address}]` : address
  return port === 0 ? name : `${name}:${port}`
}

function urlOf(scheme: string, host: string, path: string): string {
  return host === '' ? '' : `${scheme || 'http'}://${host}${path}`
}

/** `NAMESPACE/NAME` without the namespace. */
function nameIn(qualified: string): string {
  return qualified.slice(qualified.indexOf('/') + 1)
}

function cut(text: string): string {
  return text.length <= TEXT_LENGTH_MAX ? text : `${text.slice(0, TEXT_LENGTH_MAX - 1)}…`
}
