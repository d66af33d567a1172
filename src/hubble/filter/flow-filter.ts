import { ConfigError } from '../../errors.ts'
import type { FlowView } from '../../model/flow-view.ts'
import { checkFieldPath, fieldMaskOf } from './field-mask.ts'
import type { FilterEntry } from './filter-entry.ts'
import { allOf, anyOf, type FilterTerm, type FlowTest } from './filter-term.ts'
import { FILTER_TERMS } from './filter-terms.ts'
import { exactNodePattern, nodePattern } from './name-pattern.ts'

export interface FlowFilterConfig {
  /** A flow passes that one of them matches; none: every flow. */
  readonly allow?: readonly FilterEntry[] | undefined
  /** What one of them matches does not pass, whatever `allow` says. */
  readonly deny?: readonly FilterEntry[] | undefined
  /** Paths of `flow.Flow`: servers leave everything else out. Absent: whole flows. */
  readonly fields?: readonly string[] | undefined
}

/** The part of a `GetFlowsRequest` that chooses flows and fields, as `proto.ts` encodes it. */
interface FlowSelection {
  readonly whitelist?: readonly object[]
  readonly blacklist?: readonly object[]
  readonly field_mask?: { readonly paths: readonly string[] }
}

export interface FlowFilter {
  /**
   * Whether a flow passes, whoever sent it: old agents pass over filters that they do not know.
   * Undefined: all do.
   */
  readonly accepts: ((view: FlowView) => boolean) | undefined
  request(): FlowSelection
  /**
   * The same for these nodes only, named as flows name them. Undefined where no flow of theirs can
   * pass, or where no pattern can mean them: there is nothing to ask for.
   */
  forNodes(names: readonly string[]): FlowSelection | undefined
}

interface CompiledEntry {
  readonly wire: Readonly<Record<string, readonly unknown[]>>
  readonly test: FlowTest
  readonly reads: readonly string[]
  /** Of its `node_name`; undefined without one. */
  readonly isNode: ((name: string) => boolean) | undefined
}

/** `CiliumEventType` of access-log records. */
const LAYER7 = 129
const HTTP_KEYS = ['http_status_code', 'http_method', 'http_path', 'http_url'] as const
const TERMS: ReadonlyMap<string, FilterTerm> = new Map(Object.entries(FILTER_TERMS))
const SHOWN_MAX = 100

/**
 * Reads the flow filter of a source. Its `accepts` means what Hubble means (cilium v1.20.2
 * `pkg/hubble/filters`), and allocates nothing for the common keys. A field mask gets the fields that
 * the filters look at besides its own.
 *
 * @param where path of `config` in the configuration, for messages.
 * @throws {ConfigError} naming everything that is wrong, with its path.
 */
export function compileFlowFilter(config: FlowFilterConfig, where = 'filter'): FlowFilter {
  const problems: string[] = []
  const allow = compileEntries(config.allow, `${where}.allow`, problems)
  const deny = compileEntries(config.deny, `${where}.deny`, problems)
  checkFields(config.fields, `${where}.fields`, problems)
  if (problems.length > 0) {
    const lines = problems.map((problem) => `  - ${problem}`)
    throw new ConfigError(`Cannot use ${where}:\n${lines.join('\n')}`)
  }
  const reads = [...allow, ...deny].flatMap((entry) => entry.reads)
  const rest: FlowSelection = {
    ...(deny.length === 0 ? {} : { blacklist: deny.map(({ wire }) => wire) }),
    ...(config.fields === undefined
      ? {}
      : { field_mask: { paths: fieldMaskOf([...config.fields, ...reads]) } }),
  }
  const whole: FlowSelection =
    allow.length === 0 ? rest : { whitelist: allow.map(({ wire }) => wire), ...rest }
  return {
    accepts: testOf(allow, deny),
    request: () => whole,
    forNodes: (names) => {
      const whitelist = whitelistFor(names, allow)
      return whitelist.length === 0 ? undefined : { whitelist, ...rest }
    },
  }
}

function testOf(
  allow: readonly CompiledEntry[],
  deny: readonly CompiledEntry[],
): FlowFilter['accepts'] {
  const isAllowed = anyOf(allow.map(({ test }) => test))
  const isDenied = anyOf(deny.map(({ test }) => test))
  if (deny.length === 0) return allow.length === 0 ? undefined : isAllowed
  if (allow.length === 0) return (view) => !isDenied(view)
  return (view) => isAllowed(view) && !isDenied(view)
}

function whitelistFor(names: readonly string[], allow: readonly CompiledEntry[]): object[] {
  const nodes = names.flatMap((name) => {
    const pattern = exactNodePattern(name)
    return pattern === undefined ? [] : [{ name, pattern }]
  })
  const patternsOf = (isNode: CompiledEntry['isNode']): string[] =>
    nodes.filter(({ name }) => isNode?.(name) ?? true).map(({ pattern }) => pattern)
  const entries = allow.length === 0 ? [{ wire: {}, isNode: undefined }] : allow
  return entries
    .map(({ wire, isNode }) => ({ ...wire, node_name: patternsOf(isNode) }))
    .filter(({ node_name }) => node_name.length > 0)
}

function compileEntries(
  entries: readonly FilterEntry[] | undefined,
  where: string,
  problems: string[],
): CompiledEntry[] {
  return (entries ?? []).map((entry, i) => compileEntry(entry, `${where}.${i}`, problems))
}

function compileEntry(entry: FilterEntry, where: string, problems: string[]): CompiledEntry {
  const before = problems.length
  const wire: Record<string, readonly unknown[]> = {}
  const tests: FlowTest[] = []
  const reads: string[] = []
  const given = new Map<string, readonly unknown[]>(
    Object.entries(entry).filter(([, values]) => values !== undefined),
  )
  if (given.size === 0) problems.push(`${where}: needs at least one key, or it matches every flow`)
  for (const key of given.keys()) {
    if (!TERMS.has(key)) problems.push(`${where}.${key}: cannot be checked on a flow`)
  }
  for (const [key, term] of TERMS) {
    const values = given.get(key)
    if (values === undefined) continue
    if (values.length === 0) problems.push(`${where}.${key}: needs at least one value`)
    const compiled = term.compile(values, (at, reason) => {
      problems.push(`${where}.${key}.${at}: ${reason} (now: ${shown(values[at])})`)
    })
    wire[key] = compiled.wire
    tests.push(compiled.test)
    reads.push(...term.reads)
  }
  const http = HTTP_KEYS.find((key) => entry[key] !== undefined)
  const isLayer7 = entry.event_type?.some(({ type }) => type === LAYER7) ?? true
  if (http !== undefined && !isLayer7) {
    problems.push(
      `${where}.event_type: must have type ${LAYER7} beside ${http}: nothing else is HTTP`,
    )
  }
  // A pattern that cannot be read is a problem already.
  const patterns = problems.length > before ? [] : (entry.node_name ?? []).map(nodePattern)
  const isNode = (name: string): boolean => patterns.some((matches) => matches(name))
  return { wire, test: allOf(tests), reads, isNode: entry.node_name && isNode }
}

function checkFields(
  fields: readonly string[] | undefined,
  where: string,
  problems: string[],
): void {
  if (fields?.length === 0) problems.push(`${where}: needs at least one field`)
  fields?.forEach((path, i) => {
    try {
      checkFieldPath(path)
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      problems.push(`${where}.${i}: ${error.message} (now: ${shown(path)})`)
    }
  })
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'not set'
  return text.length <= SHOWN_MAX ? text : `${text.slice(0, SHOWN_MAX)}…`
}
