import { z } from 'zod'
import { flowFilter } from './flow-filter.ts'
import { duration, hostPort, moment, size } from './values.ts'

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'silent'] as const

const path = z.string().min(1, 'must not be empty')
const cidr = z.union(
  [z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()],
  'must be an address or a CIDR such as 10.0.0.0/8',
)

const tls = z
  .strictObject({
    ca: path.optional().describe('PEM file of the authority that signed the server certificate.'),
    cert: path.optional().describe('PEM file of the client certificate, for mTLS.'),
    key: path.optional().describe('PEM file of its key.'),
    serverName: z
      .string()
      .optional()
      .describe(
        "Name to check instead of the address's host; Relay's is ui.hubble-relay.cilium.io.",
      ),
  })
  .refine(
    ({ cert, key }) => (cert === undefined) === (key === undefined),
    'cert and key go together',
  )

const source = z
  .strictObject({
    name: z.string().min(1).optional().describe('As it stands in labels; default: its address.'),
    cluster: z
      .string()
      .min(1)
      .optional()
      .describe('Name of its cluster, where there are several; default: `cluster`.'),
    relay: hostPort.optional().describe('Hubble Relay, HOST:PORT.'),
    peer: hostPort
      .optional()
      .describe(
        'The peer service, or any agent, HOST:PORT: the agents of all nodes are read directly.',
      ),
    file: path.optional().describe('A capture in NDJSON, gzipped or not; - is standard input.'),
    tls: tls.optional(),
    since: moment.optional().describe('Where to begin: a time, or how long ago. Default: now.'),
    filter: flowFilter,
  })
  .refine(
    ({ relay, peer, file }) => [relay, peer, file].filter((x) => x !== undefined).length === 1,
    'needs one of relay, peer and file',
  )
  .refine(({ file, filter }) => file === undefined || filter?.fields === undefined, {
    path: ['filter', 'fields'],
    message: 'is what a server leaves out; a file has none',
  })

const hubble = z.strictObject({
  sources: z
    .array(source)
    .refine((sources) => {
      const names = sources.map(({ name, relay, peer, file }) => name ?? relay ?? peer ?? file)
      return new Set(names).size === names.length
    }, 'two of them have the same name')
    .default([])
    .describe('Where flows come from; each a relay, a peer service or a file.'),
  transport: z
    .enum(['http2', 'grpc-js'])
    .default('http2')
    .describe('What carries the streams; grpc-js costs more CPU.'),
})

const exchange = z.strictObject({
  unansweredAfter: duration('30s').describe('A request without a response is told after this.'),
  mergeWindow: duration('1s').describe("How long a call waits for the other proxy's report of it."),
  pendingMax: z.int().min(100).default(200_000).describe('Calls held at most.'),
})

const client = z.strictObject({
  order: z
    .array(z.enum(['header', 'application', 'xff', 'workload', 'ip']))
    .default(['header', 'application', 'xff', 'workload', 'ip'])
    .describe('The first of these that is known names the caller.'),
  trustedHops: z
    .int()
    .min(0)
    .max(10)
    .default(0)
    .describe('Proxies in front that append to X-Forwarded-For; 0: it is not believed.'),
  headers: z
    .array(z.string().regex(/^[A-Za-z0-9-]+$/, 'must be a header name'))
    .default([])
    .describe('Headers that tell who calls. Their values leave Weir hashed only.'),
})

const kubernetes = z.strictObject({
  enabled: z
    .boolean()
    .default(false)
    .describe('Watch the cluster: by the ServiceAccount, or as kubeconfig says.'),
  kubeconfig: path.optional().describe('Watch the cluster of this file.'),
  context: z.string().optional().describe("Instead of the kubeconfig's current one."),
})

const identity = z.strictObject({
  kubernetes: kubernetes.prefault({}),
  apkIntelligentRouting: z
    .boolean()
    .default(false)
    .describe("APK's EnableIntelligentRouting: v1 and v1.2 answer for the latest v1.2.3."),
  manifests: z
    .array(path)
    .default([])
    .describe('Directories or files of Kubernetes manifests; they lie over what the cluster has.'),
  overlay: path
    .optional()
    .describe('File of APIs that no object declares, by Service; see docs/identity.md.'),
  backendJwtHeader: z
    .string()
    .regex(/^[A-Za-z0-9-]+$/, 'must be a header name')
    .optional()
    .describe("Header with the gateway's token for backends: its claims name the API. Never kept."),
  client: client.prefault({}),
})

const metrics = z.strictObject({
  budgets: z
    .strictObject({
      apis: z.int().min(1).default(1_000).describe('Values of `api`; beyond it: other.'),
      operations: z.int().min(1).default(2_000).describe('Values of `operation`.'),
      workloads: z.int().min(1).default(1_000).describe('Values of the workload labels.'),
    })
    .prefault({})
    .describe('Distinct values a label may take; beyond it: other.'),
})

const traces = z.strictObject({
  endpoint: z
    .url({ protocol: /^https?$/, error: 'must be a URL such as http://collector:4318' })
    .optional()
    .describe('OTLP over HTTP, such as http://collector:4318. Off without.'),
  headers: z.record(z.string(), z.string()).default({}).describe('Sent with each export.'),
  sample: z.number().min(0).max(1).default(1).describe('Share of traces kept; errors always are.'),
})

const sasl = z.strictObject({
  mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']),
  username: z.string().describe('User of the broker.'),
  password: z.string().describe('Best as ${file:PATH}.'),
})

const events = z.strictObject({
  publisher: z
    .enum(['sqlite', 'kafka', 'stdout', 'none'])
    .default('sqlite')
    .describe('Where events go.'),
  kafka: z
    .strictObject({
      brokers: z.array(hostPort).default([]).describe('HOST:PORT each.'),
      tls: z
        .union([z.boolean(), tls])
        .default(false)
        .describe('true: with the roots of the system.'),
      sasl: sasl.optional(),
      createTopics: z.boolean().default(true).describe('Make topics that are missing.'),
    })
    .prefault({}),
  sqlite: z
    .strictObject({
      path: path.optional().describe('Default: events.db in stateDir.'),
      maxBytes: size('1Gi').describe('The oldest calls leave first.'),
    })
    .prefault({}),
  queue: z
    .strictObject({
      maxEvents: z
        .int()
        .min(100)
        .default(100_000)
        .describe('Beyond it the oldest of the least important topic is shed.'),
      maxBytes: size('128Mi').describe('The same in bytes.'),
    })
    .prefault({})
    .describe('What is kept in memory while the publisher is away.'),
})

const rule = z.strictObject({
  id: z.enum(['auth-bruteforce', 'request-flood']).describe('The rule.'),
  enabled: z.boolean().default(true).describe('Whether it looks at all.'),
  thresholds: z
    .record(z.string(), z.number())
    .default({})
    .describe('By name; docs/detection.md lists them.'),
})

const allowed = z
  .strictObject({
    cidr: cidr.optional().describe('Addresses of who calls.'),
    workload: z.string().optional().describe('NAMESPACE/WORKLOAD of who calls.'),
    client: z.string().optional().describe('KIND:VALUE, as findings write it.'),
    rules: z.array(z.string()).optional().describe('Ids of rules; default: all.'),
    reason: z.string().min(1).describe('Why; for whoever finds it in a year.'),
    until: z.iso.datetime({ offset: true }).optional().describe('RFC 3339; default: for good.'),
  })
  .refine(
    (entry) =>
      [entry.cidr, entry.workload, entry.client].filter((x) => x !== undefined).length === 1,
    'needs one of cidr, workload and client',
  )

const detect = z.strictObject({
  rules: z.array(rule).default([]).describe('Changes to the built-in rules, by id.'),
  allow: z.array(allowed).default([]).describe('Callers that rules leave alone.'),
})

const respond = z.strictObject({
  mode: z
    .enum(['observe', 'shadow', 'enforce'])
    .default('observe')
    .describe('observe writes nothing; shadow only marks; enforce limits, after a shadow.'),
  target: z
    .enum(['none', 'kubernetes', 'directory'])
    .default('none')
    .describe('Where limits are written: to the cluster itself, or to files.'),
  directory: path.optional().describe('Where target directory writes its YAML files.'),
  shadowFor: duration('2m').describe('How long a limit only marks before it acts.'),
  ttl: duration('10m').describe('How long a limit acts, the first time.'),
  minWriteInterval: duration('5s').describe(
    'Between two writes of one object: each refills buckets.',
  ),
  budgets: z
    .strictObject({
      limits: z.int().min(1).default(50).describe('Limits at a time.'),
      perApi: z.int().min(1).default(20).describe('Limited clients of one API.'),
      objects: z.int().min(1).default(20).describe('CiliumEnvoyConfigs that are ours.'),
      writesPerMinute: z.int().min(1).default(12).describe('Undoing never waits for it.'),
    })
    .prefault({}),
  protect: z.array(cidr).default([]).describe('Addresses that are never limited.'),
})

/** The whole configuration: a key that does nothing is not in it. */
export const configSchema = z.strictObject({
  cluster: z
    .string()
    .min(1)
    .default('default')
    .describe('Name of the cluster, in events and spans.'),
  hubble: hubble.prefault({}),
  exchange: exchange.prefault({}),
  identity: identity.prefault({}),
  metrics: metrics.prefault({}),
  traces: traces.prefault({}),
  events: events
    .prefault({})
    .refine(
      ({ publisher, kafka }) => publisher !== 'kafka' || kafka.brokers.length > 0,
      'publisher kafka needs events.kafka.brokers',
    ),
  detect: detect.prefault({}),
  respond: respond
    .prefault({})
    .refine(
      ({ mode, target }) => mode === 'observe' || target !== 'none',
      'modes shadow and enforce write, and need a target',
    )
    .refine(
      ({ target, directory }) => target !== 'directory' || directory !== undefined,
      'target directory needs respond.directory',
    ),
  console: z
    .strictObject({
      listen: hostPort
        .default('127.0.0.1:8686')
        .describe('Metrics, probes and the API; there is no login.'),
    })
    .prefault({}),
  stateDir: path.default('./data').describe('What outlives a restart.'),
  shutdownTimeout: duration('25s').describe('For flushing, after SIGTERM.'),
  log: z
    .strictObject({
      level: z.enum(LOG_LEVELS).default('info').describe('To standard error, in JSON.'),
    })
    .prefault({}),
})
export type Config = z.output<typeof configSchema>
