import type { Api, Client, ClientApplication, Operation } from '../model/api.ts'
import type { ApplicationData, ClientData } from './schema.ts'

const ADDRESSES_MAX = 20
const NAMES_MAX = 5

/** The public face of the model's parts: named one by one, so that nothing else gets out. */
export function apiData(api: Api): Api {
  const { name, version, context, type, organization, environment, namespace, id } = api
  return { name, version, context, type, organization, environment, namespace, id }
}

export function operationData({ method, template }: Operation): Operation {
  return { method, template }
}

export function clientData(client: Client): ClientData {
  const { kind, value, addresses, names, serviceAccount, application } = client
  return {
    kind,
    value,
    addresses: addresses.slice(-ADDRESSES_MAX),
    names: names?.slice(-NAMES_MAX),
    serviceAccount,
    application: application === undefined ? undefined : applicationData(application),
  }
}

function applicationData(application: ClientApplication): ApplicationData {
  const { name, owner, organization, keyType, subscription: of } = application
  const subscription =
    of === undefined ? undefined : { name: of.name, status: of.status, tier: of.tier }
  return { name, owner, organization, keyType, subscription }
}

/** Left out of JSON where there is nothing. */
export function unlessEmpty(text: string): string | undefined {
  return text === '' ? undefined : text
}
