import { z } from 'zod'
import { clientKeyOf } from '../model/api.ts'
import { AddressList } from './address.ts'
import { cecYaml } from './cec-yaml.ts'
import { type Decision, limitIdOf, planOf } from './plan.ts'
import { type Proposal, type ProposalContext, proposeLimit } from './proposal.ts'
import type { ArmedService } from './scaffold.ts'
import { validateCec } from './validate-cec.ts'

export interface RenderOptions {
  readonly mode: 'shadow' | 'enforce'
  readonly targetsOf: ProposalContext['targetsOf']
  readonly factsOf: ProposalContext['factsOf']
  /** Addresses and CIDRs that are never limited. */
  readonly protect?: readonly string[]
  /** How long the limit stands after the finding's last call, in ms. */
  readonly ttlMs?: number
  /** Stands for what a shadow draws at random: 8 hex digits. */
  readonly nonce?: string
  /** Addresses of one client. */
  readonly addressesMax?: number
}

export interface Rendered {
  /** YAML, one document a CEC; the same input gives the same bytes. */
  readonly documents: string
  /** What manifests cannot show. */
  readonly warnings: readonly string[]
}

const TTL_MS = 600_000
const ADDRESSES_MAX = 20
const NONCE = '00000000'
const PROBLEMS_SHOWN_MAX = 5

const operationSchema = z.object({ method: z.string().min(1), template: z.string().min(1) })
const apiSchema = z.object({
  name: z.string().min(1),
  version: z.string(),
  context: z.string().default(''),
  type: z.string().default(''),
  organization: z.string().default(''),
  environment: z.string().default(''),
  namespace: z.string().default(''),
  id: z.string().default(''),
})
/** The parts of FINDING that a limit is made of; whatever else it carries is not looked at. */
const findingSchema = z.object({
  id: z.string().regex(/^[a-zA-Z0-9:._-]{1,128}$/),
  last: z.iso.datetime({ offset: true }),
  client: z
    .object({
      kind: z.enum(['header', 'application', 'xff', 'workload', 'ip']),
      value: z.string(),
      addresses: z.array(z.string()).default([]),
    })
    .nullish(),
  api: apiSchema.nullish(),
  operation: operationSchema.nullish(),
  suggestion: z
    .object({
      limit: z.object({
        rate: z.number(),
        per: z.string(),
        burst: z.number(),
        scope: z.enum(['operation', 'api']),
      }),
    })
    .nullish(),
})
type RenderedFinding = z.output<typeof findingSchema>

/**
 * The CECs that findings would cause, as they would stand in the cluster while the limits act.
 * `findings` is one FINDING or a list of them, parsed JSON of unknown shape; those that meet on one
 * Service share its CEC. Refuses as a whole: with one finding refused there are no documents.
 * Pure: the expiry counts from the finding's `last`, the shadow's nonce is given.
 */
export function renderFindings(
  findings: unknown,
  options: RenderOptions,
): Rendered | { readonly refusal: string } {
  const parsed = z.array(findingSchema).min(1).safeParse(asList(findings))
  if (!parsed.success) return { refusal: `Cannot read the finding: ${problemsOf(parsed.error)}` }
  const context: ProposalContext = {
    targetsOf: options.targetsOf,
    factsOf: options.factsOf,
    protect: new AddressList(options.protect ?? []),
    addressesMax: options.addressesMax ?? ADDRESSES_MAX,
    unseenNamespace: 'warn',
  }
  const refusals: string[] = []
  const warnings = new Set<string>()
  const services = new Map<string, { place: ArmedService; decisions: Map<string, Decision> }>()
  for (const finding of parsed.data) {
    const proposal = proposeLimit(requestOf(finding), context)
    if ('refusal' in proposal) {
      refusals.push(`finding ${finding.id}: ${proposal.refusal}`)
      continue
    }
    for (const warning of warningsOf(proposal)) warnings.add(warning)
    const until = new Date(Date.parse(finding.last) + (options.ttlMs ?? TTL_MS)).toISOString()
    for (const place of proposal.places) {
      const key = `${place.namespace}/${place.service}`
      const entry = services.get(key) ?? { place, decisions: new Map<string, Decision>() }
      if (entry.place.port !== place.port) refusals.push(`several ports of ${key} would be limited`)
      const { addresses, bucket } = proposal
      const id = limitIdOf(finding.id, 0)
      entry.decisions.set(id, {
        id,
        mode: options.mode,
        operation: place.operation,
        addresses,
        bucket,
        until,
      })
      services.set(key, entry)
    }
  }
  const documents: string[] = []
  for (const [key, { place, decisions }] of [...services].toSorted(([a], [b]) =>
    a < b ? -1 : 1,
  )) {
    const plan = planOf(place, [...decisions.values()], options.nonce ?? NONCE)
    if ('refusal' in plan) {
      refusals.push(`${key}: ${plan.refusal}`)
      continue
    }
    const problems = validateCec(plan.cec).map(({ path, message }) => `${path} ${message}`)
    if (problems.length > 0) refusals.push(`${key}: ${problems.join('; ')}`)
    documents.push(cecYaml(plan.cec))
  }
  if (refusals.length > 0) return { refusal: refusals.join('\n') }
  return { documents: documents.join('---\n'), warnings: [...warnings] }
}

function requestOf(finding: RenderedFinding) {
  return {
    client: finding.client ?? null,
    api: finding.api ?? null,
    operation: finding.operation ?? null,
    suggestion: finding.suggestion ?? null,
  }
}

function warningsOf(proposal: Proposal): string[] {
  const { client, places, warnings } = proposal
  const ports = places.map(({ namespace, service, port }) => `${namespace}/${service}:${port}`)
  const through = client.kind === 'xff' || client.kind === 'ip' ? '' : ` of ${clientKeyOf(client)}`
  return [
    ...warnings,
    `not shown by manifests: that ${ports.join(', ')} speaks HTTP without TLS`,
    `not shown by manifests: who calls ${ports.join(', ')}; clients outside of pods would get 500s`,
    `keyed on addresses${through}: ${proposal.addresses.join(', ')}; calls through a gateway show the gateway's`,
  ]
}

function asList(findings: unknown): unknown[] {
  return Array.isArray(findings) ? findings : [findings]
}

function problemsOf(error: z.ZodError): string {
  const shown = error.issues.slice(0, PROBLEMS_SHOWN_MAX)
  return shown
    .map(({ path, message }) => `${path.join('.') || '(top level)'}: ${message}`)
    .join('; ')
}
