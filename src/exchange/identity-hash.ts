import { hash } from 'node:crypto'

const DIGITS = 16

/** What stands for the value of an identity header outside of the decode: it tells callers apart, no more. */
export function identityHash(value: string): string {
  return hash('sha256', value, 'hex').slice(0, DIGITS)
}
