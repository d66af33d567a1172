import type { AppOptions } from '../app.ts'
import type { Io } from './io.ts'
import { version } from './version.ts'

/** What an app needs of the process. */
export function appIo({
  stdin,
  stdout,
  stderr,
  nodeVersion,
}: Io): Pick<AppOptions, 'stdin' | 'stdout' | 'stderr' | 'version' | 'nodeVersion'> {
  return { stdin, stdout, stderr, nodeVersion, version: version() }
}
