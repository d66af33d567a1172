import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** A name that Relay's certificate covers, of which clients ask: the one that Hubble's UI uses. */
export const RELAY_SERVER_NAME = 'ui.hubble-relay.cilium.io'

/** Paths of PEM files. */
interface KeyPair {
  readonly cert: string
  readonly key: string
}

/** What a client needs to speak TLS. Without a certificate of its own, no mutual TLS. */
export interface ClientTls extends Partial<KeyPair> {
  readonly ca: string
  readonly serverName: string
}

/** One authority, and what it has signed. The paths stay the same for ever. */
export interface Certificates {
  /** What each side trusts. */
  readonly ca: string
  /** For every node of the cluster `default`, and for its peer service. */
  readonly node: KeyPair
  readonly relay: KeyPair
  readonly client: KeyPair
  /** What a client with the client's certificate needs. */
  clientOf(serverName: string): ClientTls
  /**
   * New keys and certificates, all files at once, as a mounted Secret changes. `authority`: of a new
   * authority; the old one stays trusted beside it. Cilium's servers look every 5 s.
   */
  renew(what?: { readonly authority: boolean }): void
}

/**
 * Makes them with openssl in `folder`, which the caller removes. Names as Cilium's own: Relay is to
 * be asked for as *.hubble-relay.cilium.io, nodes as NODE.default.hubble-grpc.cilium.io.
 */
export function makeCertificates(folder: string): Certificates {
  const current = join(folder, 'current')
  const keyPair = (name: string): KeyPair => ({
    cert: join(current, `${name}.pem`),
    key: join(current, `${name}.key`),
  })
  const ca = join(current, 'ca.pem')
  const client = keyPair('client')
  let authority = ''
  let trusted = ''
  let generation = 0
  const renew = (what = { authority: false }): void => {
    const next = join(folder, String(++generation))
    mkdirSync(next)
    if (authority === '' || what.authority) {
      authority = join(next, 'authority')
      request(authority, 'authority')
      trusted = readFileSync(`${authority}.pem`, 'utf8') + trusted
    }
    writeFileSync(join(next, 'ca.pem'), trusted)
    sign(join(next, 'node'), authority, '*.default.hubble-grpc.cilium.io')
    sign(join(next, 'relay'), authority, '*.hubble-relay.cilium.io')
    sign(join(next, 'client'), authority, 'weir.test')
    symlinkSync(String(generation), `${current}.next`)
    renameSync(`${current}.next`, current)
  }
  renew()
  return {
    ca,
    node: keyPair('node'),
    relay: keyPair('relay'),
    client,
    clientOf: (serverName) => ({ ca, ...client, serverName }),
    renew,
  }
}

/** Both sides of a connection use the same one: Relay is a server and a client. */
function sign(path: string, authority: string, name: string): void {
  const signer = ['-CA', `${authority}.pem`, '-CAkey', `${authority}.key`]
  const extensions = [
    `subjectAltName=DNS:${name}`,
    'basicConstraints=critical,CA:FALSE',
    'extendedKeyUsage=serverAuth,clientAuth',
  ]
  request(path, name, ...signer, ...extensions.flatMap((text) => ['-addext', text]))
}

/** Makes `path`.key and `path`.pem; signed by itself unless `args` say by whom. Needs OpenSSL 3. */
function request(path: string, name: string, ...args: string[]): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const files = ['-keyout', `${path}.key`, '-out', `${path}.pem`]
  const all = ['req', '-x509', ...key, ...files, '-days', '2', '-subj', `/CN=${name}`, ...args]
  execFileSync('openssl', all, { stdio: 'pipe' })
}
