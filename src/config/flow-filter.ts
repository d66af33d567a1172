import { z } from 'zod'

const PORT_MAX = 65_535
const IDENTITY_MAX = 2 ** 32 - 1
const HTTP_KEYS = ['http_status_code', 'http_method', 'http_path', 'http_url'] as const
/** `CiliumEventType` of access-log records. */
const LAYER7 = 129
const FLAGS = new Set(['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR', 'NS'])

const text = z.string().min(1, 'must not be empty')

/** Optional, but not empty: an empty list would match every flow in Hubble. */
function listOf<T extends z.ZodType>(item: T, meaning: string) {
  return z.array(item).min(1, 'needs at least one value').optional().describe(meaning)
}

/** Text for Hubble, though YAML reads most of it as a number. */
function numeral(isFine: (value: string) => boolean, message: string) {
  return z
    .union([z.number(), z.string()], message)
    .refine((value) => isFine(String(value)), message)
}

const address = z.union(
  [z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()],
  'must be an address or a CIDR, such as 10.0.0.0/8 or fd00::/8',
)
const port = numeral(
  (value) => /^\d{1,5}$/.test(value) && Number(value) <= PORT_MAX,
  `must be a port, 0 to ${PORT_MAX}`,
)
const status = numeral(
  (value) => /^(?:[1-5]\d\d|[1-5]\d?\+)$/.test(value),
  'must be a status such as 404, or its beginning, such as 5+ or 40+',
)
const identity = z
  .int('must be the number of an identity')
  .min(1, 'must be 1 or more')
  .max(IDENTITY_MAX, `must be ${IDENTITY_MAX} or less`)
const workload = z
  .strictObject({
    name: text.optional().describe('Whole.'),
    kind: text.optional().describe('Such as Deployment.'),
  })
  .refine(({ name, kind }) => name !== undefined || kind !== undefined, 'needs a name or a kind')
const eventType = z
  .strictObject({
    type: z
      .int('must be a number such as 129')
      .min(1, 'must be 1 or more')
      .max(255, 'must be 255 or less')
      .describe('1 drop, 4 trace, 5 policy verdict, 7 socket trace, 129 layer 7.'),
    match_sub_type: z
      .boolean()
      .optional()
      .describe('Default: where sub_type is set; true without it: 0.'),
    sub_type: z
      .int()
      .min(0)
      .optional()
      .describe('Of a drop its reason, of a trace where it was observed.'),
  })
  .refine(
    (entry) => entry.match_sub_type !== false || entry.sub_type === undefined,
    'sub_type does nothing while match_sub_type is false',
  )
const tcpFlags = z
  .record(
    z.string(),
    z.literal(true, 'must be true: flags that are not set cannot be asked for'),
    'must be flags, such as {SYN: true}',
  )
  .refine(
    (flags) => Object.keys(flags).length > 0 && Object.keys(flags).every((flag) => FLAGS.has(flag)),
    `needs flags of ${[...FLAGS].join(', ')}`,
  )

const LIKE_PODS = 'As source_pod.'

/** One `flow.FlowFilter`: the keys that Weir can check by itself, in Hubble's own names. */
const entry = z
  .strictObject({
    source_ip: listOf(address, 'Addresses or CIDRs.'),
    destination_ip: listOf(address, 'Addresses or CIDRs.'),
    source_pod: listOf(
      text,
      'NAMESPACE/PREFIX, NAMESPACE/, /PREFIX; PREFIX alone is in the namespace default.',
    ),
    destination_pod: listOf(text, LIKE_PODS),
    source_fqdn: listOf(text, 'DNS names, such as *.example.com.'),
    destination_fqdn: listOf(text, 'DNS names, such as *.example.com.'),
    source_label: listOf(text, 'Label selectors, such as k8s:app=web,tier in (a,b).'),
    destination_label: listOf(text, 'Label selectors, such as reserved:world.'),
    source_port: listOf(port, 'Ports of TCP, UDP or SCTP.'),
    destination_port: listOf(port, 'Ports of TCP, UDP or SCTP.'),
    source_service: listOf(text, LIKE_PODS),
    destination_service: listOf(text, LIKE_PODS),
    source_workload: listOf(workload, '{name, kind}, or one of them.'),
    destination_workload: listOf(workload, '{name, kind}, or one of them.'),
    source_identity: listOf(identity, 'Security identities: 1 host, 2 world …'),
    destination_identity: listOf(identity, 'Security identities: 1 host, 2 world …'),
    source_cluster_name: listOf(text, 'Whole names; agents since Cilium 1.16 tell it.'),
    destination_cluster_name: listOf(text, 'Whole names; agents since Cilium 1.16 tell it.'),
    verdict: listOf(
      z.enum(['FORWARDED', 'DROPPED', 'ERROR', 'AUDIT', 'REDIRECTED', 'TRACED', 'TRANSLATED']),
      'What became of the packet or request.',
    ),
    drop_reason_desc: listOf(
      z.string().regex(/^[A-Z0-9_]+$/, 'must be a name such as POLICY_DENIED'),
      'Why it was dropped, such as POLICY_DENIED.',
    ),
    event_type: listOf(eventType, 'Of Cilium: what kind of event it was.'),
    protocol: listOf(
      z.enum(['tcp', 'udp', 'sctp', 'icmp', 'icmpv4', 'icmpv6', 'http', 'dns']),
      'Of layer 4 or 7.',
    ),
    tcp_flags: listOf(tcpFlags, 'Flags that are all set, such as {SYN: true, ACK: true}.'),
    ip_version: listOf(z.enum(['IPv4', 'IPv6']), 'Of its addresses.'),
    traffic_direction: listOf(
      z.enum(['INGRESS', 'EGRESS', 'TRAFFIC_DIRECTION_UNKNOWN']),
      'On layer 7: whose proxy reports.',
    ),
    reply: listOf(z.boolean(), 'Whether it is an answer; drops count as none.'),
    dns_query: listOf(text, 'RE2, found anywhere in the name.'),
    http_status_code: listOf(status, '404, or a beginning: 5+, 40+.'),
    http_method: listOf(text, 'Case says nothing.'),
    http_path: listOf(text, 'RE2, found anywhere in the decoded path.'),
    http_url: listOf(text, 'RE2, found anywhere in the URL.'),
    trace_id: listOf(
      z.string().regex(/^[0-9a-fA-F]{32}$/, 'must be 32 hexadecimal digits'),
      'Of traceparent.',
    ),
    node_name: listOf(text, 'NODE, CLUSTER/NODE or CLUSTER/, with * for any part of a name.'),
  })
  .refine(
    (keys) => Object.values(keys).some((values) => values !== undefined),
    'needs at least one key, or it matches every flow',
  )
  .refine(
    (keys) =>
      HTTP_KEYS.every((key) => keys[key] === undefined) ||
      (keys.event_type?.some(({ type }) => type === LAYER7) ?? true),
    `http_* keys need type ${LAYER7} in event_type: nothing else is HTTP`,
  )

/** Which flows a source gives, and which of their fields. Expressions and names are read where they are used. */
export const flowFilter = z
  .strictObject({
    allow: z
      .array(entry)
      .default([])
      .describe(
        'A flow passes that one of these matches; a match is of all its keys. Default: all.',
      ),
    deny: z
      .array(entry.meta({ id: 'FlowFilter' }))
      .default([])
      .describe('What one of these matches never passes. The same keys.'),
    fields: z
      .array(text)
      .min(1, 'needs at least one field')
      .optional()
      .describe(
        'Fields of flows that a server sends, such as source.namespace; l4 and l7 only whole. Default: all.',
      ),
  })
  .optional()
