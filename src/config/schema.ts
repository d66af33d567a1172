import { z } from 'zod'
import { duration, hostPort, moment, size } from './values.ts'

const path = z.string().min(1, 'must not be empty')
const cidr = z.union([z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()])

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
    cluster: z.string().min(1).optional().describe('Cluster whose flows it brings.'),
    relay: hostPort.optional().describe('Hubble Relay, HOST:PORT.'),
    file: path.optional().describe('A capture in NDJSON, gzipped or not; - is standard input.'),
    tls: tls.optional(),
    since: moment.optional().describe('Where to begin: a time, or how long ago. Default: now.'),
  })
  .refine(
    ({ relay, file }) => (relay === undefined) !== (file === undefined),
    'needs one of relay and file',
  )

const hubble = z.strictObject({
  sources: z.array(source).default([]),
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

const identity = z.strictObject({
  manifests: z.array(path).default([]).describe('Directories or files of Kubernetes manifests.'),
  client: client.prefault({}),
})

const metrics = z.strictObject({
  budgets: z
    .strictObject({
      apis: z.int().min(1).default(1_000),
      operations: z.int().min(1).default(2_000),
      workloads: z.int().min(1).default(1_000),
    })
    .prefault({})
    .describe('Distinct values a label may take; beyond it: other.'),
})

const traces = z.strictObject({
  endpoint: z
    .url()
    .optional()
    .describe('OTLP over HTTP, such as http://collector:4318. Off without.'),
  headers: z.record(z.string(), z.string()).default({}),
  sample: z.number().min(0).max(1).default(1).describe('Share of traces kept; errors always are.'),
})

const sasl = z.strictObject({
  mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']),
  username: z.string(),
  password: z.string(),
})

const events = z.strictObject({
  publisher: z.enum(['sqlite', 'kafka', 'stdout', 'none']).default('sqlite'),
  kafka: z
    .strictObject({
      brokers: z.array(hostPort).default([]),
      tls: z.union([z.boolean(), tls]).default(false),
      sasl: sasl.optional(),
      createTopics: z.boolean().default(true).describe('Make topics that are missing.'),
    })
    .prefault({}),
  sqlite: z
    .strictObject({
      path: path.optional().describe('Default: events.db in stateDir.'),
      maxBytes: size('1Gi'),
    })
    .prefault({}),
  queue: z
    .strictObject({
      maxEvents: z.int().min(100).default(100_000),
      maxBytes: size('128Mi'),
    })
    .prefault({})
    .describe('What is kept in memory while the publisher is away.'),
})

const rule = z.strictObject({
  id: z.enum(['auth-bruteforce', 'request-flood']),
  enabled: z.boolean().default(true),
  thresholds: z.record(z.string(), z.number()).default({}),
})

const allowed = z
  .strictObject({
    cidr: cidr.optional(),
    workload: z.string().optional().describe('NAMESPACE/WORKLOAD of who calls.'),
    client: z.string().optional().describe('KIND:VALUE, as findings write it.'),
    rules: z.array(z.string()).optional().describe('Ids of rules; default: all.'),
    reason: z.string().min(1).describe('Why; for whoever finds it in a year.'),
    until: z.iso.datetime({ offset: true }).optional(),
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
  mode: z.enum(['observe', 'shadow', 'enforce']).default('observe'),
  target: z.enum(['none', 'directory']).default('none'),
  directory: path.optional().describe('Where target directory writes its YAML files.'),
  shadowFor: duration('2m').describe('How long a limit only marks before it acts.'),
  ttl: duration('10m').describe('How long a limit acts, the first time.'),
  minWriteInterval: duration('5s').describe(
    'Between two writes of one object: each refills buckets.',
  ),
  budgets: z
    .strictObject({
      limits: z.int().min(1).default(50),
      perApi: z.int().min(1).default(20),
      objects: z.int().min(1).default(20),
      writesPerMinute: z.int().min(1).default(12),
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
  events: events.prefault({}),
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
  console: z.strictObject({ listen: hostPort.default('127.0.0.1:8686') }).prefault({}),
  stateDir: path.default('./data').describe('What outlives a restart.'),
  shutdownTimeout: duration('25s').describe('For flushing, after SIGTERM.'),
  log: z
    .strictObject({
      level: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'silent']).default('info'),
    })
    .prefault({}),
})
export type Config = z.output<typeof configSchema>
