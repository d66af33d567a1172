import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { binaryOf } from './catalogue.ts'
import { removeAtExit, spawnChild, untilReady } from './child.ts'
import { freePort } from './free-port.ts'
import { bring } from './recipes.ts'

const READY_MS = 10_000

export interface EnvoyOptions {
  /** Further command-line flags. */
  readonly args?: readonly string[]
}

export interface Envoy {
  readonly adminPort: number
  /** Counters and gauges whose name matches the regular expression, by name. */
  stats(filter: string): Promise<Record<string, number>>
  /** The body of an admin page such as `/config_dump`. @throws {Error} on a status that is not 200. */
  admin(path: string, method?: 'GET' | 'POST'): Promise<string>
  /** What it logged last: warnings and errors, the reason of a NACK among them. */
  log(): string
  stop(): Promise<void>
}

/**
 * Starts Envoy with `bootstrap` (JSON of envoy.config.bootstrap.v3.Bootstrap), to which the admin
 * address is added, and waits until it is live: it is also when it refused a listener that came by xDS.
 * @throws {Error} with its log if it does not come up.
 */
export async function startEnvoy(bootstrap: object, options: EnvoyOptions = {}): Promise<Envoy> {
  await bring('envoy')
  const adminPort = await freePort()
  const folder = await mkdtemp(join(tmpdir(), 'weir-envoy-'))
  removeAtExit(folder)
  const file = join(folder, 'bootstrap.json')
  const admin = { address: { socket_address: { address: '127.0.0.1', port_value: adminPort } } }
  await writeFile(file, JSON.stringify({ ...bootstrap, admin }))
  const flags = ['--concurrency', '2', '--disable-hot-restart', '-l', 'warning']
  const child = spawnChild({
    command: binaryOf('envoy', 'envoy'),
    args: ['-c', file, ...flags, ...(options.args ?? [])],
  })
  const ask = async (path: string, method = 'GET'): Promise<string> => {
    const response = await fetch(`http://127.0.0.1:${adminPort}${path}`, { method })
    const body = await response.text()
    if (response.status !== 200) throw new Error(`Cannot ask Envoy for ${path}: ${body}`)
    return body
  }
  const isReady = async (): Promise<boolean> => (await ask('/ready')).trim() === 'LIVE'
  try {
    await untilReady('envoy', child, isReady, READY_MS)
  } finally {
    await rm(folder, { recursive: true, force: true }) // Read at the start only.
  }
  return {
    adminPort,
    stats: async (filter) => parseStats(await ask(`/stats?filter=${encodeURIComponent(filter)}`)),
    admin: ask,
    log: () => child.log(),
    stop: () => child.stop(1_000),
  }
}

/** Lines `name: number`; histograms have other values and are left out. */
function parseStats(text: string): Record<string, number> {
  const stats: Record<string, number> = {}
  for (const line of text.split('\n')) {
    const [, name, value] = /^(.+): (\d+)$/.exec(line) ?? []
    if (name !== undefined) stats[name] = Number(value)
  }
  return stats
}
