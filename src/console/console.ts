import fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import { SinkError } from '../errors.ts'
import type { ApiCall } from '../model/api-call.ts'
import type { Discovery } from '../model/discovery.ts'
import type { Limit } from '../model/limit.ts'
import type { StageAccount } from '../pipeline/ledger.ts'
import type { Component } from '../runtime/lifecycle.ts'
import { isApi, isClient, isStatus, numberedFrom, pageOf, parseListQuery } from './list-query.ts'
import { sendProblem, statusOfError } from './problem.ts'
import type { Recent } from './recent.ts'

interface ReadyState {
  readonly ready: boolean
  /** What readiness still waits for. */
  readonly waitingFor: readonly string[]
  /** What is away, though Weir does its work without it. */
  readonly degraded: readonly string[]
}

interface Metrics {
  readonly contentType: string
  readonly body: string
}

export interface ConsoleOptions {
  /** Loopback unless the operator says otherwise: there is no login, and the lists name clients. */
  readonly host: string
  /** 0: a free one. */
  readonly port: number
  /** Asked at each request; must not wait for anything. */
  readonly ready: () => ReadyState
  /** The exposition. */
  readonly metrics: () => Promise<Metrics>
  /** The body of `/api/v1/status`. */
  readonly status: () => object
  readonly apis: () => readonly object[]
  readonly discoveries: () => readonly Discovery[]
  readonly limits: () => readonly Limit[]
  readonly ledger: () => readonly StageAccount[]
  readonly recent: Recent
  /** A call as the events write it. */
  readonly encodeCall: (call: ApiCall) => object
  readonly logger?: FastifyBaseLogger
}

export interface Console extends Component {
  /** `HOST:PORT` that it listens on; '' while it does not. */
  readonly address: string
  /** For tests without a socket. */
  readonly inject: FastifyInstance['inject']
}

/** A request whose sender is slower than this is cut off, in ms. */
const REQUEST_TIMEOUT_MS = 10_000

/**
 * The HTTP face: probes, metrics and the lists of recent things. Reads only: no request changes
 * anything, so a page of another origin that reaches it by a rebound name could read, but not act.
 * Lists are newest first and paged by `limit` and `cursor`; what goes wrong is told as RFC 9457 says,
 * never with a stack.
 */
export function createConsole(options: ConsoleOptions): Console {
  const app = fastify({
    ...(options.logger === undefined ? {} : { loggerInstance: options.logger }),
    // Probes and scrapes would be most of the log.
    logController: new LogController({ disableRequestLogging: true }),
    requestTimeout: REQUEST_TIMEOUT_MS,
    // What cannot be routed at all, such as a path with a broken escape.
    frameworkErrors: (error, _request, reply) => {
      sendProblem(reply, statusOfError(error), 'The request cannot be read')
    },
  })
  app.addHook('onRequest', async (_request, reply) => {
    reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff')
  })
  addErrors(app)
  addProbes(app, options)
  addLists(app, options)
  let address = ''
  return {
    name: 'console',
    inject: app.inject.bind(app),
    get address() {
      return address
    },
    async start() {
      const { host, port } = options
      try {
        await app.listen({ host, port })
        const [bound] = app.addresses()
        if (typeof bound === 'object') address = hostPortOf(bound.address, bound.port)
      } catch (cause) {
        const message = `Cannot listen on ${hostPortOf(host, port)}`
        throw new SinkError(message, { sink: 'console', retryable: true, cause })
      }
    },
    async stop(deadline) {
      address = ''
      const cutOff = (): void => app.server.closeAllConnections()
      if (deadline.aborted) cutOff()
      deadline.addEventListener('abort', cutOff, { once: true })
      try {
        await app.close()
      } finally {
        deadline.removeEventListener('abort', cutOff)
      }
    },
  }
}

function addErrors(app: FastifyInstance): void {
  app.setErrorHandler(async (error, request, reply) => {
    const status = statusOfError(error)
    if (status < 500) {
      return sendProblem(reply, status, error instanceof Error ? error.message : undefined)
    }
    request.log.error({ err: error, url: request.url }, 'Cannot answer')
    return sendProblem(reply, status)
  })
  app.setNotFoundHandler(async (request, reply) => {
    const path = request.url.split('?', 1)[0] ?? ''
    if (app.hasRoute({ method: 'GET', url: path })) {
      reply.header('allow', 'GET, HEAD')
      return sendProblem(reply, 405, `${request.method} is not possible here`)
    }
    return sendProblem(reply, 404, 'There is nothing at this path')
  })
}

function addProbes(app: FastifyInstance, options: ConsoleOptions): void {
  app.get('/livez', async () => ({ live: true }))
  app.get('/readyz', async (_request, reply) => {
    const { ready, waitingFor, degraded } = options.ready()
    reply.code(ready ? 200 : 503)
    return { ready, waitingFor, degraded }
  })
  app.get('/metrics', async (_request, reply) => {
    const { contentType, body } = await options.metrics()
    reply.header('content-type', contentType)
    return body
  })
}

function addLists(app: FastifyInstance, options: ConsoleOptions): void {
  const { recent, encodeCall } = options
  app.get('/api/v1/status', async () => options.status())
  app.get('/api/v1/calls', async ({ query }) => {
    const asked = parseListQuery('calls', query)
    const matches = ({ api, client, exchange }: ApiCall): boolean =>
      isApi(api, asked.api) &&
      isClient(client, asked.client) &&
      isStatus(exchange.status, asked.status)
    return pageOf(
      recent.calls(asked.cursor ?? Number.POSITIVE_INFINITY),
      asked,
      matches,
      encodeCall,
    )
  })
  app.get('/api/v1/findings', async ({ query }) => {
    const asked = parseListQuery('byApiAndClient', query)
    const findings = recent.findings(asked.cursor ?? Number.POSITIVE_INFINITY)
    return pageOf(
      findings,
      asked,
      ({ api, client }) => isApi(api, asked.api) && isClient(client, asked.client),
      (finding) => finding,
    )
  })
  app.get('/api/v1/discovery', async ({ query }) => {
    const asked = parseListQuery('unfiltered', query)
    return pageOf(numberedFrom(options.discoveries(), asked.cursor), asked, everything, (d) => d)
  })
  app.get('/api/v1/limits', async ({ query }) => {
    const asked = parseListQuery('byApiAndClient', query)
    const limits = options.limits().toSorted((a, b) => Date.parse(b.since) - Date.parse(a.since))
    return pageOf(
      numberedFrom(limits, asked.cursor),
      asked,
      ({ api, client }) => isApi(api, asked.api) && isClient(client, asked.client),
      (limit) => limit,
    )
  })
  app.get('/api/v1/apis', async ({ query }) => {
    const asked = parseListQuery('unfiltered', query)
    const apis = numberedFrom(options.apis(), asked.cursor)
    return pageOf(apis, asked, everything, (api) => api)
  })
  app.get('/api/v1/ledger', async ({ query }) => {
    const asked = parseListQuery('unfiltered', query)
    const accounts = numberedFrom(options.ledger(), asked.cursor)
    return pageOf(accounts, asked, everything, encodeAccount)
  })
}

function everything(): boolean {
  return true
}

function encodeAccount({ stage, in: taken, out, ended, inFlight, unaccounted }: StageAccount) {
  return { stage, in: taken, out, ended, in_flight: inFlight, unaccounted }
}

function hostPortOf(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
