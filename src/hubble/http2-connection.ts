import { type ClientHttp2Session, connect, constants } from 'node:http2'
import { connect as connectTcp, isIP, type Socket } from 'node:net'
import { checkServerIdentity, connect as connectTls, type SecureContext } from 'node:tls'
import { describeError } from '../errors.ts'
import { endOfGoaway, StatusCode } from './grpc-status.ts'
import type { CallEnd } from './transport.ts'

export interface ConnectionOptions {
  /** HOST:PORT; IPv6 hosts in brackets. */
  readonly address: string
  /** Undefined: plaintext. `serverName` is what the certificate is checked for, and SNI. */
  readonly tls:
    | { readonly context: SecureContext; readonly serverName: string | undefined }
    | undefined
  readonly connectTimeoutMs: number
  readonly windowBytes: number
  /** Called once, when the connection is gone or could not be made. */
  readonly onGone: () => void
}

/**
 * How long a connection may be silent before the kernel asks for a sign of life, in ms; libuv gives
 * up 10 s later. This is TCP's own keepalive: pings of HTTP/2 would make Relay send a GOAWAY.
 */
const TCP_KEEPALIVE_MS = 30_000
const DEBUG_DATA_MAX = 200
const HOST_PORT = /^([^\s/:]+|\[[0-9a-fA-F:.%]+\]):(\d{1,5})$/

/**
 * One HTTP/2 connection, dialled at once. Without ALPN it speaks HTTP/2 all the same: Hubble before
 * 1.17 offers none. The constructor throws for an address that is none.
 */
export class Http2Connection {
  readonly session: ClientHttp2Session
  /** Fulfilled when streams may be opened, or with the reason why they never can. Never rejects. */
  readonly ready: Promise<CallEnd | undefined>
  readonly #address: string
  readonly #isTls: boolean
  readonly #socket: Socket
  readonly #timer: NodeJS.Timeout
  #isReady = false
  #goaway: CallEnd | undefined
  #isDraining = false
  #error: unknown

  constructor(options: ConnectionOptions) {
    const { address, tls, connectTimeoutMs, windowBytes, onGone } = options
    this.#address = address
    this.#isTls = tls !== undefined
    const { promise, resolve } = Promise.withResolvers<CallEnd | undefined>()
    this.ready = promise
    const socket = dial(address, tls)
    this.#socket = socket
    socket.setKeepAlive(true, TCP_KEEPALIVE_MS)
    // Node leaves a socket open that got a TLS alert after the handshake, and its session hanging:
    // with TLS 1.3 that is how a peer refuses a client without a certificate.
    socket.on('error', (error) => this.#fail(error))
    // Each request names its authority itself.
    this.session = connect('http://peer', {
      createConnection: () => socket,
      settings: { initialWindowSize: windowBytes, enablePush: false },
    })
    this.session.on('error', (error) => (this.#error ??= error))
    this.session.on('goaway', (code, _lastStreamId, debugData) => this.#onGoaway(code, debugData))
    this.session.once('connect', () => {
      // There is no handle before; the setting is each stream's window, this is the connection's.
      if (!this.session.destroyed) this.session.setLocalWindowSize(windowBytes)
    })
    this.session.once('remoteSettings', () => {
      clearTimeout(this.#timer)
      this.#isReady = true
      resolve(undefined)
    })
    this.session.once('close', () => {
      clearTimeout(this.#timer)
      this.#isDraining = true
      resolve(this.loss())
      onGone()
    })
    const late = () => this.#fail(new Error(`no answer within ${connectTimeoutMs} ms`))
    this.#timer = setTimeout(late, connectTimeoutMs)
  }

  /** No further stream may be opened: it is gone, or the peer said that it will be. */
  get isDraining(): boolean {
    return this.#isDraining || this.session.closed || this.session.destroyed
  }

  /** Why its streams ended, once it is gone; `error` is what one of them was told, maybe earlier. */
  loss(error?: Error): CallEnd {
    if (this.#goaway !== undefined) return this.#goaway
    const code = StatusCode.unavailable
    const cause = this.#error ?? error
    const reason = cause === undefined ? 'the peer closed it' : describeError(cause)
    if (this.#isReady)
      return { code, details: `Lost the connection to ${this.#address}: ${reason}` }
    return { code, details: `Cannot connect to ${this.#address}: ${reason}${this.#hint()}` }
  }

  /** Ends it and its streams at once; a farewell that the peer does not take keeps nothing alive. */
  close(): void {
    clearTimeout(this.#timer)
    this.#isDraining = true
    this.session.destroy()
    if (this.#isReady) this.#socket.unref()
    else this.#socket.destroy()
  }

  #fail(error: Error): void {
    this.#error ??= error
    this.session.destroy(error)
    this.#socket.destroy()
  }

  #onGoaway(code: number, debugData: Uint8Array | undefined): void {
    this.#isDraining = true
    if (code === constants.NGHTTP2_NO_ERROR) return // Its open streams go on.
    const text = Buffer.from(debugData ?? []).toString('utf8')
    this.#goaway = endOfGoaway(code, text.slice(0, DEBUG_DATA_MAX))
  }

  /** A TLS port answers plaintext with an alert, which is no HTTP/2, or not at all. */
  #hint(): string {
    const { code } = (this.#error ?? {}) as { readonly code?: unknown }
    if (this.#error !== undefined && code !== 'ERR_HTTP2_ERROR') return ''
    return this.#isTls ? ' (it speaks no HTTP/2)' : ' (it speaks no HTTP/2, or wants TLS)'
  }
}

function dial(address: string, tls: ConnectionOptions['tls']): Socket {
  const [, hostname = '', digits = ''] = HOST_PORT.exec(address) ?? []
  const host = hostname.replace(/^\[|\]$/g, '')
  const port = Number(digits)
  if (host === '' || port < 1 || port > 65_535) throw new Error('it is no HOST:PORT')
  if (tls === undefined) return connectTcp({ host, port })
  const name = tls.serverName ?? host
  return connectTls({
    host,
    port,
    secureContext: tls.context,
    ALPNProtocols: ['h2'],
    // RFC 6066 3: an address is no server name; the certificate is checked for it all the same.
    servername: isIP(name) === 0 ? name : '',
    checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
  })
}
