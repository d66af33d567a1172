import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { SourceError, UsageError } from '../errors.ts'
import type { ApiCall } from '../model/api-call.ts'
import { FlowKind, type FlowView, L7Type, timeMsOf } from '../model/flow-view.ts'

/** Clocks of two flows of one call, and of a record that was cut to microseconds. */
const NEAR_MS = 1

/**
 * Line `number` (from 1) of a capture, gzipped or not, as JSON.
 *
 * @throws {SourceError} when the capture cannot be read.
 * @throws {UsageError} when it has no such line, or the line is no flow.
 */
export async function lineOfCapture(path: string, number: number): Promise<unknown> {
  let at = 0
  try {
    for await (const line of createInterface({ input: await inflated(path) })) {
      at++
      if (at === number) return JSON.parse(line)
    }
  } catch (cause) {
    if (cause instanceof SyntaxError) {
      throw new UsageError(`Cannot explain line ${number} of ${path}: it is not JSON`, { cause })
    }
    throw new SourceError(`Cannot read the capture ${path}`, { cause })
  }
  throw new UsageError(`Cannot explain line ${number} of ${path}: it has ${at}`)
}

async function inflated(path: string): Promise<Readable> {
  const file = await open(path)
  const head = Buffer.alloc(2)
  await file.read(head, 0, 2, 0)
  await file.close()
  const input = createReadStream(path)
  return head.equals(Buffer.from([0x1f, 0x8b])) ? input.pipe(createGunzip()) : input
}

/** Finds the flow of one line again as it goes by, and the call that it became a part of. */
export class CaptureLineMatch {
  readonly #uuid: string
  readonly #timeMs: number
  readonly #ips: readonly [string, string]
  #seen:
    | { isResponse: boolean; uuid: string; requestId: string; client: string; atMs: number }
    | undefined

  constructor(line: unknown) {
    const flow = part(line, 'flow') ?? line
    this.#uuid = text(part(flow, 'uuid'))
    this.#timeMs = Date.parse(text(part(flow, 'time') ?? part(line, 'time')))
    const ip = part(flow, 'IP') ?? part(flow, 'ip')
    this.#ips = [text(part(ip, 'source')), text(part(ip, 'destination'))]
  }

  isFlow(flow: FlowView): boolean {
    if (this.#seen !== undefined) return false
    const isIt =
      this.#uuid !== ''
        ? flow.uuid() === this.#uuid
        : Math.abs(timeMsOf(flow) - this.#timeMs) < NEAR_MS &&
          flow.sourceIp() === this.#ips[0] &&
          flow.destinationIp() === this.#ips[1]
    if (!isIt) return false
    const isResponse = flow.kind === FlowKind.http && flow.l7Type === L7Type.response
    this.#seen = {
      isResponse,
      uuid: flow.uuid(),
      requestId: flow.httpHeader('x-request-id'),
      client: isResponse
        ? `${flow.destinationIp()}:${flow.destinationPort}`
        : `${flow.sourceIp()}:${flow.sourcePort}`,
      atMs: timeMsOf(flow),
    }
    return true
  }

  /** By the request's uuid; else by its client's end and the time that it took. */
  isCall({ exchange }: ApiCall): boolean {
    const seen = this.#seen
    if (seen === undefined) return false
    const { report, twin, requestId } = exchange
    const reports = twin === null ? [report] : [report, twin]
    if (!seen.isResponse && seen.uuid !== '') return reports.some(({ uuid }) => uuid === seen.uuid)
    return reports.some(({ sourceIp, sourcePort, seenMs, startMs, durationMs }) => {
      if (`${sourceIp}:${sourcePort}` !== seen.client) return false
      if (seen.requestId !== '' && requestId !== '' && seen.requestId !== requestId) return false
      const endMs = startMs + Math.max(0, durationMs)
      const atMs = seen.isResponse ? endMs : seenMs
      return Math.abs(atMs - seen.atMs) < NEAR_MS
    })
  }
}

function part(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null) return undefined
  return (value as Readonly<Record<string, unknown>>)[name]
}

const text = (value: unknown): string => (typeof value === 'string' ? value : '')
