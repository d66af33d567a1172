import type { AccessLogRecord } from './access-log.ts'
import { binaryOf } from './catalogue.ts'
import { type Certificates, type ClientTls, RELAY_SERVER_NAME } from './certificates.ts'
import { type Child, spawnChild, untilReady } from './child.ts'
import { freePort } from './free-port.ts'
import { runHubble, serverArgs } from './hubble-cli.ts'
import type { HubbleNodeCommand, HubblePeer } from './hubble-node-command.ts'
import { isObject, type JsonObject, objectAt, parseObject, textAt } from './json-object.ts'

const READY_MS = 15_000

export interface HubbleNodeOptions {
  readonly name: string
  /** Set: the node is called CLUSTER/NAME. */
  readonly cluster?: string
  /** Slots of the ring, 2^k - 1 and at most 65535. Default 4095. */
  readonly ringCapacity?: number
  /** Slots of the queue before the parser. Default 1024. */
  readonly queueCapacity?: number
  /** Hubble's redaction of queries. Default off. */
  readonly redactQuery?: boolean
  /** All that its peer service lists. Default: the node itself. */
  readonly peers?: readonly HubblePeer[]
  /** Set: it speaks TLS, and announces itself so. `mutual` (default): clients must show theirs. */
  readonly tls?: { readonly certificates: Certificates; readonly mutual?: boolean }
}

/** Hubble on one node. What was fed can be read when the promise resolves. */
export interface HubbleNode {
  readonly name: string
  /** host:port of Observer and Peer; the same after a restart. */
  readonly address: string
  /** As another node's peer service is to tell of it. */
  readonly peer: HubblePeer
  /** Of the process that runs now: to freeze it with SIGSTOP. */
  readonly pid: number
  /** Access-log records, through Cilium's own parser. */
  feedRecords(records: readonly AccessLogRecord[]): Promise<void>
  /** Ready-made flows: `flow.Flow` in protojson. */
  feedFlows(flows: readonly object[]): Promise<void>
  /** @throws {Error} with the node's word if it refuses. */
  command(command: HubbleNodeCommand): Promise<void>
  /** Cuts all streams and closes the port; the ring stays. */
  stopServer(): Promise<void>
  startServer(): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
  /** A new process at the same address, its ring empty, names and later peers forgotten. */
  restart(): Promise<void>
  stop(): Promise<void>
}

export async function startHubbleNode(options: HubbleNodeOptions): Promise<HubbleNode> {
  let running = await startProcess(options, '127.0.0.1:0')
  const { peer } = running
  const command = (what: HubbleNodeCommand): Promise<void> => running.command(what)
  return {
    name: peer.name,
    address: peer.address,
    peer,
    get pid() {
      return running.child.pid
    },
    command,
    feedRecords: (records) => command({ do: 'records', records }),
    feedFlows: (flows) => command({ do: 'flows', flows }),
    stopServer: () => command({ do: 'stopServer' }),
    startServer: () => command({ do: 'startServer' }),
    kill: () => running.child.kill(),
    stop: () => running.child.stop(),
    async restart() {
      await running.child.kill()
      running = await startProcess(options, peer.address)
    },
  }
}

interface NodeProcess {
  readonly child: Child
  readonly peer: HubblePeer
  command(command: HubbleNodeCommand): Promise<void>
}

async function startProcess(options: HubbleNodeOptions, address: string): Promise<NodeProcess> {
  const child = spawnChild({
    command: binaryOf('hubble', 'hubblenode'),
    args: [
      `-name=${options.name}`,
      `-address=${address}`,
      `-cluster=${options.cluster ?? ''}`,
      `-ring=${options.ringCapacity ?? 4095}`,
      `-queue=${options.queueCapacity ?? 1024}`,
      `-peerless=${options.peers !== undefined}`,
      `-redact-query=${options.redactQuery ?? false}`,
      `-parent-pid=${process.pid}`,
      ...nodeTlsArgs(options.tls),
    ],
  })
  let hello: JsonObject | undefined
  const waiting = new Map<number, (answer: JsonObject) => void>()
  child.onLine((line) => {
    if (!line.startsWith('{')) return // Its log.
    const answer = parseObject(line)
    if (answer['ready'] === true) hello = answer
    const id = Number(answer['id'])
    waiting.get(id)?.(answer)
    waiting.delete(id)
  })
  child.onEnd(() => {
    for (const answer of waiting.values()) answer({ error: `it ended\n${child.log()}` })
  })
  await untilReady(`hubblenode ${options.name}`, child, () => hello !== undefined, READY_MS)

  let lastId = 0
  const command = async (what: HubbleNodeCommand): Promise<void> => {
    const id = ++lastId
    const { error } = await new Promise<JsonObject>((resolve) => {
      if (child.ended) return resolve({ error: 'it has ended' })
      waiting.set(id, resolve)
      child.write(JSON.stringify({ id, ...what }))
    })
    if (typeof error !== 'string') return
    throw new Error(`Cannot do "${what.do}" on node ${options.name}: ${error}`)
  }
  if (options.peers !== undefined) await command({ do: 'peers', added: options.peers })
  const peer = objectAt(hello ?? {}, 'peer')
  const serverName = textAt(peer, 'serverName')
  return {
    child,
    peer: {
      name: textAt(peer, 'name'),
      address: textAt(peer, 'address'),
      ...(serverName === '' ? {} : { serverName }),
    },
    command,
  }
}

function nodeTlsArgs(tls: HubbleNodeOptions['tls']): string[] {
  if (tls === undefined) return []
  const { ca, node } = tls.certificates
  const server = [`-tls-cert=${node.cert}`, `-tls-key=${node.key}`]
  return tls.mutual === false ? server : [...server, `-tls-client-ca=${ca}`]
}

export interface RelayOptions {
  /** The node whose peer service tells Relay of all nodes. */
  readonly peerAddress: string
  /** Wait until so many nodes are connected. Default 1; 0: until Relay answers. */
  readonly nodes?: number
  /** Pace of its attempts to reach the peer service. Default 1s (upstream 30s). */
  readonly retryTimeout?: string
  /** How long the last flows before a pause wait to be sorted. Default 100ms (upstream 1s). */
  readonly sortBufferDrainTimeout?: string
  readonly sortBufferLengthMax?: number
  /**
   * Set: it speaks mutual TLS to the nodes, and to its clients as told. Cilium's own default is
   * plaintext to clients. Default: plaintext on both sides.
   */
  readonly tls?: {
    readonly certificates: Certificates
    readonly clients: 'plaintext' | 'tls' | 'mutual'
  }
  /** Further flags of `hubble-relay serve`. */
  readonly args?: readonly string[]
}

/** Hubble Relay, unchanged; its address stays the same. */
export interface HubbleRelay {
  readonly address: string
  /** Of the process that runs now. */
  readonly pid: number
  /** SIGKILL. */
  kill(): Promise<void>
  /** A new process at the same address, whether the old one still runs or not. */
  restart(): Promise<void>
  stop(): Promise<void>
}

export async function startRelay(options: RelayOptions): Promise<HubbleRelay> {
  const address = `127.0.0.1:${await freePort()}`
  const hasTls = options.tls !== undefined && options.tls.clients !== 'plaintext'
  const tls = hasTls ? options.tls.certificates.clientOf(RELAY_SERVER_NAME) : undefined
  const start = async (): Promise<Child> => {
    const child = spawnChild({
      command: binaryOf('hubble', 'hubble-relay'),
      args: await relayArgs(address, options),
    })
    const nodes = options.nodes ?? 1
    const isReady = async (): Promise<boolean> => (await reachedNodes(address, tls)) >= nodes
    await untilReady('hubble-relay', child, isReady, READY_MS)
    return child
  }
  let child = await start()
  return {
    address,
    get pid() {
      return child.pid
    },
    kill: () => child.kill(),
    stop: () => child.stop(),
    async restart() {
      await child.stop()
      child = await start()
    },
  }
}

async function relayArgs(address: string, options: RelayOptions): Promise<string[]> {
  const flags: Record<string, string | number | undefined> = {
    'listen-address': address,
    'health-listen-address': `127.0.0.1:${await freePort()}`,
    'peer-service': options.peerAddress,
    'retry-timeout': options.retryTimeout ?? '1s',
    'sort-buffer-drain-timeout': options.sortBufferDrainTimeout ?? '100ms',
    'sort-buffer-len-max': options.sortBufferLengthMax,
  }
  const given = Object.entries(flags).filter(([, value]) => value !== undefined)
  return [
    'serve',
    '--gops=false',
    ...relayTlsArgs(options.tls),
    ...given.map(([name, value]) => `--${name}=${String(value)}`),
    ...(options.args ?? []),
  ]
}

function relayTlsArgs(tls: RelayOptions['tls']): string[] {
  if (tls === undefined) return ['--disable-client-tls', '--disable-server-tls']
  const { ca, relay } = tls.certificates
  return [
    `--tls-hubble-server-ca-files=${ca}`,
    `--tls-hubble-client-cert-file=${relay.cert}`,
    `--tls-hubble-client-key-file=${relay.key}`,
    ...(tls.clients === 'plaintext'
      ? ['--disable-server-tls']
      : [`--tls-relay-server-cert-file=${relay.cert}`, `--tls-relay-server-key-file=${relay.key}`]),
    ...(tls.clients === 'mutual' ? [`--tls-relay-client-ca-files=${ca}`] : []),
  ]
}

/**
 * How many nodes Relay has reached. Their state does not tell (it is CONNECTED before anybody
 * dialled), their uptime does; Relay's health lags behind by 5 s.
 */
async function reachedNodes(address: string, tls: ClientTls | undefined): Promise<number> {
  const out = await runHubble(['list', 'nodes', ...serverArgs(address, tls), '-o', 'json'])
  const nodes: unknown = JSON.parse(out.stdout)
  if (!Array.isArray(nodes)) return 0
  return nodes.filter(isObject).filter((node) => textAt(node, 'uptime_ns') !== '').length
}

export interface Observed {
  /** `flow.Flow` each, in protojson with proto names. */
  readonly flows: JsonObject[]
  /** `flow.LostEvent` each. */
  readonly lostEvents: JsonObject[]
  /** Where the command tells of nodes in error. */
  readonly stderr: string
}

/**
 * What the real `hubble observe` reads from a node or a Relay: the independent reader.
 * `args` must let it end, as `--last 10` or `--since … --until …` do. Without a filter, `--last N`
 * counts fillers too, of which one stands behind each batch that was fed.
 * @throws {Error} if it fails or takes longer than a minute.
 */
export async function hubbleObserve(
  address: string,
  args: readonly string[],
  tls?: ClientTls,
): Promise<Observed> {
  const server = serverArgs(address, tls)
  const { stdout, stderr } = await runHubble(['observe', ...server, '-o', 'jsonpb', ...args])
  const lines = stdout.split('\n').filter((line) => line !== '')
  const messages = lines.map(parseObject)
  return {
    flows: messages.map((message) => message['flow']).filter(isObject),
    lostEvents: messages.map((message) => message['lost_events']).filter(isObject),
    stderr,
  }
}
