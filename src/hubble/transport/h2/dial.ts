import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from 'node:net'
import { checkServerIdentity, connect as connectTls, type SecureContext } from 'node:tls'

export interface DialTls {
  readonly context: SecureContext
  /** What the certificate is checked for, and SNI, instead of the address's host. */
  readonly serverName: string | undefined
}

/** What Node takes for TLS as well (24.21), and @types/node knows of TCP alone. */
type ReadInto = { readonly onread: OnReadOpts }

/**
 * How long a connection may be silent before the kernel asks for a sign of life, in ms; libuv gives
 * up 10 s later. This is TCP's own keepalive: pings of HTTP/2 would make Relay send a GOAWAY.
 */
const TCP_KEEPALIVE_MS = 30_000
const HOST_PORT = /^([^\s/:]+|\[[0-9a-fA-F:.%]+\]):(\d{1,5})$/

/**
 * Dials HOST:PORT (IPv6 hosts in brackets) for HTTP/2, and reads into one buffer. Throws for an address
 * that is none.
 */
export function dial(address: string, tls: DialTls | undefined, onread: OnReadOpts): Socket {
  const [, hostname = '', digits = ''] = HOST_PORT.exec(address) ?? []
  const host = hostname.replace(/^\[|\]$/g, '')
  const port = Number(digits)
  if (host === '' || port < 1 || port > 65_535) throw new Error('it is no HOST:PORT')
  const socket =
    tls === undefined ? connectTcp({ host, port, onread }) : dialTls(host, port, tls, { onread })
  socket.setNoDelay(true)
  socket.setKeepAlive(true, TCP_KEEPALIVE_MS)
  return socket
}

function dialTls(host: string, port: number, tls: DialTls, readInto: ReadInto): Socket {
  const name = tls.serverName ?? host
  return connectTls({
    host,
    port,
    ...readInto,
    secureContext: tls.context,
    ALPNProtocols: ['h2'],
    // RFC 6066 3: an address is no server name; the certificate is checked for it all the same.
    servername: isIP(name) === 0 ? name : '',
    checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
  })
}
