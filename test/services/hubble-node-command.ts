import type { AccessLogRecord } from './access-log.ts'

/** A node as Hubble's peer service tells of it. */
export interface HubblePeer {
  readonly name: string
  /** host:port */
  readonly address: string
  /** Set: Relay is to speak TLS to it and to expect this name. */
  readonly serverName?: string
}

/** What the node does on command. `lossy`: a full queue drops, as in an agent, instead of waiting. */
export type HubbleNodeCommand =
  | { do: 'records'; records: readonly AccessLogRecord[]; lossy?: boolean }
  /** `flow.Flow` in protojson; absent time, uuid and node_name are filled in. */
  | { do: 'flows'; flows: readonly object[]; lossy?: boolean }
  /** `flow.LostEvent` in protojson. HUBBLE_RING_BUFFER counts as one each; Hubble sums them up. */
  | { do: 'lost'; lost: readonly object[] }
  /** Events that the kernel's buffer lost. */
  | { do: 'perfLost'; count: number; cpu?: number }
  /** Slots that no client of GetFlows sees. */
  | { do: 'filler'; n: number }
  /**
   * `n` flows, `rate` a second (absent: at once), numbered from `first` (0) on. http: requests (even
   * numbers) and responses in turn; number / 2 is the call: path /items/CALL, x-request-id
   * generated-NODE-CALL. l4: number = (source address - 10.1.0.0) * 40000 + source_port - 20000.
   */
  | {
      do: 'generate'
      n: number
      first?: number
      rate?: number
      kind: 'http' | 'l4'
      lossy?: boolean
    }
  /**
   * The flows of a file: observer.GetFlowsResponse messages, each behind its length (4 bytes, big
   * endian). At most `n`; `loop`: exactly `n`, over and over. node_name becomes the node's own;
   * `renumber`: uuid and time are new, so that no two are the same.
   */
  | {
      do: 'load'
      file: string
      n?: number
      rate?: number
      loop?: boolean
      renumber?: boolean
    }
  /** What Cilium knows of addresses (keys: IP; IP:PORT). A workload only of the node's own pods. */
  | {
      do: 'names'
      pods?: Readonly<Record<string, HubblePod>>
      services?: Readonly<Record<string, { namespace: string; name: string }>>
    }
  | {
      do: 'peers'
      deleted?: readonly HubblePeer[]
      added?: readonly HubblePeer[]
      updated?: readonly HubblePeer[]
    }
  | { do: 'stopServer' | 'startServer' }

interface HubblePod {
  readonly namespace: string
  readonly pod: string
  readonly identity?: number
  readonly workload?: { readonly kind: string; readonly name: string }
}
