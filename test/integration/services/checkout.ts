import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'
import { isObject, type JsonObject, objectAt, objectsAt } from '../../services/json-object.ts'

/** The inert Envoy config of the Service shop/checkout, as text. */
export const INERT_CEC = read('checkout.cec.yaml')

/** The same while the limits of acting-filters.yaml act, changed by `edit` before it is written. */
export function actingCec(edit: (filters: JsonObject) => void = () => {}): string {
  const filters: unknown = parse(read('acting-filters.yaml'))
  if (!isObject(filters)) throw new Error('Cannot read acting-filters.yaml: not a mapping')
  edit(filters)
  const cec: unknown = parse(INERT_CEC)
  const resources = objectsAt(objectAt(isObject(cec) ? cec : {}, 'spec'), 'resources')
  for (const resource of resources) {
    if ('virtual_hosts' in resource) resource['typed_per_filter_config'] = filters
  }
  return stringify(cec)
}

function read(name: string): string {
  return readFileSync(join(import.meta.dirname, name), 'utf8')
}
