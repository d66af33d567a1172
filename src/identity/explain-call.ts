import type { Api, Confidence, Operation } from '../model/api.ts'
import type { ApiCall, Via } from '../model/api-call.ts'
import { type Endpoint, workloadOf } from '../model/endpoint.ts'
import type { FlowView } from '../model/flow-view.ts'
import type { Catalogue } from './catalogue.ts'
import { resolveExchange } from './exchange-resolver.ts'
import { curesOf } from './explain-cures.ts'
import { resolveFlow } from './flow-resolver.ts'
import type { Resolution, Trace } from './resolution.ts'
import type { Route } from './route.ts'

/** Why a call was, or was not, given to an API: in sentences for people, and in parts for programs. */
export interface Explanation {
  readonly via: Via
  readonly api: Api | null
  readonly operation: Operation | null
  readonly confidence: Confidence
  readonly how: string
  readonly candidates: readonly Api[]
  readonly more: number
  /** In order; text that came with the flow has no control characters left. */
  readonly sentences: readonly string[]
  readonly considered: readonly ConsideredRoute[]
  /** What would make it sure; empty where it is. */
  readonly cures: readonly string[]
}

interface ConsideredRoute {
  /** `HTTPRoute shop/orders` */
  readonly route: string
  /** From 1. */
  readonly rule: number
  readonly api: string
  readonly operation: Operation
  readonly stays: boolean
  /** Why it fell; '' where it stays. */
  readonly why: string
}

/** Routes that sentences name; the others are counted. */
const NAMED_MAX = 20

const MEANS: Readonly<Record<Confidence, string>> = {
  exact: 'the gateway itself decides so, or wrote so',
  high: 'no other API is possible by what is known',
  low: 'by the Service, or by a likeness of names alone',
  ambiguous: 'several are possible, and nothing decides between them',
  none: 'nothing that is declared fits',
}

class Notes implements Trace {
  readonly notes: string[] = []
  readonly #routes = new Map<Route, string>()

  note(sentence: string): void {
    this.notes.push(sentence)
  }

  considered(route: Route): void {
    if (!this.#routes.has(route)) this.#routes.set(route, '')
  }

  fell(route: Route, why: string): void {
    this.#routes.set(route, why)
  }

  /** Those that stay first; a route that stands there twice, as for a default version, once. */
  routes(): ConsideredRoute[] {
    const byText = new Map<string, ConsideredRoute>()
    for (const [{ origin, api, operation }, why] of this.#routes) {
      const named = `${origin.object} ${origin.rule} ${operation.method} ${operation.template} ${why}`
      byText.set(named, {
        route: origin.object,
        rule: origin.rule,
        api: nameOf(api),
        operation,
        stays: why === '',
        why,
      })
    }
    return [...byText.values()].sort((a, b) => Number(b.stays) - Number(a.stays))
  }
}

/** Explains a call by the catalogue that names it; what came with it is looked at once more. */
export function explainCall(catalogue: Catalogue, call: ApiCall): Explanation {
  const notes = new Notes()
  const own = resolveExchange(catalogue, call.exchange, notes)
  const { method, host, path, report } = call.exchange
  const asked = `${method || 'A request'} ${host === '' ? '' : `//${host}`}${path || '(no path)'}`
  const to = `${endOf(report.destination, report.destinationIp)}:${report.destinationPort}`
  return explanationOf(call, notes, [
    `${asked} came from ${endOf(report.source, report.sourceIp)} and went to ${to}.`,
    legSentence(call.via, nameOfEnd(report.source), nameOfEnd(report.destination)),
    ...notes.notes,
    ...joinSentences(call, own.resolution),
  ])
}

/** The same of a flow that carries no HTTP: it is told by its destination alone. */
export function explainFlow(catalogue: Catalogue, flow: FlowView): Explanation {
  const notes = new Notes()
  const { resolution, via } = resolveFlow(catalogue, flow, notes)
  const [from, to] =
    flow.isReply === 1 ? [flow.destination, flow.source] : [flow.source, flow.destination]
  return explanationOf({ ...resolution, via }, notes, [
    'The flow tells of no HTTP: there is no layer 7 visibility there, or it is TLS up to the end.',
    legSentence(via, nameOfEnd(from), nameOfEnd(to)),
    ...notes.notes,
  ])
}

function explanationOf(
  found: Resolution & { readonly via: Via },
  notes: Notes,
  begin: readonly string[],
): Explanation {
  const { via, api, operation, confidence, how, candidates, more } = found
  const considered = notes.routes()
  const sentences = [...begin, ...routeSentences(considered), conclusionOf(found)]
  const cures = curesOf(found)
  return {
    via,
    api,
    operation,
    confidence,
    how,
    candidates,
    more,
    sentences: sentences.map(shown),
    considered,
    cures,
  }
}

function legSentence(via: Via, from: string, to: string): string {
  switch (via) {
    case 'client':
      return `It goes into a gateway (${to}), so host and full path decide, as the gateway itself would.`
    case 'gateway':
      return `It comes from a gateway (${from}), so the destination, the method and the rewritten path decide, and what the gateway left.`
    case 'direct':
      return `It comes from ${from}, which is no gateway, so it went past the gateway: the destination, the method and the path decide; the Host header counts for nothing.`
  }
}

function joinSentences(call: ApiCall, own: Resolution): string[] {
  const byItself = `By itself it would be ${own.confidence} (${own.how}).`
  if (call.how === 'request-id') {
    return ['The call into the gateway with the same x-request-id names the API.', byItself]
  }
  if (call.how === 'backend-jwt') return ['The token that the gateway wrote names the API.']
  if (call.how.endsWith('+learned')) {
    return ['No declared operation has this path; the template was learned from traffic.']
  }
  return []
}

function routeSentences(considered: readonly ConsideredRoute[]): string[] {
  if (considered.length === 0) return []
  const lines = considered.slice(0, NAMED_MAX).map((one) => {
    const { route, rule, api, operation, stays, why } = one
    const named = `${route}, rule ${rule} (${api}: ${operation.method} ${operation.template})`
    return stays ? `${named} stays.` : `${named} falls: ${why}.`
  })
  const left = considered.length - lines.length
  return left === 0 ? lines : [...lines, `${left} more routes were considered.`]
}

function conclusionOf(found: Resolution): string {
  const { api, operation, confidence, how, candidates, more } = found
  const means = `${confidence} (${how}): ${MEANS[confidence]}`
  if (api !== null) {
    const what = operation === null ? 'no operation' : `${operation.method} ${operation.template}`
    return `It is ${nameOf(api)}, ${what}; ${means}.`
  }
  if (candidates.length === 0) return `It is of no API that is known; ${means}.`
  const others = more === 0 ? '' : ` or ${more} more`
  return `It is one of ${candidates.map(nameOf).join(', ')}${others}; ${means}.`
}

function nameOf({ name, version, environment, namespace }: Api): string {
  const side = environment === 'sandbox' ? ', sandbox' : ''
  return `${name}${version === '' ? '' : ` ${version}`} (${namespace}${side})`
}

const nameOfEnd = (end: Endpoint): string => workloadOf(end) || 'somebody unknown'

function endOf(end: Endpoint, ip: string): string {
  const name = workloadOf(end)
  return name === '' ? ip || 'somewhere unknown' : ip === '' ? name : `${name} (${ip})`
}

/** Whoever sends a request must not write on a terminal. */
function shown(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (char) => {
    return `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`
  })
}
