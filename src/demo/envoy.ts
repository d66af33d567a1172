import { describeError } from '../errors.ts'
import {
  type Action,
  type Bucket,
  type CecConfig,
  descriptorKey,
  formatHeader,
  type LimiterConfig,
  type Pair,
  parseCec,
} from './cec-config.ts'
import type { Header } from './flow-messages.ts'
import type { Random } from './random.ts'
import type { Service } from './shop.ts'

export interface EnvoyRequest {
  readonly method: string
  /** As sent, query included. */
  readonly path: string
  /** Address of the connection's other end; X-Forwarded-For is not looked at. */
  readonly address: string
}

export interface Decision {
  /** 0: it passes. Else the status that the proxy answers itself. */
  readonly status: number
  readonly responseHeaders: readonly Header[]
  /** Headers that go on to the backend: a shadow limit's marks. */
  readonly requestHeaders: readonly Header[]
}

export interface CecChange {
  /** NAMESPACE/NAME; '' where not even that could be read. */
  readonly key: string
  readonly change: 'applied' | 'refused' | 'removed'
  /** Why it was refused; ''. */
  readonly reason: string
}

interface Applied {
  readonly config: CecConfig
  /** By node, filter and descriptor. */
  readonly buckets: Map<string, { tokens: number; atMs: number }>
}

/** No rule speaks against it. */
export const PASS: Decision = { status: 0, responseHeaders: [], requestHeaders: [] }
const CECS_MAX = 256

/**
 * The Envoys of all nodes: they obey the CiliumEnvoyConfigs in force, each node with buckets of its
 * own. Buckets start full and refill continuously; any change of a RouteConfiguration fills all of
 * its buckets. A CEC that cannot be read changes nothing, and what it said before stays in force.
 * Source: envoy v1.37 `source/extensions/filters/common/local_ratelimit`.
 */
export class DemoEnvoy {
  readonly #applied = new Map<string, Applied>()
  readonly #random: Random
  /** Last refused text by key, so that a refusal is told once. */
  readonly #refused = new Map<string, string>()

  constructor(random: Random) {
    this.#random = random
  }

  /** Takes `cecs` as all that there are: what is missing is removed. At most 256 are looked at. */
  apply(cecs: readonly unknown[]): CecChange[] {
    const changes: CecChange[] = []
    const present = new Set<string>()
    for (const cec of cecs.slice(0, CECS_MAX)) {
      const key = keyOf(cec)
      present.add(key)
      try {
        const config = parseCec(cec)
        this.#refused.delete(key)
        if (this.#put(config)) changes.push({ key, change: 'applied', reason: '' })
      } catch (error) {
        const reason = describeError(error)
        if (this.#refused.get(key) === reason) continue
        this.#refused.set(key, reason)
        changes.push({ key, change: 'refused', reason })
      }
    }
    for (const key of this.#refused.keys()) if (!present.has(key)) this.#refused.delete(key)
    for (const key of this.#applied.keys()) {
      if (present.has(key)) continue
      this.#applied.delete(key)
      changes.push({ key, change: 'removed', reason: '' })
    }
    return changes
  }

  /** Whether calls to the Service's address go through an Envoy on the client's node. */
  redirects(service: Service): boolean {
    return this.#appliedTo(service) !== undefined
  }

  /** What the Envoy of `node` does with a request to the Service's address. `nowMs` never goes back by much. */
  decide(service: Service, node: number, request: EnvoyRequest, nowMs: number): Decision {
    const applied = this.#appliedTo(service)
    if (applied === undefined) return PASS
    const requestHeaders: Header[] = []
    for (const limiter of applied.config.limiters) {
      if (!this.#draw(limiter.enabled)) continue
      if (!isOver(applied, limiter, node, request, nowMs)) continue
      const format = (templates: LimiterConfig['responseHeaders']): Header[] =>
        templates.map((template) => ({
          key: template.key,
          value: formatHeader(template, request.address),
        }))
      if (this.#draw(limiter.enforced)) {
        const { status } = limiter
        return { status, responseHeaders: format(limiter.responseHeaders), requestHeaders }
      }
      requestHeaders.push(...format(limiter.shadowHeaders))
    }
    return { ...PASS, requestHeaders }
  }

  /** @returns whether anything is different now. */
  #put(config: CecConfig): boolean {
    const before = this.#applied.get(config.key)
    if (before === undefined || before.config.routeText !== config.routeText) {
      this.#applied.set(config.key, { config, buckets: new Map() })
      return true
    }
    this.#applied.set(config.key, { config, buckets: before.buckets })
    return false
  }

  /** Of several CECs that name a Service the last by name wins. */
  #appliedTo(service: Service): Applied | undefined {
    let last: Applied | undefined
    for (const applied of this.#applied.values()) {
      const named = applied.config.services.some(
        ({ namespace, name, ports }) =>
          namespace === service.namespace &&
          name === service.name &&
          (ports.length === 0 || ports.includes(service.port)),
      )
      if (named && (last === undefined || applied.config.key > last.config.key)) last = applied
    }
    return last
  }

  #draw(share: number): boolean {
    return share >= 1 || (share > 0 && this.#random.chance(share))
  }
}

/** Charges the matching descriptors, strictest first, up to the first that is empty. */
function isOver(
  { buckets }: Applied,
  limiter: LimiterConfig,
  node: number,
  request: EnvoyRequest,
  nowMs: number,
): boolean {
  const matched: { readonly key: string; readonly bucket: Bucket }[] = []
  for (const actions of limiter.entries) {
    const pairs = pairsOf(actions, request)
    if (pairs === undefined) continue
    const key = descriptorKey(pairs)
    const bucket = limiter.descriptors.get(key)
    if (bucket !== undefined) matched.push({ key: `${node}\n${limiter.filter}\n${key}`, bucket })
  }
  matched.sort((a, b) => a.bucket.perSecond - b.bucket.perSecond)
  for (const { key, bucket } of matched) {
    const state = buckets.get(key) ?? { tokens: bucket.max, atMs: nowMs }
    buckets.set(key, state)
    const elapsedMs = Math.max(0, nowMs - state.atMs)
    state.tokens = Math.min(bucket.max, state.tokens + (elapsedMs / 1_000) * bucket.perSecond)
    state.atMs = Math.max(state.atMs, nowMs)
    if (state.tokens < 1) return true
    state.tokens--
  }
  return false
}

/** Every action must yield, or the entry yields nothing. */
function pairsOf(actions: readonly Action[], request: EnvoyRequest): Pair[] | undefined {
  const pairs: Pair[] = []
  for (const action of actions) {
    switch (action.kind) {
      case 'remote_address':
        pairs.push(['remote_address', request.address])
        break
      case 'generic':
        pairs.push(action.pair)
        break
      case 'headers': {
        const all = action.matchers.every(
          ({ name, matches, invert }) => matches(headerOf(request, name)) !== invert,
        )
        if (all !== action.expect) return undefined
        pairs.push(action.pair)
        break
      }
    }
  }
  return pairs
}

/** The demo's rules look at the request line alone. */
function headerOf(request: EnvoyRequest, name: string): string {
  if (name === ':method') return request.method
  return name === ':path' ? request.path : ''
}

function keyOf(cec: unknown): string {
  const metadata = (cec as { metadata?: { namespace?: unknown; name?: unknown } } | null)?.metadata
  const { namespace, name } = metadata ?? {}
  return typeof namespace === 'string' && typeof name === 'string' ? `${namespace}/${name}` : ''
}
