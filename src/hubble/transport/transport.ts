/** How a call ended; OK is code 0 (`grpc.status`). */
export interface CallEnd {
  readonly code: number
  readonly details: string
}

/**
 * Gets each message of a stream: `bytes[start, end)`, which is valid only inside the call. Reading
 * waits for a promise that it returns, for bounded reads only: a live stream that waits loses flows
 * unseen, in the node's ring. What it throws, or its promise is rejected with, ends the stream with
 * code 13 (INTERNAL) and the reason.
 */
export type OnMessage = (bytes: Buffer, start: number, end: number) => Promise<void> | undefined

/** One connection to a Relay or an agent, for server streams. Nothing is dialled before the first one. */
export interface StreamTransport {
  /**
   * Calls the server-streaming method `path` (`/observer.Observer/GetFlows`) with one encoded
   * message. Settles when the stream ended, whoever ended it, and never rejects: what fails on the
   * way (a connection refused, a TLS error, a GOAWAY, a reset) is a code of gRPC with a text that
   * tells the reason. A message above 4 MiB or with the compressed flag ends it with a clear error.
   * OK means that every message was handed on. An abort settles at once, with code 1 (CANCELLED);
   * nothing is handed on after the end. Several streams share the connection; after a GOAWAY, or
   * when it is gone, the next stream dials anew. Waiting between attempts is the caller's.
   */
  open(
    path: string,
    request: Uint8Array,
    onMessage: OnMessage,
    signal: AbortSignal,
  ): Promise<CallEnd>
  /** Ends the connection, and every stream on it with code 1 (CANCELLED); so does a later `open`. */
  close(): void
}

/** Files in PEM, by content. `serverName` is checked against the certificate instead of the address's host. */
export interface TlsMaterial {
  readonly ca?: Buffer | undefined
  readonly cert?: Buffer | undefined
  readonly key?: Buffer | undefined
  readonly serverName?: string | undefined
}

export interface TransportOptions {
  /** For name resolution, TCP, TLS and the peer's SETTINGS together. Default 10 000. */
  readonly connectTimeoutMs?: number | undefined
  /**
   * Flow control of the connection and of each stream: 65 535 … 4 MiB, the default; below 1 MiB the
   * round trip caps the rate, and each window costs CPU. A stream that waits holds at most so much.
   */
  readonly windowBytes?: number | undefined
  /** Gets the headers of each response, by lower-case name: Relay's `hubble-relay-version`. */
  readonly onMetadata?: ((headers: ReadonlyMap<string, string>) => void) | undefined
}

/** The limit of gRPC's own clients; a flow has 1 or 2 KB. */
export const MESSAGE_BYTES_MAX = 4 * 1_024 * 1_024
const CONNECT_TIMEOUT_MS = 10_000
/** RFC 9113 6.9.2. */
const WINDOW_BYTES_MIN = 65_535
const WINDOW_BYTES_MAX = 4 * 1_024 * 1_024

/** What is not given by its default, the window within its bounds. */
export function withDefaults(options: TransportOptions) {
  const { connectTimeoutMs = CONNECT_TIMEOUT_MS, windowBytes = WINDOW_BYTES_MAX } = options
  return {
    connectTimeoutMs,
    windowBytes: Math.min(Math.max(Math.trunc(windowBytes), WINDOW_BYTES_MIN), WINDOW_BYTES_MAX),
    onMetadata: options.onMetadata ?? (() => {}),
  }
}
