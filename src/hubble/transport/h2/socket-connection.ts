import type { Socket } from 'node:net'
import { describeError } from '../../../errors.ts'
import { endOfGoaway, StatusCode } from '../grpc-status.ts'
import type { CallEnd } from '../transport.ts'
import { type DialTls, dial } from './dial.ts'
import { FRAME_BYTES_MAX, FRAME_HEADER_BYTES } from './frames.ts'
import { Session } from './session.ts'

export interface SocketConnectionOptions {
  /** HOST:PORT; IPv6 hosts in brackets. */
  readonly address: string
  /** Undefined: plaintext. */
  readonly tls: DialTls | undefined
  readonly connectTimeoutMs: number
  readonly windowBytes: number
  /** Called once, when no stream can be on it any more. */
  readonly onGone: () => void
}

/** One read at most. Larger ones leave the CPU's cache, smaller ones cost a call each. */
const READ_BYTES = 262_144
/** After so much the rest of the process has its turn: a ring that is replayed comes as fast as it is read. */
const TURN_BYTES = 524_288
/** Before each read stands the frame that the last one had cut. */
const REST_BYTES_MAX = FRAME_HEADER_BYTES + FRAME_BYTES_MAX
/** How long a peer may take for our farewell, in ms. */
const FAREWELL_MS = 1_000

/**
 * One HTTP/2 connection on a socket, dialled at once, which reads into one buffer. Without ALPN it
 * speaks HTTP/2 all the same: Hubble before 1.17 offers none. The constructor throws for an address
 * that is none.
 */
export class SocketConnection {
  readonly session: Session
  readonly #options: SocketConnectionOptions
  readonly #socket: Socket
  readonly #timer: NodeJS.Timeout
  readonly #buffer = Buffer.allocUnsafeSlow(REST_BYTES_MAX + READ_BYTES)
  /** What the last read had cut, in front of where the next one begins. */
  #restBytes = 0
  /** Read since the rest of the process last had its turn. */
  #turnBytes = 0
  #isReady = false
  #isGone = false
  /** Why it is lost, where that is known: an error, or what the peer did against the protocol. */
  #error: unknown
  #violation: string | undefined

  constructor(options: SocketConnectionOptions) {
    const { address, tls, connectTimeoutMs, windowBytes } = options
    this.#options = options
    const socket = dial(address, tls, {
      buffer: this.#buffer.subarray(REST_BYTES_MAX),
      callback: (bytes) => this.#onRead(bytes),
    })
    this.#socket = socket
    this.session = new Session({
      windowBytes,
      write: (bytes) => {
        if (socket.writable) socket.write(bytes)
        return socket.writableLength
      },
      onReady: () => {
        this.#isReady = true
        clearTimeout(this.#timer)
      },
      onViolation: (text) => {
        this.#violation = `Protocol error: ${text}`
        this.#lose()
      },
      onGivenUp: (code, debugData) => this.#lose(endOfGoaway(code, debugData)),
      onDrained: () => this.close(),
    })
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => this.session.start())
    socket.on('error', (error) => {
      this.#error ??= error
      this.#lose()
    })
    // An error that belongs to it comes before `close`: of a TLS handshake that was cut short.
    socket.once('end', () => socket.destroy())
    socket.once('close', () => this.#lose())
    const late = () => {
      this.#error ??= new Error(`no answer within ${connectTimeoutMs} ms`)
      this.#lose()
    }
    this.#timer = setTimeout(late, connectTimeoutMs)
  }

  /** No further stream may be opened: it is gone, or the peer said that it will be. */
  get isDraining(): boolean {
    return this.#isGone || this.session.isDraining
  }

  /** Ends it, and every stream that is still on it; a farewell that is not taken keeps nothing alive. */
  close(): void {
    if (this.#isReady) this.session.leave()
    this.#lose()
  }

  /** False: no further read before the socket is resumed. */
  #onRead(bytes: number): boolean {
    const end = REST_BYTES_MAX + bytes
    try {
      const at = this.session.receive(this.#buffer, REST_BYTES_MAX - this.#restBytes, end)
      this.#restBytes = end - at
      if (at < end) this.#buffer.copyWithin(REST_BYTES_MAX - this.#restBytes, at, end)
    } catch (error) {
      this.#error ??= error
      this.#lose()
    }
    this.#turnBytes += bytes
    if (this.#turnBytes < TURN_BYTES || this.#isGone) return true
    this.#turnBytes = 0
    setImmediate(() => this.#socket.resume())
    return false
  }

  /** Ends it once; what was written before still goes out, as far as the peer takes it soon. */
  #lose(end = this.#loss()): void {
    if (this.#isGone) return
    this.#isGone = true
    clearTimeout(this.#timer)
    const socket = this.#socket
    if (this.#isReady && socket.writable) {
      socket.destroySoon()
      socket.unref()
      setTimeout(() => socket.destroy(), FAREWELL_MS).unref()
    } else {
      socket.destroy()
    }
    this.session.lose(end)
    this.#options.onGone()
  }

  /** Why its streams ended. */
  #loss(): CallEnd {
    const { address, tls } = this.#options
    const code = StatusCode.unavailable
    const told = this.#error === undefined ? this.#violation : describeError(this.#error)
    const reason = told ?? 'the peer closed it'
    if (this.#isReady) return { code, details: `Lost the connection to ${address}: ${reason}` }
    // A TLS port answers plaintext with an alert, which is no HTTP/2, or not at all.
    const hint = ` (it speaks no HTTP/2${tls === undefined ? ', or wants TLS' : ''})`
    const details = `Cannot connect to ${address}: ${reason}`
    return { code, details: this.#error === undefined ? details + hint : details }
  }
}
