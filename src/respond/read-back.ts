import { fieldAt, fieldOf, itemsOf, type Json, type JsonObject, textOf } from './canonical-json.ts'
import {
  ARMED_ANNOTATION,
  type ArmedService,
  cecNameOf,
  DECISIONS_ANNOTATION,
  MANAGED_BY,
  MANAGED_BY_LABEL,
  ORIGINAL_SOURCE_ANNOTATION,
  SERVICE_LABEL,
} from './scaffold.ts'

const OUR_LABELS = [MANAGED_BY_LABEL, SERVICE_LABEL]
const OUR_ANNOTATIONS = [ORIGINAL_SOURCE_ANNOTATION, ARMED_ANNOTATION, DECISIONS_ANNOTATION]

/**
 * Which Service a CEC of ours is for, and what of it we wrote: without what the API server and
 * others add to the metadata. Refuses with a sentence what we cannot have written.
 */
export function readArmedService(
  cec: unknown,
): { readonly service: ArmedService; readonly ours: Json } | { readonly refusal: string } {
  const metadata = fieldOf(cec, 'metadata')
  const name = textOf(fieldOf(metadata, 'name'))
  const namespace = textOf(fieldOf(metadata, 'namespace'))
  const entry = itemsOf(fieldAt(cec, 'spec', 'services'))[0]
  const service = textOf(fieldOf(entry, 'name'))
  const port = itemsOf(fieldOf(entry, 'ports'))[0]
  const owned = fieldAt(metadata, 'labels', MANAGED_BY_LABEL) === MANAGED_BY
  if (!owned || service === '' || name !== cecNameOf(service) || typeof port !== 'number') {
    return {
      refusal: `Cannot read CEC ${namespace}/${name} back: it is not in the form that Weir writes`,
    }
  }
  const owners = itemsOf(fieldOf(metadata, 'ownerReferences'))
  const uid = textOf(fieldOf(owners[0], 'uid'))
  const ours = {
    apiVersion: textOf(fieldOf(cec, 'apiVersion')),
    kind: textOf(fieldOf(cec, 'kind')),
    metadata: {
      name,
      namespace,
      labels: picked(fieldOf(metadata, 'labels'), OUR_LABELS),
      annotations: picked(fieldOf(metadata, 'annotations'), OUR_ANNOTATIONS),
      ...(owners.length === 0 ? {} : { ownerReferences: owners as Json }),
    },
    spec: (fieldOf(cec, 'spec') ?? null) as Json,
  }
  return { service: { namespace, service, port, uid: uid === '' ? null : uid }, ours }
}

function picked(fields: unknown, names: readonly string[]): JsonObject {
  const found = names.map((name) => [name, textOf(fieldOf(fields, name))] as const)
  return Object.fromEntries(found.filter(([, value]) => value !== ''))
}
