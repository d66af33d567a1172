import type { Readable } from 'node:stream'
import type { EndpointTable } from '../model/endpoint.ts'
import type { Source } from '../pipeline/contract.ts'
import { backoffMs } from '../runtime/backoff.ts'
import { createCaptureSource } from './capture/capture-source.ts'
import { type ChannelOptions, connectHubble } from './channel.ts'
import { compileFlowFilter, type FlowFilterConfig } from './filter/flow-filter.ts'
import { createPeerSource } from './peer-source.ts'
import type { TimeBounds } from './receiver.ts'
import { createRelaySource } from './relay-source.ts'

/** One of `relay`, `peer` and `file`. */
export interface SourceOptions extends TimeBounds, ChannelOptions {
  readonly name?: string | undefined
  readonly cluster: string
  /** HOST:PORT. */
  readonly relay?: string | undefined
  /** HOST:PORT of the peer service, that of any agent. */
  readonly peer?: string | undefined
  /** A path; `-` is standard input. */
  readonly file?: string | undefined
  readonly filter?: FlowFilterConfig | undefined
  /** Path of `filter` in the configuration, for messages. */
  readonly where?: string | undefined
  readonly stdin: Readable
  readonly endpoints: EndpointTable
}

/** @throws {ConfigError} for a filter that cannot be. */
export function createSource(options: SourceOptions): Source {
  const { relay, peer, file = '-', tls, transport } = options
  const filter = compileFlowFilter(options.filter ?? {}, options.where)
  const name = options.name ?? relay ?? peer ?? file
  const address = relay ?? peer
  if (address === undefined) return createCaptureSource({ ...options, name, paths: [file], filter })
  const connect = () => connectHubble(address, { tls, transport })
  const live = { ...options, name, filter, connect, backoffMs, now: Date.now }
  if (relay !== undefined) return createRelaySource(live)
  return createPeerSource({
    ...live,
    connectAgent: (agent, serverName) =>
      connectHubble(agent, {
        tls: serverName === undefined ? undefined : { ...tls, serverName },
        transport,
      }),
  })
}
