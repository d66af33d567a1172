import { describeError, EnforceError } from '../errors.ts'
import type { LimitsInForce } from '../model/limit.ts'
import { backoffMs } from '../runtime/backoff.ts'
import type { ActiveLimit } from './active-limit.ts'
import { CecSlot, type Epoch, type Haste, RETRY, type SlotOptions } from './cec-slot.ts'
import { readArmedService } from './read-back.ts'
import type { ArmedService } from './scaffold.ts'

export interface CecWriterOptions extends SlotOptions {
  readonly writesPerMinuteMax: number
  /** CECs, armed ones included. */
  readonly cecsMax: number
  readonly onError: (error: EnforceError) => void
}

/** What the life of limits needs to hear. */
export interface WriterListener {
  /** The slot's CEC stands as it was planned. `refilled`: its rules changed, so every bucket is full again. */
  written(slot: CecSlot, revision: string | null, refilled: boolean): void
  /** It could not be written; it will be tried again. */
  failed(slot: CecSlot): void
  /** What is wanted there cannot be planned. */
  refused(slot: CecSlot, reason: string): void
}

const MINUTE_MS = 60_000
const STOP_ATTEMPTS = 3

/** Keeps the CECs of all Services as their limits want them: few writes, one at a time each, until they stand. */
export class CecWriter {
  writes = 0
  writeErrors = 0
  /** Why CECs of an earlier process could not be read; nothing is written before they are. */
  readFailure = 'the target was not read yet'
  readonly #options: CecWriterOptions
  readonly #slots = new Map<string, CecSlot>()
  readonly #recentWritesMs: number[] = []
  #listener: WriterListener | undefined
  #inForce: LimitsInForce | undefined
  #reading: Promise<void> | undefined
  #readAttempt = 0
  #readNotBeforeMs = Number.NEGATIVE_INFINITY
  #nowMs = 0

  constructor(options: CecWriterOptions) {
    this.#options = options
  }

  listen(listener: WriterListener): void {
    this.#listener = listener
  }

  slots(): readonly CecSlot[] {
    return [...this.#slots.values()]
  }

  /** The slot of the place, made where there is none; a sentence where there may be none. */
  slotFor(place: ArmedService): CecSlot | { readonly refusal: string } {
    const key = `${place.namespace}/${place.service}`
    const known = this.#slots.get(key)
    const { cecsMax } = this.#options
    if (known !== undefined) {
      const { port, uid } = known.service
      if (port !== place.port) {
        return { refusal: `CEC of ${key} is armed for port ${port}, not ${place.port}` }
      }
      const isReborn = uid !== null && place.uid !== null && uid !== place.uid
      if (!isReborn) return known
      // The cluster removes what belongs to the earlier Service; ours is to belong to the new one.
      if (known.limits.size > 0) {
        return { refusal: `limits on an earlier Service of the name ${key} have not gone yet` }
      }
    } else if (this.#slots.size >= cecsMax) {
      return { refusal: `${cecsMax} CECs are armed, which is the budget` }
    }
    const slot = new CecSlot(place, this.#options)
    this.#slots.set(key, slot)
    return slot
  }

  /** The rules that carry this revision or nonce, and their slot; undefined: not ours, or long replaced. */
  epochOf(kind: 'revision' | 'nonce', value: string): Epoch | undefined {
    for (const slot of this.#slots.values()) {
      const epoch = slot.epochs.findLast((candidate) => candidate[kind] === value)
      if (epoch !== undefined) return epoch
    }
    return undefined
  }

  inForce(): LimitsInForce {
    this.#inForce ??= inForceOf(this.slots().flatMap((slot) => slot.epochs))
    return this.#inForce
  }

  /** Begins whatever write is due. */
  advance(nowMs: number, haste: Haste): void {
    this.#nowMs = nowMs
    if (this.readFailure !== '') {
      if (nowMs >= this.#readNotBeforeMs) void this.readBack()
      return
    }
    for (const [key, slot] of this.#slots) {
      if (slot.prune(nowMs)) this.#inForce = undefined
      if (slot.wanted) void this.#write(slot, haste)
      else this.#slots.delete(key)
    }
  }

  /** The clock went back to `nowMs`: nothing waits for a time of the old one. */
  rewind(nowMs: number): void {
    this.#nowMs = nowMs
    this.#readNotBeforeMs = Number.NEGATIVE_INFINITY
    this.#recentWritesMs.length = 0
    for (const slot of this.#slots.values()) slot.rewind(nowMs)
  }

  /** Finds what an earlier process left, and takes its limits back. Does not reject: it is tried again. */
  readBack(): Promise<void> {
    this.#reading ??= this.#readBack().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  /** Writes what is wanted now, without pauses, until it stands or `deadline` comes. */
  async flush(deadline: AbortSignal): Promise<void> {
    if (this.readFailure !== '') return
    for (let attempt = 0; attempt < STOP_ATTEMPTS && !deadline.aborted; attempt++) {
      await Promise.all(this.slots().map((slot) => slot.settled()))
      const wanted = this.slots().filter((slot) => slot.wanted)
      const stand = await Promise.all(wanted.map((slot) => this.#write(slot, 'last')))
      if (stand.every(Boolean)) return
    }
  }

  async #readBack(): Promise<void> {
    let cecs: readonly object[]
    try {
      cecs = await this.#options.target.list()
    } catch (cause) {
      this.#readAttempt++
      this.#readNotBeforeMs = this.#nowMs + backoffMs(this.#readAttempt, RETRY)
      this.readFailure = cause instanceof Error ? describeError(cause) : String(cause)
      this.#options.onError(
        new EnforceError('Cannot read our CECs back: the target refused', {
          retryable: true,
          cause,
        }),
      )
      return
    }
    this.#readAttempt = 0
    this.readFailure = ''
    for (const cec of cecs) {
      const read = readArmedService(cec)
      if ('refusal' in read) {
        this.#options.onError(new EnforceError(read.refusal, { retryable: false }))
        continue
      }
      const key = `${read.service.namespace}/${read.service.service}`
      const slot = this.#slots.get(key) ?? new CecSlot(read.service, this.#options)
      slot.adopt(read.ours, this.#nowMs)
      this.#slots.set(key, slot)
    }
    const wanted = this.slots().filter((slot) => slot.wanted)
    await Promise.all(wanted.map((slot) => this.#write(slot, 'last')))
  }

  /** True where the CEC stands as wanted now. */
  async #write(slot: CecSlot, haste: Haste): Promise<boolean> {
    if (!slot.mayWrite(this.#nowMs, haste)) return false
    const plan = slot.plan()
    if ('refusal' in plan) {
      if (slot.unplannable !== plan.refusal) this.#refused(slot, plan.refusal)
      this.#listener?.refused(slot, plan.refusal)
      return false
    }
    slot.unplannable = ''
    if (slot.isWritten(plan.cec)) return true
    const free = haste !== 'paced' || slot.onlyTakesBack
    if (!free && !this.#withinBudget()) return false
    this.#recentWritesMs.push(this.#nowMs)
    this.writes++
    const before = slot.standingEpoch
    const writing = slot.write(plan, () => this.#nowMs)
    this.#inForce = undefined // Answers may come before the write is acknowledged.
    const stands = await writing
    this.#inForce = undefined
    if (stands) {
      const refilled = before?.revision !== plan.revision
      this.#listener?.written(slot, plan.revision, refilled)
    } else {
      this.writeErrors++
      this.#options.onError(
        new EnforceError(`Cannot write the CEC of ${slot.name}: ${slot.failure}`, {
          retryable: !slot.isRefused,
        }),
      )
      this.#listener?.failed(slot)
    }
    return stands
  }

  #refused(slot: CecSlot, refusal: string): void {
    slot.unplannable = refusal
    const message = `Cannot plan the CEC of ${slot.name}: ${refusal}`
    this.#options.onError(new EnforceError(message, { retryable: false }))
  }

  #withinBudget(): boolean {
    while ((this.#recentWritesMs[0] ?? Number.POSITIVE_INFINITY) <= this.#nowMs - MINUTE_MS) {
      this.#recentWritesMs.shift()
    }
    return this.#recentWritesMs.length < this.#options.writesPerMinuteMax
  }
}

function inForceOf(epochs: readonly Epoch[]): LimitsInForce {
  return {
    revisions: new Set(epochs.map(({ revision }) => revision).filter((r) => r !== null)),
    nonces: new Set(epochs.map(({ nonce }) => nonce).filter((n) => n !== null)),
  }
}

/** Limits whose rules the slot does not have as they want them. */
export function unmetOf(slot: CecSlot): ActiveLimit[] {
  return [...slot.limits].filter((limit) => !slot.stands(limit, limit.wanted))
}
