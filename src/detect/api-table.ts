import type { Api } from '../model/api.ts'
import type { ApiCall } from '../model/api-call.ts'
import { type Endpoint, workloadOf } from '../model/endpoint.ts'
import type { Subject } from './subject-table.ts'

/** Answers with 503 or 504 in a minute, and their share, from which on nothing is learned from an API. */
const STORM_MIN = 20
const STORM_SHARE = 0.3
const FORGET_AFTER_MS = 86_400_000

/** What clients are compared within: an API, or the workload that was called where no API is known. */
export class ApiState {
  /** Dense; used again once the state was forgotten. */
  readonly index: number
  readonly key: string
  readonly api: Api | null
  readonly workload: string
  /** By kind of client, then by its value. */
  readonly subjects = new Map<string, Map<string, Subject>>()
  readonly firstMs: number
  lastMs: number
  subjectCount = 0
  #minute = 0
  #calls = 0
  #unavailable = 0
  #frozenUntilMinute = 0

  constructor(index: number, key: string, api: Api | null, timeMs: number) {
    this.index = index
    this.key = key
    this.api = api
    this.workload = api === null ? key : ''
    this.firstMs = timeMs
    this.lastMs = timeMs
  }

  /** Takes note of a call, whoever made it. */
  note(timeMs: number, status: number): void {
    const minute = Math.floor(timeMs / 60_000)
    if (minute > this.#minute) {
      this.#minute = minute
      this.#calls = 0
      this.#unavailable = 0
    }
    this.lastMs = Math.max(this.lastMs, timeMs)
    this.#calls++
    if (status !== 503 && status !== 504) return
    this.#unavailable++
    if (this.#unavailable >= STORM_MIN && this.#unavailable >= STORM_SHARE * this.#calls) {
      this.#frozenUntilMinute = minute + 2
    }
  }

  /** An API that is down teaches nothing about its clients. */
  isFrozen(minute: number): boolean {
    return minute < this.#frozenUntilMinute
  }
}

/**
 * The states of at most `apisMax` APIs and workloads, and one that all further ones share
 * (`overflowed` counts their calls). One that nobody has called for a day leaves when room is needed.
 */
export class ApiTable {
  overflowed = 0
  readonly #byKey = new Map<string, ApiState>()
  #byApi = new WeakMap<Api, ApiState>()
  #byEndpoint = new WeakMap<Endpoint, ApiState>()
  readonly #free: number[] = []
  readonly #apisMax: number
  readonly #onForget: (state: ApiState) => void
  #shared: ApiState | null = null
  #triedMinute = 0

  constructor(apisMax: number, onForget: (state: ApiState) => void) {
    this.#apisMax = apisMax
    this.#onForget = onForget
  }

  stateOf(call: ApiCall, timeMs: number): ApiState {
    if (call.api !== null) {
      const known = this.#byApi.get(call.api)
      if (known !== undefined) return known
      const state = this.#stateOfKey(keyOfApi(call.api), call.api, timeMs)
      if (state !== this.#shared) this.#byApi.set(call.api, state)
      return state
    }
    const { destination, destinationService, destinationIp } = call.exchange.report
    if (destination.workload === '' && destination.pod === '') {
      const name = destinationService || workloadOf(destination) || destinationIp || '?'
      return this.#stateOfKey(name, null, timeMs)
    }
    const known = this.#byEndpoint.get(destination)
    if (known !== undefined) return known
    const state = this.#stateOfKey(workloadOf(destination), null, timeMs)
    if (state !== this.#shared) this.#byEndpoint.set(destination, state)
    return state
  }

  #stateOfKey(key: string, api: Api | null, timeMs: number): ApiState {
    const known = this.#byKey.get(key)
    if (known !== undefined) return known
    if (this.#byKey.size >= this.#apisMax) this.#forgetIdle(timeMs)
    if (this.#byKey.size >= this.#apisMax) {
      this.overflowed++
      this.#shared ??= new ApiState(this.#apisMax, OVERFLOW, null, timeMs)
      return this.#shared
    }
    const state = new ApiState(this.#free.pop() ?? this.#byKey.size, key, api, timeMs)
    this.#byKey.set(key, state)
    return state
  }

  /** A walk over all, so at most once a minute. */
  #forgetIdle(timeMs: number): void {
    const minute = Math.floor(timeMs / 60_000)
    if (minute === this.#triedMinute) return
    this.#triedMinute = minute
    for (const [key, state] of this.#byKey) {
      if (state.subjectCount > 0 || timeMs - state.lastMs < FORGET_AFTER_MS) continue
      this.#byKey.delete(key)
      this.#free.push(state.index)
      this.#onForget(state)
    }
    this.#byApi = new WeakMap()
    this.#byEndpoint = new WeakMap()
  }
}

const OVERFLOW = '…'

function keyOfApi(api: Api): string {
  return `${api.id}\n${api.namespace}\n${api.name}\n${api.version}\n${api.environment}`
}
