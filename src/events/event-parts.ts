import type { Api, Client, Operation } from '../model/api.ts'

const ADDRESSES_MAX = 20

/** The public face of the model's parts: named one by one, so that nothing else gets out. */
export function apiData(api: Api): Api {
  const { name, version, context, type, organization, environment, namespace, id } = api
  return { name, version, context, type, organization, environment, namespace, id }
}

export function operationData({ method, template }: Operation): Operation {
  return { method, template }
}

export function clientData({ kind, value, addresses }: Client): {
  kind: Client['kind']
  value: string
  addresses: string[]
} {
  return { kind, value, addresses: addresses.slice(-ADDRESSES_MAX) }
}

/** Left out of JSON where there is nothing. */
export function unlessEmpty(text: string): string | undefined {
  return text === '' ? undefined : text
}
