import { STATUS_CODES } from 'node:http'
import type { FastifyReply } from 'fastify'

/** A request that cannot be answered, by its sender's fault; `message` is for the sender. */
export class RequestError extends Error {
  override readonly name = 'RequestError'
  readonly statusCode = 400
}

/** Answers with problem details. `detail` must not tell more than the sender may know. Source: RFC 9457. */
export function sendProblem(reply: FastifyReply, status: number, detail?: string): FastifyReply {
  const title = STATUS_CODES[status] ?? 'Unknown Error'
  const problem = {
    type: 'about:blank',
    title,
    status,
    ...(detail === undefined ? {} : { detail }),
  }
  return reply.code(status).type('application/problem+json').send(JSON.stringify(problem))
}

/** Status of an error as fastify marks it; 500 for what was thrown without one. */
export function statusOfError(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return 500
  const status = Number(error.statusCode)
  return status >= 400 && status <= 599 ? status : 500
}
