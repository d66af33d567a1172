import { hash } from 'node:crypto'
import type { ApiCall } from '../model/api-call.ts'
import type { Discovery } from '../model/discovery.ts'
import { apiKeyOf } from './api-key.ts'
import { DiscoveryGroup, type EnoughEvidence, type Subject } from './discovery-group.ts'
import {
  evidenceOf,
  quietSentenceOf,
  silenceEndOf,
  silenceSentenceOf,
  timeOf,
} from './discovery-sentence.ts'
import type { Orphan } from './orphan-watch.ts'

/** See {@link DiscoveryOptions} for the meanings and the defaults. */
export interface DiscoveryBookOptions {
  readonly enough: EnoughEvidence
  readonly windowMs: number
  readonly retellMs: number
  readonly quietMs: number
  readonly pendingMax: number
  readonly openMax: number
  readonly listMax: number
  readonly onDiscovery: (discovery: Discovery) => void
}

/** Collects evidence, and tells: what has enough of it, what goes on, and what is over. */
export class DiscoveryBook {
  /** Evidence that was forgotten, for want of room. */
  evicted = 0
  /** Discoveries that were not told, for want of room. */
  untold = 0
  readonly #options: DiscoveryBookOptions
  /** By key; those that were seen in a newer window stand later. */
  readonly #pending = new Map<string, DiscoveryGroup>()
  readonly #open = new Map<string, DiscoveryGroup>()
  /** By id, in the order of telling. */
  readonly #told = new Map<string, Discovery>()

  constructor(options: DiscoveryBookOptions) {
    this.#options = options
  }

  /** `isLasting`: what it is about is not likely to get another name soon. */
  note(subject: Subject, call: ApiCall, timeMs: number, isLasting: boolean): void {
    const key = keyOf(subject)
    const window = Math.floor(timeMs / this.#options.windowMs)
    const open = this.#open.get(key)
    if (open !== undefined) {
      open.add(call, timeMs, window)
      if (timeMs - open.toldMs >= this.#options.retellMs) this.#tellOpen(open, timeMs)
      return
    }
    const group = this.#pending.get(key) ?? new DiscoveryGroup(idOf(key), subject, timeMs)
    const isNewer = group.add(call, timeMs, window)
    if (isLasting && group.isEnough(this.#options.enough)) {
      if (this.#open.size < this.#options.openMax) {
        this.#pending.delete(key)
        this.#open.set(key, group)
        this.#tellOpen(group, timeMs)
        return
      }
      if (!group.isShut) this.untold++
      group.isShut = true
    }
    if (!isNewer) return
    this.#pending.delete(key)
    this.#pending.set(key, group)
    if (this.#pending.size > this.#options.pendingMax) this.#evictOldest()
  }

  orphan(orphan: Orphan): void {
    this.#tellOrphan(orphan, 'open', silenceSentenceOf(orphan))
  }

  orphanEnded(orphan: Orphan, isCalled: boolean): void {
    this.#tellOrphan(orphan, 'closed', silenceEndOf(orphan, isCalled))
  }

  /** Forgets, and closes, what was not seen for long. A walk over all. */
  closeQuiet(nowMs: number): void {
    const quietSince = nowMs - this.#options.quietMs
    for (const [key, group] of this.#pending) {
      if (group.lastMs < quietSince) this.#pending.delete(key)
    }
    for (const [key, group] of this.#open) {
      if (group.lastMs >= quietSince) continue
      this.#open.delete(key)
      this.#tell(group, 'closed', quietSentenceOf(group))
    }
  }

  /** The last telling of each, newest first. */
  list(): readonly Discovery[] {
    return [...this.#told.values()].reverse()
  }

  /** How many are open of each kind but orphans, which their watch counts. */
  open(): Record<Subject['kind'], number> {
    const counts = { shadow: 0, undocumented: 0, zombie: 0, bypass: 0 }
    for (const { subject } of this.#open.values()) counts[subject.kind]++
    return counts
  }

  #evictOldest(): void {
    for (const key of this.#pending.keys()) {
      this.#pending.delete(key)
      this.evicted++
      return
    }
  }

  #tellOpen(group: DiscoveryGroup, timeMs: number): void {
    group.toldMs = timeMs
    this.#tell(group, 'open', evidenceOf(group))
  }

  #tell(group: DiscoveryGroup, state: Discovery['state'], evidence: string): void {
    const { kind, called, api, operation } = group.subject
    this.#emit({
      id: group.id,
      kind,
      state,
      cluster: called.cluster,
      api,
      operation,
      workload: called.name,
      port: called.port > 0 ? called.port : null,
      first: timeOf(group.firstMs),
      last: timeOf(group.lastMs),
      counts: group.counts(),
      evidence,
    })
  }

  #tellOrphan(orphan: Orphan, state: Discovery['state'], evidence: string): void {
    const { api, operation, service, apiRequests } = orphan
    this.#emit({
      id: idOf(`orphan\n${apiKeyOf(api)}\n${operation.method} ${operation.template}`),
      kind: 'orphan',
      state,
      cluster: '',
      api,
      operation,
      workload: service,
      port: null,
      first: timeOf(orphan.firstMs),
      last: timeOf(orphan.lastMs),
      counts: { requests: 0, api_requests: apiRequests },
      evidence,
    })
  }

  #emit(discovery: Discovery): void {
    this.#told.delete(discovery.id)
    this.#told.set(discovery.id, discovery)
    if (this.#told.size > this.#options.listMax) {
      for (const oldest of this.#told.keys()) {
        this.#told.delete(oldest)
        break
      }
    }
    this.#options.onDiscovery(discovery)
  }
}

function keyOf({ kind, called, api, operation }: Subject): string {
  const what = operation === null ? '' : `${operation.method} ${operation.template}`
  const of = api === null ? '' : apiKeyOf(api)
  return `${kind}\n${called.cluster}\n${called.name}\n${called.port}\n${of}\n${what}`
}

/** The first 16 bytes of SHA-256, in hex. */
function idOf(key: string): string {
  return hash('sha256', key, 'hex').slice(0, 32)
}
