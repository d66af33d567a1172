import { readFile } from 'node:fs/promises'
import type { RequestOptions } from 'node:https'
import type { KubeConfig } from '@kubernetes/client-node'
import { ConfigError } from '../errors.ts'

/** How the API server is found, and as whom we speak to it. Files are read again as they change. */
export type KubernetesAccess =
  | { readonly from: 'cluster' }
  | {
      readonly from: 'kubeconfig'
      readonly path: string
      /** Instead of the file's current one. */
      readonly context?: string
    }
  | {
      readonly from: 'server'
      /** `https://HOST:PORT` */
      readonly server: string
      /** PEM file of the authority that signed the server's certificate; default the system's. */
      readonly caFile?: string
      /** One of these; the file wins. */
      readonly token?: string
      readonly tokenFile?: string
    }

export interface ApiRequestOptions extends RequestOptions {
  readonly headers: Readonly<Record<string, string>>
}

/** Where requests go, and what makes them ours. */
export interface ApiAccess {
  readonly server: URL
  /**
   * Options of one request: TLS, the Authorization header, and an agent where a proxy is to be used.
   * Made anew each time, as tokens and certificates rotate. @throws where a file or a login fails.
   */
  readonly requestOptions: () => Promise<ApiRequestOptions>
}

/**
 * Loads the client library, which takes about a second and 80 MB: nobody who only reads files pays.
 * @throws {ConfigError} where there is no cluster to be found. Never with a kubeconfig's text in it.
 */
export async function openAccess(access: KubernetesAccess): Promise<ApiAccess> {
  const { KubeConfig } = await import('@kubernetes/client-node')
  const config = new KubeConfig()
  load(config, access)
  const cluster = config.getCurrentCluster()
  const server = URL.parse(cluster?.server ?? '')
  if (server === null || !/^https?:$/.test(server.protocol)) {
    throw new ConfigError(`Cannot reach Kubernetes: ${describe(access)} names no API server`)
  }
  const hasProxy = (cluster?.proxyUrl ?? '') !== ''
  if (server.protocol === 'http:' && cluster?.skipTLSVerify !== true) {
    throw new ConfigError(
      `Cannot reach Kubernetes: ${server.origin} is plain HTTP, which must be allowed by insecure-skip-tls-verify`,
    )
  }
  return {
    server,
    async requestOptions() {
      const headers: Record<string, string> = {}
      const options: RequestOptions = { headers }
      await config.applyToHTTPSOptions(options)
      // The library keeps its agents, with the certificates that were there first: ours reads anew.
      if (!hasProxy) delete options.agent
      const token = await readToken(config)
      if (token !== undefined) headers['Authorization'] = `Bearer ${token}`
      return { ...options, headers }
    },
  }
}

function load(config: KubeConfig, access: KubernetesAccess): void {
  if (access.from === 'cluster') {
    config.loadFromCluster()
    // What the library makes of environment variables that are not set.
    if (config.getCurrentCluster()?.server.includes('undefined') === true) {
      throw new ConfigError('Cannot reach Kubernetes: this process does not run in a pod')
    }
  } else if (access.from === 'kubeconfig') {
    loadFile(config, access.path, access.context)
  } else {
    const { server, caFile, token, tokenFile } = access
    const authProvider = { name: 'tokenFile', config: { tokenFile } }
    config.loadFromClusterAndUser(
      {
        name: 'cluster',
        server,
        skipTLSVerify: false,
        ...(caFile === undefined ? {} : { caFile }),
      },
      {
        name: 'user',
        ...(tokenFile === undefined ? {} : { authProvider }),
        ...(token === undefined || tokenFile !== undefined ? {} : { token }),
      },
    )
  }
}

function loadFile(config: KubeConfig, path: string, context: string | undefined): void {
  try {
    config.loadFromFile(path)
  } catch (cause) {
    // A parser's message shows the lines around its error, and those hold tokens.
    const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : ''
    throw new ConfigError(`Cannot read kubeconfig ${path}: it is missing or no kubeconfig${code}`)
  }
  if (context !== undefined) config.setCurrentContext(context)
  if (config.getContextObject(config.getCurrentContext()) === null) {
    const wanted = context ?? config.getCurrentContext()
    throw new ConfigError(`Cannot use kubeconfig ${path}: it has no context "${wanted}"`)
  }
}

/** The library reads a token's file once a minute, so a token that was replaced early fails so long. */
async function readToken(config: KubeConfig): Promise<string | undefined> {
  const provider: unknown = config.getCurrentUser()?.authProvider?.config?.['tokenFile']
  if (typeof provider !== 'string') return undefined
  return (await readFile(provider, 'utf8')).trim()
}

function describe(access: KubernetesAccess): string {
  if (access.from === 'kubeconfig') return `kubeconfig ${access.path}`
  return access.from === 'cluster' ? 'the pod' : `"${access.server}"`
}
