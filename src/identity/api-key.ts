import type { Api } from '../model/api.ts'

/** The same for the same API of any catalogue: production and sandbox are two, with one id. */
export function apiKeyOf({ id, namespace, name, version, environment }: Api): string {
  return `${id}\n${namespace}\n${name}\n${version}\n${environment}`
}
