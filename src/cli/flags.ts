import type { Config } from '../config/schema.ts'

/** Flags of every verb. */
export interface CommonFlags {
  readonly config?: string
  readonly logLevel?: Config['log']['level']
  readonly json?: boolean
}
