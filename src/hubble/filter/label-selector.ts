import { ConfigError } from '../../errors.ts'
import { containsNetwork, type IpNetwork, parseNetwork } from './ip-network.ts'

type Operator = 'exists' | 'absent' | 'in' | 'notin' | '>' | '<'

interface Requirement {
  /** `any`, or where the label must come from: `k8s`, `reserved` … */
  readonly source: string
  readonly key: string
  /** Of source `cidr`: labels of any network within it are this label too. */
  readonly network: IpNetwork | undefined
  readonly operator: Operator
  readonly values: readonly string[]
}

interface Label {
  readonly source: string
  readonly key: string
  readonly value: string
}

const SELECTOR_MAX = 4_096
/** `!KEY`, `KEY`, `KEY OPERATOR VALUE` or `KEY in (VALUE, …)`. */
const REQUIREMENT =
  /^\s*(!)?\s*([^\s=!(),<>]+)\s*(?:(?<=\s)(in|notin)\s*\(([^()]*)\)|(==|!=|[=<>])\s*([^\s=!(),<>]*))?\s*$/
const VALUE = /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/
const KEY_NAME = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/
const KEY_PREFIX = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/
const KEY_PREFIX_MAX = 253
const INTEGER = /^[+-]?\d{1,18}$/

/**
 * Reads a Kubernetes label selector with Cilium's sources in its keys: `app=web, k8s:tier in (a, b)`.
 * A key without a source means the label wherever it comes from. The result takes labels as Hubble
 * writes them (`k8s:app=web`, `reserved:world`).
 * Source: cilium v1.20.2 `pkg/hubble/filters/labelparser.go`, `pkg/labels`, and its copy of
 * Kubernetes' `labels/selector.go`.
 *
 * @throws {ConfigError} saying what is wrong with it.
 */
export function labelSelector(text: string): (labels: readonly string[]) => boolean {
  if (text.trim() === '' || text.length > SELECTOR_MAX) {
    throw new ConfigError('must be a label selector such as app=web')
  }
  const requirements = partsOf(text).map(requirementOf)
  return (labels) => {
    const parsed = labels.map(labelOf)
    return requirements.every((requirement) => isMet(requirement, parsed))
  }
}

/** Cuts at the commas that are not inside of a list of values. */
function partsOf(text: string): string[] {
  const parts: string[] = []
  let start = 0
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '(') depth++
    else if (text[i] === ')') depth--
    else if (text[i] === ',' && depth === 0) {
      parts.push(text.slice(start, i))
      start = i + 1
    }
  }
  parts.push(text.slice(start))
  return parts
}

function requirementOf(text: string): Requirement {
  const match = REQUIREMENT.exec(text)
  if (match === null) {
    throw new ConfigError(
      `cannot read ${JSON.stringify(text.trim())}: must be KEY, !KEY, KEY=VALUE, KEY!=VALUE, KEY in (VALUE, …) or KEY notin (…)`,
    )
  }
  const [, not, name = '', set, list = '', sign, value = ''] = match
  const key = keyOf(name)
  if (not !== undefined) {
    if (set !== undefined || sign !== undefined) {
      throw new ConfigError(`!${name} means that the label is absent: it has no value`)
    }
    return { ...key, operator: 'absent', values: [] }
  }
  if (set !== undefined) {
    const values = list.split(',').map((item) => checked(item.trim()))
    return { ...key, operator: set === 'in' ? 'in' : 'notin', values }
  }
  if (sign === undefined) return { ...key, operator: 'exists', values: [] }
  checked(value)
  if (sign === '>' || sign === '<') {
    if (integerOf(value) === undefined) throw new ConfigError(`${sign} needs an integer`)
    return { ...key, operator: sign, values: [value] }
  }
  return { ...key, operator: sign === '!=' ? 'notin' : 'in', values: [value] }
}

function checked(value: string): string {
  if (VALUE.test(value)) return value
  throw new ConfigError(`${JSON.stringify(value)} is no value of a label`)
}

/** Hubble writes the source in front of a dot before Kubernetes' rules for keys apply. */
function keyOf(name: string): Pick<Requirement, 'source' | 'key' | 'network'> {
  const dotted = name.includes(':') ? name.replace(':', '.') : `any.${name}`
  const slash = dotted.indexOf('/')
  const prefix = dotted.slice(0, Math.max(0, slash))
  const isPrefixFine = slash < 0 || (prefix.length <= KEY_PREFIX_MAX && KEY_PREFIX.test(prefix))
  if (!isPrefixFine || !KEY_NAME.test(dotted.slice(slash + 1))) {
    throw new ConfigError(`${JSON.stringify(name)} is no key of a label`)
  }
  const dot = dotted.indexOf('.')
  const source = dotted.slice(0, dot)
  const key = dotted.slice(dot + 1)
  const network = source === 'cidr' ? networkOf(key) : undefined
  if (source === 'cidr' && network === undefined) {
    throw new ConfigError(`${JSON.stringify(name)} is no CIDR`)
  }
  return { source, key, network }
}

/** A label's key has no colons: `2001-db8--0/32`. */
function networkOf(key: string): IpNetwork | undefined {
  return parseNetwork(key.replaceAll('-', ':'))
}

function labelOf(text: string): Label {
  if (text.startsWith('$')) return { source: 'reserved', ...pairOf(text.slice(1)) }
  const colon = text.indexOf(':')
  return { source: text.slice(0, Math.max(0, colon)), ...pairOf(text.slice(colon + 1)) }
}

function pairOf(text: string): Pick<Label, 'key' | 'value'> {
  const equals = text.indexOf('=')
  if (equals < 0) return { key: text, value: '' }
  return { key: text.slice(0, equals), value: text.slice(equals + 1) }
}

function isMet(requirement: Requirement, labels: readonly Label[]): boolean {
  const { operator, values } = requirement
  const label = labels.find((candidate) => hasKey(candidate, requirement))
  switch (operator) {
    case 'exists':
      return label !== undefined
    case 'absent':
      return label === undefined
    case 'in':
      return label !== undefined && values.includes(label.value)
    case 'notin':
      return label === undefined || !values.includes(label.value)
    case '>':
    case '<': {
      const limit = integerOf(values[0] ?? '')
      const value = integerOf(label?.value ?? '')
      if (value === undefined || limit === undefined) return false
      return operator === '>' ? value > limit : value < limit
    }
  }
}

function hasKey(label: Label, { source, key, network }: Requirement): boolean {
  if (source !== 'any' && label.source !== source) return false
  if (network === undefined) return label.key === key
  const inner = networkOf(label.key)
  return inner !== undefined && containsNetwork(network, inner)
}

function integerOf(text: string): bigint | undefined {
  return INTEGER.test(text) ? BigInt(text.replace('+', '')) : undefined
}
