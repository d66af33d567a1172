/** How a call ended; OK is code 0 (`grpc.status`). */
export interface CallEnd {
  readonly code: number
  readonly details: string
}

/**
 * Gets each message of a stream: `bytes[start, end)`, which is valid only inside the call. Reading
 * waits for a promise that it returns, for bounded reads only: a live stream that waits loses flows
 * unseen, in the node's ring.
 */
export type OnMessage = (bytes: Buffer, start: number, end: number) => Promise<void> | undefined

/** One connection to a Relay or an agent, for server streams. Nothing is dialled before the first one. */
export interface StreamTransport {
  /**
   * Calls the server-streaming method `path` (`/observer.Observer/GetFlows`) with one encoded
   * message. Settles when the stream ended, whoever ended it, and never rejects: what fails on the
   * way (a connection refused, a TLS error, a GOAWAY, a reset) is a code of gRPC with a text that
   * tells the reason. A message above 4 MiB or with the compressed flag ends it with a clear error.
   */
  open(
    path: string,
    request: Uint8Array,
    onMessage: OnMessage,
    signal: AbortSignal,
  ): Promise<CallEnd>
  /** Ends the connection, and every stream on it with code 1 (CANCELLED). */
  close(): void
}

/** Files in PEM, by content. `serverName` is checked against the certificate instead of the address's host. */
export interface TlsMaterial {
  readonly ca?: Buffer | undefined
  readonly cert?: Buffer | undefined
  readonly key?: Buffer | undefined
  readonly serverName?: string | undefined
}
