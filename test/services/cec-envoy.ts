import { mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { Agent, request } from 'node:http'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CecResources } from './cec-parser.ts'
import { removeAtExit } from './child.ts'
import { type Envoy, startEnvoy } from './envoy.ts'
import { freePort } from './free-port.ts'
import { type JsonObject, parseObject, textAt } from './json-object.ts'
import {
  endpointsOf,
  neutraliseCluster,
  neutraliseListener,
  pathSource,
  routeNamesOf,
  type Surroundings,
  serviceNameOf,
} from './neutralise.ts'

const POLL_MS = 5
const UPDATE_MS = 5_000
const TYPE = 'type.googleapis.com/envoy'

export interface CecEnvoyOptions {
  /** What Cilium's parser made of the object. */
  readonly resources: CecResources
  /** Port of 127.0.0.1 where the test's own server stands: the backend of every EDS cluster. */
  readonly upstreamPort: number
  /** Qualified name of the listener to run. Default: the first. */
  readonly listener?: string
}

/** What Envoy did with routes: took them, found nothing new, refused them, could not read them. */
type RoutesOutcome = 'reloaded' | 'unchanged' | 'rejected' | 'failed'

interface CallOptions {
  /** Source address, 127.0.0.0/8: who the client is. */
  readonly from: string
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
}

export interface CallAnswer {
  readonly status: number
  /** Names in lower case; values of a repeated name joined. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** A real Envoy that runs a CEC's listener, but for what only Cilium's build has. */
export interface CecEnvoy extends Pick<Envoy, 'stats' | 'admin' | 'log'> {
  readonly port: number
  /** One call, HTTP/1.1; each source address keeps its connections alive. */
  request(call: CallOptions): Promise<CallAnswer>
  /**
   * Brings RouteConfigurations (as the parser gives them) by RDS and waits for Envoy's word; the
   * reason of a refusal is in `log`. @throws {Error} if Envoy says nothing within 5 s.
   */
  writeRoutes(routes: readonly JsonObject[]): Promise<RoutesOutcome>
  /** One object a call, written within 50 ms. */
  accessLog(): Promise<JsonObject[]>
  stop(): Promise<void>
}

/** @throws {Error} with Envoy's reason if it refuses the listener or a cluster. */
export async function startCecEnvoy(options: CecEnvoyOptions): Promise<CecEnvoy> {
  const { resources, upstreamPort } = options
  const folder = await mkdtemp(join(tmpdir(), 'weir-cec-envoy-'))
  removeAtExit(folder)
  const fileOf = (kind: string, name: string): string =>
    join(folder, `${kind}-${encodeURIComponent(name)}.json`)
  const around: Surroundings = {
    port: await freePort(),
    upstreamPort,
    accessLogFile: join(folder, 'access.log'),
    routesFile: (name) => fileOf('rds', name),
    endpointsFile: (name) => fileOf('eds', name),
  }
  const listener = resources.listeners.find(
    ({ name }) => options.listener === undefined || name === options.listener,
  )
  if (listener === undefined) throw new Error('Cannot start Envoy: the object has no such listener')

  let version = 0
  const write = async (file: string, found: readonly JsonObject[]): Promise<void> => {
    version += 1
    await writeFile(`${file}.new`, JSON.stringify({ versionInfo: `${version}`, resources: found }))
    await rename(`${file}.new`, file)
  }
  for (const cluster of resources.clusters) {
    const file = around.endpointsFile(serviceNameOf(cluster))
    await write(file, [endpointsOf(cluster, around)])
  }
  const clusters = resources.clusters.map((cluster) => neutraliseCluster(cluster, around))
  await write(join(folder, 'cds.json'), clusters.map(typed(`${TYPE}.config.cluster.v3.Cluster`)))
  const typedRoute = typed(`${TYPE}.config.route.v3.RouteConfiguration`)
  for (const name of routeNamesOf(listener)) {
    const routes = resources.routes.filter((route) => route['name'] === name)
    await write(around.routesFile(name), routes.map(typedRoute))
  }
  const listeners = [neutraliseListener(listener, around)]
  await write(join(folder, 'lds.json'), listeners.map(typed(`${TYPE}.config.listener.v3.Listener`)))

  const envoy = await startEnvoy(
    {
      node: { id: 'weir-test', cluster: 'weir-test' },
      dynamic_resources: {
        lds_config: pathSource(join(folder, 'lds.json')),
        cds_config: pathSource(join(folder, 'cds.json')),
      },
      // For tests that flip a runtime key such as weir.enforced.
      layered_runtime: { layers: [{ name: 'admin', admin_layer: {} }] },
    },
    { args: ['--file-flush-interval-msec', '50'] },
  )
  const agents = new Map<string, Agent>()
  const stop = async (): Promise<void> => {
    for (const agent of agents.values()) agent.destroy()
    await envoy.stop()
    await rm(folder, { recursive: true, force: true })
  }
  await untilServing(envoy, around.port).catch(async (error: unknown) => {
    await stop()
    throw error
  })
  return {
    port: around.port,
    stats: (filter) => envoy.stats(filter),
    admin: (path, method) => envoy.admin(path, method),
    log: () => envoy.log(),
    stop,
    request(call) {
      const agent = agents.get(call.from) ?? new Agent({ keepAlive: true })
      agents.set(call.from, agent)
      return callOnce(around.port, agent, call)
    },
    async writeRoutes(routes) {
      const outcomes = routes.map(async (route) => {
        const name = textAt(route, 'name')
        const before = await routeStats(envoy, name)
        await write(around.routesFile(name), [typedRoute(route)])
        return routesOutcome(envoy, name, before)
      })
      return worst(await Promise.all(outcomes))
    },
    async accessLog() {
      const lines = (await readFile(around.accessLogFile, 'utf8')).split('\n')
      return lines.filter((line) => line !== '').map(parseObject)
    },
  }
}

function typed(type: string): (resource: JsonObject) => JsonObject {
  return (resource) => ({ '@type': type, ...resource })
}

/** Envoy is live even when it refused the listener, so its counters are asked and the port tried. */
async function untilServing(envoy: Envoy, port: number): Promise<void> {
  const deadline = Date.now() + UPDATE_MS
  while (Date.now() < deadline) {
    const refused = await envoy.stats('(lds|cds)\\.update_rejected$')
    if (Object.values(refused).some((count) => count > 0)) break
    if (await accepts(port)) return
    await sleep(POLL_MS)
  }
  throw new Error(`Cannot serve the object: Envoy refuses it\n${envoy.log()}`)
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

async function callOnce(port: number, agent: Agent, call: CallOptions): Promise<CallAnswer> {
  const { from, method, path, headers = {} } = call
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, agent, localAddress: from, method, path, headers }
    const outgoing = request(options, (incoming) => {
      const pairs = Object.entries(incoming.headers).map(([name, value]) => [name, String(value)])
      const answer = { status: incoming.statusCode ?? 0, headers: Object.fromEntries(pairs) }
      text(incoming).then((body) => resolve({ ...answer, body }), reject)
    })
    outgoing.once('error', reject)
    outgoing.end()
  })
}

/** The RDS counters of one RouteConfiguration, summed over the listeners that use it. */
async function routeStats(envoy: Envoy, name: string): Promise<Record<string, number>> {
  const scope = `.rds.${name.replaceAll(':', '_')}.` // Envoy has no colons in names.
  const sums: Record<string, number> = {}
  for (const [stat, value] of Object.entries(await envoy.stats('\\.rds\\.'))) {
    const at = stat.indexOf(scope)
    if (at < 0) continue
    const key = stat.slice(at + scope.length)
    sums[key] = (sums[key] ?? 0) + value
  }
  return sums
}

async function routesOutcome(
  envoy: Envoy,
  name: string,
  before: Record<string, number>,
): Promise<RoutesOutcome> {
  const deadline = Date.now() + UPDATE_MS
  while (Date.now() < deadline) {
    const now = await routeStats(envoy, name)
    const grew = (stat: string): boolean => (now[stat] ?? 0) > (before[stat] ?? 0)
    if (grew('update_rejected')) return 'rejected'
    if (grew('update_failure')) return 'failed'
    if (grew('update_success')) return grew('config_reload') ? 'reloaded' : 'unchanged'
    await sleep(POLL_MS)
  }
  throw new Error(`Cannot write routes ${name}: Envoy did not say what it did\n${envoy.log()}`)
}

function worst(outcomes: readonly RoutesOutcome[]): RoutesOutcome {
  const order: readonly RoutesOutcome[] = ['failed', 'rejected', 'reloaded']
  return order.find((outcome) => outcomes.includes(outcome)) ?? 'unchanged'
}
