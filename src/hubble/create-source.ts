import type { Readable } from 'node:stream'
import type { EndpointTable } from '../model/endpoint.ts'
import type { Source } from '../pipeline/contract.ts'
import { backoffMs } from '../runtime/backoff.ts'
import { createCaptureSource } from './capture-source.ts'
import { connectHubble, type TlsOptions } from './channel.ts'
import type { TimeBounds } from './receiver.ts'
import { createRelaySource } from './relay-source.ts'

/** One of `relay` and `file`. */
export interface SourceOptions extends TimeBounds {
  readonly name?: string | undefined
  /** HOST:PORT. */
  readonly relay?: string | undefined
  /** A path; `-` is standard input. */
  readonly file?: string | undefined
  readonly tls?: TlsOptions | undefined
  readonly stdin: Readable
  readonly endpoints: EndpointTable
}

export function createSource(options: SourceOptions): Source {
  const { relay, file = '-', tls } = options
  const name = options.name ?? relay ?? file
  if (relay === undefined) return createCaptureSource({ ...options, name, paths: [file] })
  const connect = () => connectHubble(relay, tls)
  return createRelaySource({ ...options, name, connect, backoffMs, now: Date.now })
}
