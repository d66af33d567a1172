import { readFileSync } from 'node:fs'

/** The package's own; `package.json` lies beside `src/` and beside `dist/`. */
export function version(): string {
  const file = new URL('../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}
