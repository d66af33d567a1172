import { request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import {
  type ApiAccess,
  type ApiRequestOptions,
  type KubernetesAccess,
  openAccess,
} from './access.ts'
import { ApiError, errorOfAnswer } from './api-error.ts'

export interface ApiRequest {
  /** For messages: `list httproutes`. */
  readonly action: string
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** With its query. */
  readonly path: string
  readonly body?: { readonly type: string; readonly value: unknown }
  /** A connection on which nothing comes for so long, in ms, counts as dead. */
  readonly idleMs: number
  readonly signal?: AbortSignal
}

/** Speaks HTTP to one API server. Every method throws {@link ApiError}, and nothing else. */
export interface ApiClient {
  /** The body of a 2xx answer as it comes; whoever leaves the loop early ends the connection. */
  open(request: ApiRequest): Promise<AsyncIterable<Buffer>>
  /** The body of a 2xx answer as a value. */
  json(request: ApiRequest): Promise<unknown>
  close(): void
}

const ERROR_BYTES_MAX = 64 * 1024
/** Larger than any object that etcd takes (1.5 MiB), JSON's escapes included. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024
/** TCP asks the peer after so long: a path that swallows packets is noticed 10 s later. */
const KEEP_ALIVE_MS = 30_000

/**
 * The requests are our own, on KubeConfig's word on TLS and tokens. Of the client library's `Watch`
 * 2.0.1: lines that are cut are passed over in silence, an orderly end and a cut look alike, the
 * Status of a refusal is not read, and each call leaves an agent with its connections behind.
 *
 * @throws {ConfigError} where there is no cluster to be found.
 */
export async function createApiClient(access: KubernetesAccess): Promise<ApiClient> {
  const found = await openAccess(access)
  const agent = new Agent({ keepAlive: true, keepAliveMsecs: KEEP_ALIVE_MS })

  const open = async (request: ApiRequest): Promise<IncomingMessage> => {
    const response = await send(found, agent, request)
    const status = response.statusCode ?? 0
    if (status >= 200 && status < 300) return response
    const text = await textOf(response, ERROR_BYTES_MAX).catch(() => '')
    const retryAfterMs = Number(response.headers['retry-after'] ?? 0) * 1_000
    const patience = Number.isFinite(retryAfterMs) ? Math.max(0, retryAfterMs) : 0
    throw errorOfAnswer(request.action, status, jsonOf(text), patience)
  }
  return {
    open: async (request) => chunksOf(await open(request), request),
    async json(request) {
      const response = await open(request)
      try {
        return JSON.parse(await textOf(response, ANSWER_BYTES_MAX)) as unknown
      } catch (cause) {
        throw away(request, cause)
      }
    },
    close: () => agent.destroy(),
  }
}

async function send(
  access: ApiAccess,
  agent: Agent,
  request: ApiRequest,
): Promise<IncomingMessage> {
  const { server, requestOptions } = access
  let options: ApiRequestOptions
  try {
    options = await requestOptions()
  } catch (cause) {
    throw away(request, cause)
  }
  const { body, method, signal, idleMs } = request
  const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body.value))
  const start = server.protocol === 'http:' ? httpRequest : httpsRequest
  return new Promise((resolve, reject) => {
    const call = start({
      // Writes are rare, and must not meet a connection that the server is about to close.
      agent: server.protocol === 'https:' && method === 'GET' ? agent : false,
      ...options,
      protocol: server.protocol,
      host: server.hostname.replace(/^\[|\]$/g, ''),
      port: server.port,
      path: `${server.pathname.replace(/\/$/, '')}${request.path}`,
      method,
      timeout: idleMs,
      ...(signal === undefined ? {} : { signal }),
      headers: {
        ...options.headers,
        Accept: 'application/json',
        'User-Agent': 'weir',
        ...(body === undefined ? {} : { 'Content-Type': body.type }),
        // Node frames no body of a DELETE by itself: the server would take it for the next request.
        ...(payload === undefined ? {} : { 'Content-Length': payload.length }),
      },
    })
    call.on('socket', (socket) => socket.setKeepAlive(true, KEEP_ALIVE_MS))
    call.on('timeout', () => call.destroy(new Error(`nothing came for ${idleMs} ms`)))
    call.on('error', (cause) => {
      // The server had closed the connection that we meant to use again.
      const wasStale = call.reusedSocket && codeOf(cause) === 'ECONNRESET'
      if (wasStale) resolve(send(access, agent, request))
      else reject(away(request, cause))
    })
    call.on('response', resolve)
    call.end(payload)
  })
}

/** A cut is an error, an orderly end is none: a reader must be able to tell them apart. */
async function* chunksOf(response: IncomingMessage, request: ApiRequest): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of response) yield chunk as Buffer
  } catch (cause) {
    throw away(request, cause)
  } finally {
    response.destroy()
  }
}

async function textOf(response: IncomingMessage, bytesMax: number): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > bytesMax) throw new Error(`the answer is longer than ${bytesMax} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // A load balancer's page: its status says enough.
    return undefined
  }
}

function codeOf(error: Error): unknown {
  return 'code' in error ? error.code : undefined
}

function away({ action }: ApiRequest, cause: unknown): ApiError {
  return new ApiError(`Cannot ${action}: the API server does not answer`, { kind: 'away', cause })
}
