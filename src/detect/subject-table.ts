import { hash } from 'node:crypto'
import type { Client, ClientKind } from '../model/api.ts'
import type { Endpoint } from '../model/endpoint.ts'
import { ownText } from '../runtime/kept-text.ts'
import type { ApiState } from './api-table.ts'
import { Doorkeeper } from './doorkeeper.ts'

/** Below this share of the table there is room for everyone; above, the doorkeeper stands. */
const DOORKEEPER_FROM = 0.5
const PINNED_SHARE = 0.1
/** How many of the oldest are compared to find the one that is missed least. */
const COMPARED = 8
const FORGET_AFTER_MS = 86_400_000
const VALUE_MAX = 128

/** One client of one API: what rules hang their evidence on, by `slot`. */
export interface Subject {
  /** Dense, 0 … statesMax − 1; −1 once forgotten, when another may have it. */
  slot: number
  readonly kind: ClientKind
  readonly value: string
  readonly api: ApiState
  lastMs: number
  pinnedUntilMs: number
  older: Subject | null
  newer: Subject | null
  /** The allow-list's word on this client, and what it was given on: see allow-list.ts. */
  allowed: number
  allowedUntilMs: number
  address: string
  source: Endpoint | null
}

/**
 * Holds at most `statesMax` subjects whatever is sent. Beyond it, of the oldest few the one with the
 * least evidence leaves (`evicted` counts); suspects are pinned, up to a tenth of the table. When the
 * table is half full a client gets in at its fourth event only.
 */
export class SubjectTable {
  evicted = 0
  readonly #statesMax: number
  readonly #suspicionOf: (slot: number, timeMs: number) => number
  readonly #onForget: (slot: number) => void
  readonly #doorkeeper: Doorkeeper
  readonly #free: number[] = []
  readonly #pinned = new Set<Subject>()
  #used = 0
  #oldest: Subject | null = null
  #newest: Subject | null = null

  constructor(options: {
    statesMax: number
    /** How near a finding the rules have the slot, 0 … about 1: what forgetting it would cost. */
    suspicionOf: (slot: number, timeMs: number) => number
    onForget: (slot: number) => void
  }) {
    this.#statesMax = options.statesMax
    this.#suspicionOf = options.suspicionOf
    this.#onForget = options.onForget
    this.#doorkeeper = new Doorkeeper(options.statesMax)
  }

  get size(): number {
    return this.#used - this.#free.length
  }

  /** The client's subject, now the newest; undefined while the doorkeeper keeps it out. */
  subjectOf(api: ApiState, client: Client, timeMs: number): Subject | undefined {
    const value = client.value.length > VALUE_MAX ? hash('sha256', client.value) : client.value
    const known = api.subjects.get(client.kind)?.get(value)
    if (known === undefined) return this.#admit(api, client.kind, value, timeMs)
    known.lastMs = Math.max(known.lastMs, timeMs)
    if (known.pinnedUntilMs === 0 && known !== this.#newest) {
      this.#unlink(known)
      this.#append(known)
    }
    return known
  }

  /** Keeps a suspect until `untilMs`, if not too many are kept already. */
  pin(subject: Subject, untilMs: number): void {
    if (subject.slot < 0) return
    if (subject.pinnedUntilMs === 0) {
      if (this.#pinned.size >= this.#statesMax * PINNED_SHARE) return
      this.#unlink(subject)
      this.#pinned.add(subject)
    }
    subject.pinnedUntilMs = Math.max(subject.pinnedUntilMs, untilMs)
  }

  /** Lets go of pins that ran out, and of who was not seen for a day. Once a minute. */
  sweep(timeMs: number): void {
    for (const subject of this.#pinned) {
      if (subject.pinnedUntilMs > timeMs) continue
      this.#pinned.delete(subject)
      subject.pinnedUntilMs = 0
      this.#append(subject)
    }
    while (this.#oldest !== null && this.#oldest.lastMs < timeMs - FORGET_AFTER_MS) {
      this.#forget(this.#oldest)
    }
  }

  #admit(api: ApiState, kind: ClientKind, value: string, timeMs: number): Subject | undefined {
    const crowded = this.size >= this.#statesMax * DOORKEEPER_FROM
    if (crowded && !this.#doorkeeper.admits(value, api.index)) return undefined
    if (this.size >= this.#statesMax) {
      const least = this.#leastMissed(timeMs)
      if (least === null) return undefined
      this.#forget(least)
      this.evicted++
    }
    const subject: Subject = {
      slot: this.#free.pop() ?? this.#used++,
      kind,
      value: ownText(value),
      api,
      lastMs: timeMs,
      pinnedUntilMs: 0,
      older: null,
      newer: null,
      allowed: 0,
      allowedUntilMs: Number.NEGATIVE_INFINITY,
      address: '',
      source: null,
    }
    let ofKind = api.subjects.get(kind)
    if (ofKind === undefined) {
      ofKind = new Map()
      api.subjects.set(kind, ofKind)
    }
    ofKind.set(subject.value, subject)
    api.subjectCount++
    this.#append(subject)
    return subject
  }

  #leastMissed(timeMs: number): Subject | null {
    let least = this.#oldest
    let leastSuspicion = least === null ? 0 : this.#suspicionOf(least.slot, timeMs)
    let candidate = least?.newer ?? null
    for (let i = 1; i < COMPARED && candidate !== null && leastSuspicion > 0; i++) {
      const suspicion = this.#suspicionOf(candidate.slot, timeMs)
      if (suspicion < leastSuspicion) {
        least = candidate
        leastSuspicion = suspicion
      }
      candidate = candidate.newer
    }
    return least
  }

  #forget(subject: Subject): void {
    this.#unlink(subject)
    subject.api.subjects.get(subject.kind)?.delete(subject.value)
    subject.api.subjectCount--
    this.#onForget(subject.slot)
    this.#free.push(subject.slot)
    subject.slot = -1
  }

  #append(subject: Subject): void {
    subject.older = this.#newest
    subject.newer = null
    if (this.#newest === null) this.#oldest = subject
    else this.#newest.newer = subject
    this.#newest = subject
  }

  #unlink(subject: Subject): void {
    if (subject.older === null) this.#oldest = subject.newer
    else subject.older.newer = subject.newer
    if (subject.newer === null) this.#newest = subject.older
    else subject.newer.older = subject.older
    subject.older = null
    subject.newer = null
  }
}
