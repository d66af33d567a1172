import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TlsOptions } from 'node:tls'
import { describe, expect, it, vi } from 'vitest'
import type { TlsMaterial } from '../../../src/hubble/transport/transport.ts'
import { startRawServer } from './raw-http2-server.ts'
import {
  ENDED_OK,
  type Expected,
  finishOk,
  open,
  read,
  SMALL,
  says,
  TRANSPORTS,
  wire,
} from './read-stream.ts'

const RELAY_NAME = 'ui.hubble-relay.cilium.io'

interface Certificates {
  readonly ca: Buffer
  readonly cert: Buffer
  readonly key: Buffer
}
let made: Certificates | undefined

/** One authority, and one certificate for Relay's name that serves both sides. */
function certificates(): Certificates {
  if (made !== undefined) return made
  const directory = mkdtempSync(join(tmpdir(), 'weir-test-'))
  const at = (name: string) => join(directory, name)
  const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' })
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const name = ['-addext', 'subjectAltName=DNS:*.hubble-relay.cilium.io,IP:127.0.0.1']
  const ca = ['-keyout', at('ca.key'), '-out', at('ca.pem'), '-days', '2', '-subj', '/CN=test']
  const request = ['-keyout', at('key.pem'), '-out', at('csr.pem'), '-subj', '/CN=relay']
  const signing = ['-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '2']
  const signed = ['-in', at('csr.pem'), '-out', at('cert.pem'), '-copy_extensions', 'copyall']
  try {
    openssl('req', '-x509', ...newKey, ...ca)
    openssl('req', ...newKey, ...request, ...name)
    openssl('x509', '-req', ...signing, ...signed)
    const [authority, cert, key] = ['ca.pem', 'cert.pem', 'key.pem'].map((file) =>
      readFileSync(at(file)),
    )
    if (authority === undefined || cert === undefined || key === undefined) throw new Error('none')
    made = { ca: authority, cert, key }
    return made
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

interface TlsCase {
  readonly why: string
  readonly server: (made: Certificates) => TlsOptions | undefined
  readonly client: (made: Certificates) => TlsMaterial | undefined
  readonly end: Expected
  readonly grpcJs?: Partial<Expected>
}

const withH2 = ({ cert, key }: Certificates): TlsOptions => ({ cert, key, ALPNProtocols: ['h2'] })
const withMutual = (each: Certificates): TlsOptions => ({
  ...withH2(each),
  ca: each.ca,
  requestCert: true,
  minVersion: 'TLSv1.3',
})
const named = ({ ca }: Certificates): TlsMaterial => ({ ca, serverName: RELAY_NAME })

const TLS_CASES: readonly TlsCase[] = [
  { why: 'with h2 by ALPN', server: withH2, client: named, end: ENDED_OK },
  {
    why: 'without ALPN, as Hubble before 1.17',
    server: ({ cert, key }) => ({ cert, key }),
    client: named,
    end: ENDED_OK,
  },
  {
    why: 'by the address in the certificate',
    server: withH2,
    client: ({ ca }) => ({ ca }),
    end: ENDED_OK,
  },
  {
    why: 'with a certificate of our own',
    server: withMutual,
    client: (each) => ({ ...each, serverName: RELAY_NAME }),
    end: ENDED_OK,
  },
  {
    why: 'without the certificate that it wants',
    server: withMutual,
    client: named,
    end: { code: 14, details: /alert certificate required/ },
  },
  {
    why: 'under another name than its certificate has',
    server: withH2,
    client: ({ ca }) => ({ ca, serverName: 'relay.example' }),
    end: { code: 14, details: /Hostname\/IP does not match.*relay\.example/ },
  },
  {
    why: 'by an authority that we do not know',
    server: withH2,
    client: () => ({ serverName: RELAY_NAME }),
    end: { code: 14, details: /unable to verify the first certificate/ },
  },
  {
    why: 'of TLS 1.2 only',
    server: (each) => ({ ...withH2(each), maxVersion: 'TLSv1.2' }),
    client: named,
    end: { code: 14, details: /alert protocol version/ },
  },
  {
    why: 'in plaintext on its TLS port',
    server: withH2,
    client: () => undefined,
    end: { code: 14, details: /speaks no HTTP\/2, or wants TLS/ },
    grpcJs: { details: /Protocol error|Failed to connect/ },
  },
  {
    why: 'with TLS on its plaintext port',
    server: () => undefined,
    client: named,
    end: { code: 14, details: /wrong version number|packet length too long/i },
  },
]

describe.each(TRANSPORTS)('$name', (transport) => {
  it.each(TLS_CASES)('speaks to a peer $why', async ({ server, client, end, grpcJs = {} }) => {
    const serverTls = server(certificates())
    const peer = await startRawServer(
      says(wire(SMALL), finishOk),
      serverTls === undefined ? {} : { tls: serverTls },
    )
    const started = performance.now()
    const got = await read(open(transport, peer.address, client(certificates())))
    // Told by the peer, not by the timeout for a peer that is silent.
    expect(performance.now() - started).toBeLessThan(8_000)
    const expected = transport.name === 'grpc-js' ? { ...end, ...grpcJs } : end
    expect(got.end).toEqual({
      code: expected.code,
      details: expect.stringMatching(expected.details),
    })
    expect(got.messages).toEqual(expected.code === 0 ? SMALL : [])
  })

  it('refuses TLS material that is none, before it dials', () => {
    expect(() =>
      transport.create('127.0.0.1:1', { ca: Buffer.from('no PEM'), cert: Buffer.from('x') }),
    ).toThrow('Cannot use the TLS files')
  })
})

// grpc-js does leave one, until the peer or the kernel gives it up.
it.each(TRANSPORTS.filter(({ name }) => name !== 'grpc-js'))(
  '$name leaves no connection behind when it ends in the middle of a handshake',
  async (transport) => {
    const tls = named(certificates())
    const peer = await startRawServer(() => {}, { silent: true })
    const closing = open(transport, peer.address, tls)
    const reading = read(closing)
    await vi.waitFor(() => expect(peer.live).toBe(1))
    closing.close()
    expect((await reading).end.code).toBe(1)
    const late = await read(open(transport, peer.address, tls, { connectTimeoutMs: 50 }))
    expect(late.end).toMatchObject({ code: 14, details: expect.stringContaining('within 50 ms') })
    await vi.waitFor(() => expect(peer.live).toBe(0))
  },
)
