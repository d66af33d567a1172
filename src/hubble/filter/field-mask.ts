import { ConfigError } from '../../errors.ts'
import { protoType } from '../proto.ts'
import { alikeName } from './alike-name.ts'

/** Without them an answer has no time, no node, and cannot be told from another one. */
const ALWAYS = ['time', 'uuid', 'node_name', 'Type'] as const

/** Messages that hold one of several records. */
const VARIANTS: ReadonlySet<string> = new Set(['flow.Layer4', 'flow.Layer7'])

/** All that `paths` name, once each: what lies below another path is left out. */
export function fieldMaskOf(paths: readonly string[]): string[] {
  const named = new Set([...ALWAYS, ...paths])
  return [...named].filter((path) => !ancestorsOf(path).some((ancestor) => named.has(ancestor)))
}

/**
 * Checks one path of a field mask, such as `source.namespace`, against `flow.Flow`.
 *
 * Below `l4` and `l7` an agent leaves what an earlier flow had where this one has another record, so
 * they are whole or not at all; single values in a message of their own (`is_reply`) are too, for an
 * empty message would be a value. Source: cilium v1.20.2 `pkg/hubble/parser/fieldmask`.
 *
 * @throws {ConfigError} saying what is wrong with it, and which name is near.
 */
export function checkFieldPath(path: string): void {
  let type = 'flow.Flow'
  let whole = ''
  for (const name of path.split('.')) {
    const refusal = whole === '' ? undefined : refusalOf(type, whole)
    if (refusal !== undefined) throw new ConfigError(refusal)
    const fields = protoType(type)?.field ?? []
    const field = fields.find((candidate) => candidate.name === name)
    if (field === undefined) {
      const known = fields.map((candidate) => candidate.name)
      const holder = whole === '' ? 'a flow' : whole
      throw new ConfigError(`${holder} has no field "${name}" (${alikeName(name, known)})`)
    }
    whole = whole === '' ? name : `${whole}.${name}`
    type = field.label === 'LABEL_REPEATED' ? LIST : typeOf(field)
  }
}

const LIST = '(list)'
const VALUE = '(value)'

function typeOf({ type, typeName }: { readonly type: string; readonly typeName: string }): string {
  if (type !== 'TYPE_MESSAGE') return VALUE
  return typeName.includes('.') ? typeName : `flow.${typeName}`
}

/** Why nothing below `whole`, which is of that type, can be named. */
function refusalOf(type: string, whole: string): string | undefined {
  if (VARIANTS.has(type)) {
    return `must be ${whole} as a whole: below it agents send parts of earlier flows`
  }
  if (type === LIST) return `must be ${whole} as a whole: it is a list`
  if (type === VALUE || type.startsWith('google.protobuf.')) {
    return `must be ${whole} as a whole: it is one value`
  }
  return undefined
}

function ancestorsOf(path: string): string[] {
  const parts = path.split('.')
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join('.'))
}
