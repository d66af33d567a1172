import { ConfigError } from '../../errors.ts'

/** No DNS or node name is that long; what is longer is matched by nothing. */
const NAME_MAX = 1_024
const PATTERN = /^[-._*0-9a-z]+$/
const SLASH = 47
/** The cluster of nodes that are called by their bare name. Source: cilium v1.20.2 `pkg/defaults`. */
const DEFAULT_CLUSTER = 'default'

/** A glob of names: lower case, `*` for any number of letters, digits, `-` and `.`. */
type Glob = string

/**
 * Hubble's pattern of DNS names, such as `*.example.com`; case and one dot at the end say nothing.
 * Source: cilium v1.20.2 `pkg/hubble/filters/patterns.go`.
 *
 * @throws {ConfigError} saying what is wrong with it.
 */
export function fqdnPattern(text: string): (name: string) => boolean {
  const glob = globOf(text)
  return (name) => matchesGlob(glob, name, 0, name.length)
}

/**
 * Hubble's pattern of node names: `NODE`, `CLUSTER/NODE` or `CLUSTER/`, each part a glob and an
 * empty one anything. A name without a cluster is one of the cluster `default`.
 * Source: cilium v1.20.2 `pkg/hubble/filters/patterns.go`, `nodename.go`.
 *
 * @throws {ConfigError} saying what is wrong with it.
 */
export function nodePattern(text: string): (name: string) => boolean {
  const parts = text.split('/')
  if (text === '' || parts.length > 2)
    throw new ConfigError('must be NODE, CLUSTER/NODE or CLUSTER/')
  const [node = '', cluster = ''] = parts.toReversed()
  const nodeGlob = node === '' ? undefined : globOf(node)
  const clusterGlob = cluster === '' ? undefined : globOf(cluster)
  return (name) => {
    if (name === '') return false
    const slash = name.indexOf('/')
    return (
      matchesPart(nodeGlob, name, slash + 1, name.length) &&
      (slash < 0
        ? matchesPart(clusterGlob, DEFAULT_CLUSTER, 0, DEFAULT_CLUSTER.length)
        : matchesPart(clusterGlob, name, 0, slash))
    )
  }
}

/** The pattern of exactly that node; undefined for a name that no pattern of Hubble's can mean. */
export function exactNodePattern(name: string): string | undefined {
  const pattern = name.includes('/') ? name : `${DEFAULT_CLUSTER}/${name}`
  const [cluster = '', node = '', ...more] = pattern.split('/')
  const isPlain = isName(cluster, 0, cluster.length) && isName(node, 0, node.length)
  return isPlain && more.length === 0 ? pattern : undefined
}

function globOf(text: string): Glob {
  const glob = text.trim().replace(/\.$/, '').toLowerCase()
  if (!PATTERN.test(glob) || glob.endsWith('.') || glob.length > NAME_MAX) {
    throw new ConfigError(
      'must be a name of letters, digits, - _ and dots, in which * stands for any',
    )
  }
  return glob
}

function matchesPart(glob: Glob | undefined, text: string, from: number, to: number): boolean {
  return glob === undefined ? isName(text, from, to) : matchesGlob(glob, text, from, to)
}

/**
 * Whether `glob` is all of `text[from, to)`. Goes back to the last star only: what one star must not
 * take in, an underscore, no other star may either.
 */
function matchesGlob(glob: Glob, text: string, from: number, to: number): boolean {
  if (to - from > NAME_MAX) return false
  let at = 0
  let star = -1
  let resumed = from
  for (let next = from; next < to; ) {
    const wanted = glob[at]
    if (wanted === '*') {
      star = at++
      resumed = next
    } else if (wanted === text[next]) {
      at++
      next++
    } else if (star >= 0 && isStarred(text.charCodeAt(resumed))) {
      at = star + 1
      next = ++resumed
    } else return false
  }
  while (glob[at] === '*') at++
  return at === glob.length
}

/** Names of DNS: parts of lower-case letters, digits, `-` and `_`, with single dots between them. */
function isName(text: string, from: number, to: number): boolean {
  if (to <= from || to - from > NAME_MAX) return false
  let isPartEmpty = true
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i)
    if (code === 46) {
      if (isPartEmpty) return false
      isPartEmpty = true
    } else if (isStarred(code) || code === 95) isPartEmpty = false
    else return false
  }
  return !isPartEmpty
}

function isStarred(code: number): boolean {
  if (code >= 97) return code <= 122
  return code === 45 || code === 46 || (code > SLASH && code <= 57)
}
