import { BlockList, isIP } from 'node:net'
import { ConfigError } from '../errors.ts'
import { clientKeyOf } from '../model/api.ts'
import type { ApiCall } from '../model/api-call.ts'
import { workloadOf } from '../model/endpoint.ts'
import type { Subject } from './subject-table.ts'

/** Whom rules leave alone. Exactly one of `cidr`, `workload` and `client` is set. */
export interface AllowEntry {
  /** Matches the client's address. A bare address is a network of one. */
  readonly cidr?: string | undefined
  /** `NAMESPACE/WORKLOAD` of who called. */
  readonly workload?: string | undefined
  /** Client key: `KIND:VALUE`, as findings and events write it. */
  readonly client?: string | undefined
  /** Ids of rules; absent: all. */
  readonly rules?: readonly string[] | undefined
  /** Why; for whoever finds it in a year. */
  readonly reason: string
  /** RFC 3339, compared with the calls' time; absent: for good. */
  readonly until?: string | undefined
}

interface Entry {
  readonly network: BlockList | null
  readonly workload: string
  readonly client: string
  /** Bits of the rules that it frees from. */
  readonly rules: number
  readonly untilMs: number
}

/** The allow-list of the configuration, by rule. Checked once a subject and address, not once a call. */
export class AllowList {
  /** The bits of all rules: a call that all of them leave alone is no evidence at all. */
  readonly everyRule: number
  readonly #entries: readonly Entry[]

  /** @throws {ConfigError} naming every entry that is wrong. */
  constructor(entries: readonly AllowEntry[], ruleIds: readonly string[]) {
    this.everyRule = 2 ** ruleIds.length - 1
    const problems: string[] = []
    this.#entries = entries.map((entry, at) => {
      const problem = problemOf(entry, ruleIds)
      if (problem !== undefined) problems.push(`detect.allow.${at}: ${problem}`)
      return {
        network: entry.cidr === undefined ? null : networkOf(entry.cidr),
        workload: entry.workload ?? '',
        client: entry.client ?? '',
        rules: bitsOf(entry.rules ?? ruleIds, ruleIds),
        untilMs: entry.until === undefined ? Number.POSITIVE_INFINITY : Date.parse(entry.until),
      }
    })
    if (problems.length > 0) {
      throw new ConfigError(`Cannot use the allow-list:\n${problems.join('\n')}`)
    }
  }

  /** Bits of the rules that leave this call's client alone at `timeMs`; bit i is rule i. */
  allowedFor(subject: Subject, call: ApiCall, timeMs: number): number {
    if (this.#entries.length === 0) return 0
    const { source } = call.exchange.report
    const same = subject.address === call.clientAddress && subject.source === source
    if (same && timeMs < subject.allowedUntilMs) return subject.allowed
    const workload = workloadOf(source)
    const family = isIP(call.clientAddress)
    let allowed = 0
    let changesMs = Number.POSITIVE_INFINITY
    for (const entry of this.#entries) {
      if (timeMs >= entry.untilMs) continue
      const matches =
        (entry.network !== null &&
          family !== 0 &&
          entry.network.check(call.clientAddress, family === 6 ? 'ipv6' : 'ipv4')) ||
        (entry.workload !== '' && entry.workload === workload) ||
        entry.client === clientKeyOf(call.client)
      if (!matches) continue
      allowed |= entry.rules
      changesMs = Math.min(changesMs, entry.untilMs)
    }
    subject.allowed = allowed
    subject.allowedUntilMs = changesMs
    subject.address = call.clientAddress
    subject.source = source
    return allowed
  }
}

function bitsOf(rules: readonly string[], ruleIds: readonly string[]): number {
  return rules.reduce((bits, id) => bits | (2 ** ruleIds.indexOf(id)), 0)
}

function problemOf(entry: AllowEntry, ruleIds: readonly string[]): string | undefined {
  const set = [entry.cidr, entry.workload, entry.client].filter((v) => v !== undefined && v !== '')
  if (set.length !== 1) return 'needs exactly one of cidr, workload and client'
  if (entry.reason.trim() === '') return 'needs a reason'
  if (entry.cidr !== undefined && networkOf(entry.cidr) === null) {
    return `"${entry.cidr}" is no network such as 10.0.0.0/8`
  }
  if (entry.until !== undefined && Number.isNaN(Date.parse(entry.until))) {
    return `"${entry.until}" is no time such as 2026-01-31T00:00:00Z`
  }
  const unknown = entry.rules?.find((id) => !ruleIds.includes(id))
  return unknown === undefined
    ? undefined
    : `no rule "${unknown}" (there are: ${ruleIds.join(', ')})`
}

function networkOf(cidr: string): BlockList | null {
  const [address = '', prefix, ...rest] = cidr.split('/')
  const family = isIP(address)
  const bits = family === 6 ? 128 : 32
  const length = prefix === undefined ? bits : Number(prefix)
  const isLength = prefix === undefined || /^\d{1,3}$/.test(prefix)
  if (family === 0 || rest.length > 0 || !isLength || length > bits) return null
  const network = new BlockList()
  network.addSubnet(address, length, family === 6 ? 'ipv6' : 'ipv4')
  return network
}
