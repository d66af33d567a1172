import { z } from 'zod'

/**
 * What the events' data looks like: the source of `schemas/*.schema.json` and of the encoders' types.
 * Strict: a field that is not named here is a mistake of ours. Only types are imported at run time.
 */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/

const time = z.string().regex(TIME).meta({ format: 'date-time' })
const callId = z.string().regex(/^[0-9a-f]{32}$/)
const count = z.int().min(0)
const port = z.int().min(1).max(65_535)

const api = z
  .strictObject({
    name: z.string(),
    version: z.string(),
    context: z.string(),
    type: z.string(),
    organization: z.string(),
    environment: z.string(),
    namespace: z.string(),
    id: z.string(),
  })
  .meta({
    id: 'Api',
    description: 'An API as its owner declared it; "" where the declaration does not say.',
  })

const operation = z
  .strictObject({ method: z.string(), template: z.string() })
  .meta({ id: 'Operation', description: "The path below the API's base path." })

const application = z
  .strictObject({
    name: z.string(),
    owner: z.string(),
    organization: z.string(),
    keyType: z.string().describe('PRODUCTION or SANDBOX.'),
    subscription: z
      .strictObject({ name: z.string(), status: z.string(), tier: z.string() })
      .optional()
      .describe('To the API of the call.'),
  })
  .meta({
    id: 'Application',
    description: 'A WSO2 application; "" where its declaration does not say.',
  })

const client = z
  .strictObject({
    kind: z.enum(['header', 'application', 'xff', 'workload', 'ip']),
    value: z.string().describe('Hashed for identity headers.'),
    addresses: z.array(z.string()).max(20),
    names: z
      .array(z.string())
      .min(1)
      .max(5)
      .optional()
      .describe('DNS names, networks and CIDR groups of an address.'),
    serviceAccount: z
      .string()
      .min(1)
      .optional()
      .describe('NAMESPACE/NAME that a source in the cluster runs as.'),
    application: application.optional().describe('Whose client id the call carried.'),
  })
  .meta({ id: 'Client', description: 'Who called.' })

const endpoint = z
  .strictObject({
    namespace: z.string().min(1).optional(),
    pod: z.string().min(1).optional(),
    workload: z.string().min(1).optional(),
    workload_kind: z.string().min(1).optional(),
    ip: z.string().min(1).optional(),
    port: port.optional(),
    service: z.string().min(1).optional().describe('NAMESPACE/NAME of the Service.'),
    names: z.array(z.string()).min(1).optional(),
    reserved: z.string().min(1).optional(),
  })
  .meta({ id: 'Endpoint', description: 'One end of a call, as Hubble knows it.' })

const limitSuggestion = z.strictObject({
  rate: z.number(),
  per: z.string(),
  burst: z.number(),
  scope: z.enum(['operation', 'api']),
})

export const callSchema = z
  .strictObject({
    id: callId,
    time,
    duration_ms: z.number().min(0).optional().describe('Absent where no answer came.'),
    estimated: z.boolean().describe("The duration is the difference of two flows' times."),
    outcome: z.enum(['answered', 'unanswered', 'denied', 'limited']),
    api: api.nullable(),
    operation: operation.nullable(),
    confidence: z.enum(['exact', 'high', 'low', 'ambiguous', 'none']),
    how: z.string(),
    candidates: z.array(api).max(5).optional().describe('Where several APIs are possible.'),
    more: count.optional().describe('Possible APIs beyond those in `candidates`.'),
    client,
    source: endpoint,
    destination: endpoint,
    via: z.enum(['gateway', 'direct', 'client']),
    method: z.string().optional(),
    path: z.string().optional().describe('Without query and fragment.'),
    host: z.string().optional(),
    protocol: z.string().optional(),
    status: z.int().min(1).optional().describe('Absent where no answer came.'),
    limited_by: z.enum(['weir', 'other']).nullable(),
    would_limit: z
      .literal(true)
      .optional()
      .describe('A shadow limit of ours would have refused it.'),
    attempts: z.int().min(1),
    reporters: z.array(z.enum(['ingress', 'egress'])),
    node: z.string().optional(),
    request_id: z.string().optional(),
    trace_id: z
      .string()
      .regex(/^[0-9a-f]{32}$/)
      .optional(),
    revises: z
      .literal(true)
      .optional()
      .describe('Replaces what was told before as unanswered, under the same id.'),
  })
  .describe('One API call.')

export const findingSchema = z
  .strictObject({
    id: z.string().describe('Of the abuse: the same one told again keeps it.'),
    rule: z.string(),
    ruleVersion: count,
    kind: z.string(),
    severity: z.enum(['low', 'medium', 'high', 'critical']),
    client: client.nullable(),
    target: z.record(z.string(), z.string()).nullable().describe('Of a distributed attack.'),
    api: api.nullable(),
    operation: operation.nullable(),
    first: time,
    last: time,
    score: z.number(),
    threshold: z.number(),
    baseline: z
      .object({ source: z.enum(['population', 'none']) })
      .catchall(z.union([z.number(), z.string()])),
    coverage: z.number().min(0).max(1),
    counts: z.record(z.string(), z.number()),
    samples: z.array(z.string()).max(10).describe('Ids of calls.'),
    sentence: z.string(),
    suggestion: z.strictObject({ limit: limitSuggestion }).nullable(),
  })
  .describe('One abuse, with the numbers that were compared.')

export const limitSchema = z
  .strictObject({
    id: z.string(),
    finding: z.string().describe('Id of the finding that caused it.'),
    client,
    api: api.nullable(),
    operation: operation.nullable(),
    rate: z.number(),
    per: z.string(),
    burst: z.number(),
    scope: z.enum(['operation', 'api']),
    mode: z.enum(['shadow', 'enforce']),
    state: z.enum(['proposed', 'shadow', 'enforced', 'expired', 'reverted', 'refused']),
    reason: z.string(),
    since: time,
    until: time.nullable().describe('null once it has ended.'),
    revision: z.string().nullable().describe('null where nothing was written.'),
    effect: z.enum(['effective', 'ineffective', 'collateral', 'not_needed', 'undecided']),
    evidence: z.strictObject({ limited: count, passed: count, others_limited: count }),
  })
  .describe('One limit and its life so far.')

export const discoverySchema = z
  .strictObject({
    id: z.string().describe('Of what was discovered: the same one told again keeps it.'),
    kind: z.enum(['shadow', 'undocumented', 'zombie', 'bypass', 'orphan']),
    state: z.enum(['open', 'closed']).describe('closed: not seen for long, or no longer so.'),
    cluster: z.string().describe('"" where it is of all clusters.'),
    api: api.nullable(),
    operation: operation.nullable().describe('null where it is about the whole API.'),
    workload: z
      .string()
      .nullable()
      .describe('NAMESPACE/NAME of the workload, else of the Service.'),
    port: port.nullable(),
    first: time,
    last: time,
    counts: z.record(z.string(), z.number()),
    evidence: z.string(),
  })
  .describe('A difference between the APIs that are declared and those that are called.')

export type ApplicationData = z.infer<typeof application>
export type CallData = z.infer<typeof callSchema>
export type ClientData = z.infer<typeof client>
export type DiscoveryData = z.infer<typeof discoverySchema>
export type EndpointData = z.infer<typeof endpoint>
export type FindingData = z.infer<typeof findingSchema>
export type LimitData = z.infer<typeof limitSchema>
