import { canonicalJson, fieldAt, fieldOf, itemsOf, type Json, textOf } from './canonical-json.ts'
import { cecSchema } from './cec-schema.ts'
import { ANY_OPERATION } from './limited-operation.ts'
import { CEC_BYTES_MAX, DESCRIPTORS_MAX, OPERATIONS_MAX } from './plan.ts'
import { cecNameOf, DECISIONS_ANNOTATION, SERVICE_LABEL } from './scaffold.ts'
import { type CecProblem, pointer } from './schema-rule.ts'

const METADATA = '/metadata'
const ROUTES = '/spec/resources/1'

/**
 * Everything that is wrong with a whole CEC as Weir may write it; empty if nothing is. Stricter than
 * the agent, which checks nothing inside a `typed_config`, and than Envoy, which tells nobody why it
 * refused. Never throws, whatever it is given.
 */
export function validateCec(cec: unknown): CecProblem[] {
  const problems: CecProblem[] = []
  cecSchema(cec, '', problems)
  checkNames(cec, problems)
  const filters = fieldAt(itemsOf(fieldAt(cec, 'spec', 'resources'))[1], 'typed_per_filter_config')
  checkFilters(cec, filters, problems)
  if (problems.length === 0 && Buffer.byteLength(canonicalJson(cec as Json)) >= CEC_BYTES_MAX) {
    problems.push({ path: '', message: `must have less than ${CEC_BYTES_MAX} bytes` })
  }
  return problems
}

/** One Service, named alike everywhere: the agent compares names as they are written. */
function checkNames(cec: unknown, problems: CecProblem[]): void {
  const namespace = textOf(fieldAt(cec, 'metadata', 'namespace'))
  const entry = itemsOf(fieldAt(cec, 'spec', 'services'))[0]
  const service = textOf(fieldOf(entry, 'name'))
  const port = itemsOf(fieldOf(entry, 'ports'))[0]
  const [listener, , cluster] = itemsOf(fieldAt(cec, 'spec', 'resources'))
  const [http, tls] = itemsOf(fieldOf(listener, 'filter_chains'))
  const expected: readonly (readonly [string, unknown, string])[] = [
    [`${METADATA}/name`, fieldAt(cec, 'metadata', 'name'), cecNameOf(service)],
    [
      pointer(`${METADATA}/labels`, SERVICE_LABEL),
      fieldAt(cec, 'metadata', 'labels', SERVICE_LABEL),
      service,
    ],
    ['/spec/services/0/namespace', fieldOf(entry, 'namespace'), namespace],
    [
      '/spec/resources/2/eds_cluster_config/service_name',
      fieldAt(cluster, 'eds_cluster_config', 'service_name'),
      `${namespace}/${service}:${String(port)}`,
    ],
    [
      '/spec/resources/0/filter_chains/0/filters/0/typed_config/stat_prefix',
      fieldAt(itemsOf(fieldOf(http, 'filters'))[0], 'typed_config', 'stat_prefix'),
      `weir-${namespace}-${service}`,
    ],
    [
      '/spec/resources/0/filter_chains/1/filters/0/typed_config/stat_prefix',
      fieldAt(itemsOf(fieldOf(tls, 'filters'))[0], 'typed_config', 'stat_prefix'),
      `weir-${namespace}-${service}-tls`,
    ],
  ]
  const owner = itemsOf(fieldAt(cec, 'metadata', 'ownerReferences'))[0]
  const all =
    owner === undefined
      ? expected
      : [
          ...expected,
          [`${METADATA}/ownerReferences/0/name`, fieldOf(owner, 'name'), service] as const,
        ]
  for (const [path, value, wanted] of all) {
    if (value !== wanted)
      problems.push({ path, message: `must be ${wanted}, as the Service is named` })
  }
}

function checkFilters(cec: unknown, filters: unknown, problems: CecProblem[]): void {
  const path = `${ROUTES}/typed_per_filter_config`
  const names = typeof filters === 'object' && filters !== null ? Object.keys(filters) : []
  if (filters !== undefined && names.length === 0) {
    problems.push({ path, message: 'must be absent rather than empty' })
  }
  const told = fieldAt(cec, 'metadata', 'annotations', DECISIONS_ANNOTATION) !== undefined
  if (told !== names.length > 0) {
    const where = pointer(`${METADATA}/annotations`, DECISIONS_ANNOTATION)
    problems.push({ path: where, message: 'must be there exactly where limits are' })
  }
  let entries = 0
  let descriptors = 0
  for (const name of names) {
    const filter = fieldOf(filters, name)
    checkRules(filter, pointer(path, name), problems)
    entries += itemsOf(fieldOf(filter, 'rate_limits')).length
    descriptors += itemsOf(fieldOf(filter, 'descriptors')).length
  }
  if (entries > OPERATIONS_MAX || descriptors > DESCRIPTORS_MAX) {
    const message = `must have at most ${OPERATIONS_MAX} rate_limits and ${DESCRIPTORS_MAX} descriptors in all`
    problems.push({ path, message })
  }
}

/** Descriptors are unique, each is produced by an entry, and no call can produce one twice. */
function checkRules(filter: unknown, path: string, problems: CecProblem[]): void {
  const bySlug = new Map<string, { path: string; headers: readonly unknown[] }[]>()
  itemsOf(fieldOf(filter, 'rate_limits')).forEach((entry, index) => {
    const action = itemsOf(fieldOf(entry, 'actions'))[0]
    const match = fieldOf(action, 'header_value_match')
    const slug = textOf(fieldOf(match ?? fieldOf(action, 'generic_key'), 'descriptor_value'))
    const here = {
      path: `${path}/rate_limits/${index}`,
      headers: itemsOf(fieldOf(match, 'headers')),
    }
    const others = bySlug.get(slug) ?? []
    if (slug !== ANY_OPERATION && !here.headers.some(isPathMatch)) {
      problems.push({ path: here.path, message: 'must match a path' })
    }
    for (const other of others) {
      if (excludeEachOther(here.headers, other.headers)) continue
      problems.push({ path: here.path, message: `may charge a call twice, with ${other.path}` })
    }
    bySlug.set(slug, [...others, here])
  })
  const seen = new Set<string>()
  const used = new Set<string>()
  itemsOf(fieldOf(filter, 'descriptors')).forEach((descriptor, index) => {
    const where = `${path}/descriptors/${index}`
    const [operation, address] = itemsOf(fieldOf(descriptor, 'entries'))
    const slug = textOf(fieldOf(operation, 'value'))
    const key = `${slug}\n${textOf(fieldOf(address, 'value'))}`
    if (seen.has(key)) problems.push({ path: where, message: 'is there twice' })
    if (!bySlug.has(slug))
      problems.push({ path: where, message: 'is produced by no rate_limits entry' })
    seen.add(key)
    used.add(slug)
    checkBurst(fieldOf(descriptor, 'token_bucket'), `${where}/token_bucket`, problems)
  })
  for (const [slug, entries] of bySlug) {
    if (used.has(slug)) continue
    problems.push({ path: entries[0]?.path ?? path, message: 'has no descriptor' })
  }
}

/** Each write refills every bucket, so a burst is worth a second at most. */
function checkBurst(bucket: unknown, path: string, problems: CecProblem[]): void {
  const max = Number(fieldOf(bucket, 'max_tokens'))
  const perFill = Number(fieldOf(bucket, 'tokens_per_fill'))
  const seconds = Number(textOf(fieldOf(bucket, 'fill_interval')).slice(0, -1))
  if (max > Math.max(1, perFill / seconds)) {
    problems.push({ path: `${path}/max_tokens`, message: "must be at most one second's worth" })
  }
}

/** Provably: one wants what the other excludes, or they want two methods. */
function excludeEachOther(a: readonly unknown[], b: readonly unknown[]): boolean {
  const method = (headers: readonly unknown[]): string =>
    textOf(
      fieldAt(
        headers.find((h) => isWanted(h, ':method')),
        'string_match',
        'exact',
      ),
    )
  if (method(a) !== '' && method(b) !== '' && method(a) !== method(b)) return true
  return excludes(a, b) || excludes(b, a)
}

function excludes(excluding: readonly unknown[], wanting: readonly unknown[]): boolean {
  const wanted = new Set(wanting.filter((h) => fieldOf(h, 'invert_match') !== true).map(matchText))
  return excluding.some((h) => fieldOf(h, 'invert_match') === true && wanted.has(matchText(h)))
}

function isPathMatch(header: unknown): boolean {
  return isWanted(header, ':path')
}

function isWanted(header: unknown, name: string): boolean {
  return fieldOf(header, 'name') === name && fieldOf(header, 'invert_match') !== true
}

function matchText(header: unknown): string {
  const match = fieldOf(header, 'string_match')
  const value = textOf(fieldOf(match, 'exact')) || textOf(fieldAt(match, 'safe_regex', 'regex'))
  return `${textOf(fieldOf(header, 'name'))}\n${value}`
}
