import type { ApiCall } from '../model/api-call.ts'
import type { Outcome, Sink } from '../pipeline/contract.ts'
import type { ActiveLimit, Standing } from './active-limit.ts'
import type { Epoch } from './cec-slot.ts'
import type { CecWriter } from './cec-writer.ts'
import type { LimitBook } from './limit-book.ts'
import type { LimitLife } from './limit-life.ts'
import { markOf, shadowMarkOf } from './weir-mark.ts'

/**
 * Reads in the calls what the limits do: answers and marks of ours, of whom; and what passed. Each
 * call is looked at by its two marks and its client's address, whatever number of limits there is.
 */
export function createEvidence(
  book: LimitBook,
  writer: CecWriter,
  life: LimitLife,
): Pick<Sink<ApiCall>, 'accept'> {
  /** Counts a call that rules of ours hit; whoever should not have been hit takes the limits back. */
  function hit(epoch: Epoch, call: ApiCall, address: string, as: Standing): void {
    const limits = [...epoch.standing].filter(([, standing]) => standing === as).map(([l]) => l)
    const meant = limits.filter((limit) => limit.keyedOn.has(address) && limit.covers(call, false))
    for (const limit of meant) countLimited(limit, as)
    if (meant.length > 0) return
    const near = limits.filter((limit) => limit.keyedOn.has(address))
    for (const limit of near.length > 0 ? near : limits) {
      if (limit.ended || !acts(limit, as)) continue
      limit.othersLimited++
      life.collateral(limit, near.length > 0 ? 'another operation of the client' : address)
    }
  }

  /** The mark's value is hidden: whose call it is must be enough. */
  function hitUnnamed(call: ApiCall, as: Standing): void {
    for (const limit of book.byAddress(call.clientAddress) ?? []) {
      if (limit.covers(call, false)) countLimited(limit, as)
    }
  }

  function accept(call: ApiCall): Outcome {
    const { exchange } = call
    const mark = markOf(exchange.weirMark)
    if (mark !== undefined) {
      const epoch = writer.epochOf('revision', mark.value)
      if (epoch !== undefined) hit(epoch, call, mark.address, 'enforce')
      return 0 // With a revision that is not ours it says nothing, not even that it passed.
    }
    if (call.limitedBy === 'weir') {
      hitUnnamed(call, 'enforce')
      return 0
    }
    const shadow = shadowMarkOf(exchange.weirShadow)
    const epoch = shadow === undefined ? undefined : writer.epochOf('nonce', shadow.value)
    if (shadow !== undefined && epoch !== undefined) hit(epoch, call, shadow.address, 'shadow')
    else if (call.wouldLimit) hitUnnamed(call, 'shadow')
    const marked = epoch !== undefined || call.wouldLimit
    const answered = exchange.outcome === 'answered' && call.via !== 'client'
    const limits = answered ? book.byAddress(call.clientAddress) : undefined
    for (const limit of limits ?? []) {
      const counts = limit.state === 'enforced' || (limit.state === 'shadow' && !marked)
      if (counts && limit.covers(call, true)) limit.countPassed(call)
    }
    return 0
  }

  return { accept }
}

function acts(limit: ActiveLimit, as: Standing): boolean {
  return limit.state === (as === 'enforce' ? 'enforced' : 'shadow')
}

function countLimited(limit: ActiveLimit, as: Standing): void {
  if (acts(limit, as)) limit.limited++
}
