import { createSecureContext, type SecureContext } from 'node:tls'
import { ConfigError } from '../../errors.ts'
import type { TlsMaterial } from './transport.ts'

/**
 * TLS 1.3 or nothing, as Hubble itself has it; without `ca` the authorities are those of Node.
 * @throws {ConfigError} when a file is not what it should be: it stays wrong.
 */
export function secureContextOf({ ca, cert, key }: TlsMaterial): SecureContext {
  try {
    return createSecureContext({ ca, cert, key, minVersion: 'TLSv1.3' })
  } catch (cause) {
    throw new ConfigError('Cannot use the TLS files of a Hubble source', { cause })
  }
}
