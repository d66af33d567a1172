import { clientKeyOf } from '../model/api.ts'
import type { ApiCall } from '../model/api-call.ts'
import { canonicalAddress } from '../model/ip-address.ts'
import { markOf, shadowMarkOf, type WeirMark } from '../model/weir-mark.ts'
import type { Outcome, Sink } from '../pipeline/contract.ts'
import type { ActiveLimit, Standing } from './active-limit.ts'
import { fieldAt, itemsOf } from './canonical-json.ts'
import type { Epoch } from './cec-slot.ts'
import type { CecWriter } from './cec-writer.ts'
import type { ServiceFacts } from './eligibility.ts'
import type { LimitBook } from './limit-book.ts'
import type { LimitLife } from './limit-life.ts'

export interface EvidenceOptions {
  readonly book: LimitBook
  readonly writer: CecWriter
  readonly life: LimitLife
  readonly factsOf: (namespace: string, service: string) => ServiceFacts
  /** The limit's client was seen at an address that the limit is not keyed on. */
  readonly onNewAddress: (limit: ActiveLimit, address: string) => void
}

export interface Evidence extends Pick<Sink<ApiCall>, 'accept'> {
  /** Marks with a value of ours on calls that our rules cannot have hit: echoed, handed on, or forged. */
  readonly strayMarks: number
}

/**
 * Reads in the calls what the limits do: answers and marks of ours, of whom; and what passed. Each
 * call is looked at by its two marks and its client's address, whatever number of limits there is.
 *
 * Whoever is limited can read our revision and have it sent back by a server of its own; a backend
 * may hand on the header that the shadow gave it. So a mark counts where the address in it is the
 * caller's, and it speaks against a limit only on a call that came to the limit's own Service.
 */
export function createEvidence(options: EvidenceOptions): Evidence {
  const { book, writer, life, factsOf } = options
  let strayMarks = 0

  /** Counts a call that rules of ours hit; whoever should not have been hit takes the limits back. */
  function hit(epoch: Epoch, call: ApiCall, { address }: WeirMark, as: Standing): void {
    if (!isCallers(address, call)) {
      strayMarks++
      return
    }
    const limits = [...epoch.standing].filter(([, standing]) => standing === as).map(([l]) => l)
    const near = limits.filter((limit) => limit.keyedOn.has(address))
    const own = near.filter((limit) => !limit.isOthers(call))
    const meant = own.filter((limit) => limit.covers(call, false))
    for (const limit of meant) countLimited(limit, call, as)
    if (meant.length > 0) return
    if (!isToService(epoch.service, call, as)) {
      strayMarks++
      return
    }
    const whom = own.length > 0 ? 'another operation of the client' : nameOf(call, address)
    for (const limit of near.length > 0 ? near : limits) {
      if (limit.ended) continue
      limit.othersLimited++
      life.collateral(limit, whom)
    }
  }

  /** The mark's value is hidden: whose call it is must be enough. */
  function hitUnnamed(call: ApiCall, as: Standing): void {
    for (const limit of book.byAddress(call.clientAddress)) {
      if (!limit.isOthers(call) && limit.covers(call, false)) countLimited(limit, call, as)
    }
  }

  /**
   * Whether the call can have met the Service's rules. We refuse before a pod is chosen, so that
   * such an answer comes from the Service's own address; one from a pod was written by the pod.
   */
  function isToService(
    { namespace, service }: Epoch['service'],
    { exchange }: ApiCall,
    as: Standing,
  ): boolean {
    const ends = exchange.twin === null ? [exchange.report] : [exchange.report, exchange.twin]
    const name = `${namespace}/${service}`
    if (ends.some(({ destinationService }) => destinationService === name)) return true
    const facts = factsOf(namespace, service)
    const spec = fieldAt(facts.service, 'spec')
    const addresses = [fieldAt(spec, 'clusterIP'), ...itemsOf(fieldAt(spec, 'clusterIPs'))]
    if (as === 'shadow') addresses.push(...facts.endpointAddresses)
    return ends.some(({ destinationIp }) => addresses.includes(destinationIp))
  }

  /** Counts what passed; an address from which another client calls is not the limit's any more. */
  function seeUnmarked(call: ApiCall, marked: boolean): void {
    const answered = call.exchange.outcome === 'answered' && call.via !== 'client'
    const { clientAddress } = call
    // Only IPv6 has more than one form.
    const address = clientAddress.includes(':') ? canonicalAddress(clientAddress) : clientAddress
    if (address === undefined || address === '') return
    const { startMs } = call.exchange.report
    // Pods come and go with their addresses; other clients share theirs.
    const followed = call.client.kind === 'workload' && call.via !== 'client'
    for (const limit of followed ? book.ofClient(call.client) : []) {
      if (startMs < limit.bornMs || limit.addresses.has(address)) continue
      if (limit.covers(call, true)) options.onNewAddress(limit, address)
    }
    for (const limit of book.byAddress(address)) {
      if (limit.isOthers(call)) {
        if (startMs < limit.bornMs) continue
        life.dropAddress(limit, address, `is ${clientKeyOf(call.client)}'s too`)
        continue
      }
      const counts = limit.state === 'enforced' || (limit.state === 'shadow' && !marked)
      if (answered && counts && limit.covers(call, true)) limit.countPassed(call, address)
    }
  }

  function accept(call: ApiCall): Outcome {
    const { exchange } = call
    const mark = markOf(exchange.weirMark)
    // A mark on an answer that was not refused is not ours: the call passed.
    if (mark !== undefined && call.limitedBy !== null) {
      const epoch = writer.epochOf('revision', mark.value)
      if (epoch !== undefined) hit(epoch, call, mark, 'enforce')
      return 0 // With a revision that is not ours it says nothing, not even that it passed.
    }
    if (call.limitedBy === 'weir') {
      hitUnnamed(call, 'enforce')
      return 0
    }
    const shadow = shadowMarkOf(exchange.weirShadow)
    const epoch = shadow === undefined ? undefined : writer.epochOf('nonce', shadow.value)
    if (shadow !== undefined && epoch !== undefined) hit(epoch, call, shadow, 'shadow')
    else if (call.wouldLimit) hitUnnamed(call, 'shadow')
    seeUnmarked(call, epoch !== undefined || call.wouldLimit)
    return 0
  }

  return {
    accept,
    get strayMarks() {
      return strayMarks
    },
  }
}

function isCallers(address: string, { clientAddress, exchange }: ApiCall): boolean {
  const { report, twin } = exchange
  const seen = [clientAddress, report.sourceIp, twin?.sourceIp ?? '']
  return seen.some((ip) => ip === address || (ip !== '' && canonicalAddress(ip) === address))
}

function nameOf(call: ApiCall, address: string): string {
  return `${clientKeyOf(call.client)} at ${address}`
}

function countLimited(limit: ActiveLimit, call: ApiCall, as: Standing): void {
  if (limit.state === (as === 'enforce' ? 'enforced' : 'shadow')) limit.countLimited(call)
}
