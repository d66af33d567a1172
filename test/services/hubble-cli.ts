import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { binaryOf } from './catalogue.ts'
import type { ClientTls } from './certificates.ts'

const HUBBLE_COMMAND_MS = 60_000

/** The flags that name a server, in the clear or by TLS. */
export function serverArgs(address: string, tls: ClientTls | undefined): string[] {
  if (tls === undefined) return ['--server', address]
  const flags = {
    'tls-ca-cert-files': tls.ca,
    'tls-server-name': tls.serverName,
    'tls-client-cert-file': tls.cert,
    'tls-client-key-file': tls.key,
  }
  const given = Object.entries(flags).filter(([, value]) => value !== undefined)
  return ['--server', `tls://${address}`, ...given.map(([name, value]) => `--${name}=${value}`)]
}

/** Runs the `hubble` command without anybody's configuration. @throws {Error} if it fails. */
export async function runHubble(
  args: readonly string[],
): Promise<{ stdout: string; stderr: string }> {
  const child = spawn(binaryOf('hubble', 'hubble'), [...args, '--config', '/dev/null'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: HUBBLE_COMMAND_MS,
    killSignal: 'SIGKILL',
  })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  if (code !== 0) throw new Error(`Cannot run hubble ${args.join(' ')}: ${stderr.trim()}`)
  return { stdout, stderr }
}
