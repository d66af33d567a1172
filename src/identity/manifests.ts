import { readdir, readFile, realpath, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { LineCounter, parseAllDocuments } from 'yaml'
import { ConfigError, describeError } from '../errors.ts'
import {
  fieldOf,
  isKubernetesObject,
  type KubernetesObject,
  keyOfObject,
  listOf,
  textOf,
} from './kubernetes-object.ts'

/** A document, or a whole file, that was left out. `line` counts from 1; null where it is not known. */
interface ManifestProblem {
  readonly path: string
  readonly line: number | null
  readonly reason: string
}

/** `PATH:LINE: REASON`. */
export function sentenceOf({ path, line, reason }: ManifestProblem): string {
  return line === null ? `${path}: ${reason}` : `${path}:${line}: ${reason}`
}

export interface Manifests {
  /** Of several for one group, kind, namespace and name the last that was read: `kubectl apply`. */
  readonly objects: KubernetesObject[]
  readonly problems: ManifestProblem[]
}

const MANIFEST = /\.(?:ya?ml|json)$/i
const FILE_BYTES_MAX = 32 * 1024 * 1024
const DEPTH_MAX = 32
/** Lists may hold lists; deeper than this it is no manifest. */
const LIST_DEPTH_MAX = 8

/**
 * Reads every *.yaml, *.yml and *.json under `dirs` (a plain file, whatever its name, too), in the
 * order of their paths, multi-document and `kind: List` included. Names that begin with a dot are
 * passed over: a mounted ConfigMap keeps its versions there.
 *
 * What cannot be read is a problem, never a throw.
 * @throws {ConfigError} where one of `dirs` does not exist.
 */
export async function readManifests(dirs: readonly string[]): Promise<Manifests> {
  const problems: ManifestProblem[] = []
  const byKey = new Map<string, KubernetesObject>()
  for (const dir of dirs) {
    for (const path of await filesOf(dir, problems)) {
      const text = await readText(path, problems)
      if (text === undefined) continue
      for (const object of parseManifest(text, path, problems)) {
        const key = keyOfObject(object)
        byKey.delete(key)
        byKey.set(key, object)
      }
    }
  }
  return { objects: [...byKey.values()], problems }
}

async function filesOf(dir: string, problems: ManifestProblem[]): Promise<string[]> {
  let isDirectory: boolean
  try {
    isDirectory = (await stat(dir)).isDirectory()
  } catch (cause) {
    throw new ConfigError(`Cannot read manifests of ${dir}: it is not there`, { cause })
  }
  if (!isDirectory) return [dir]
  const files: string[] = []
  await walk(dir, new Set(), 0, files, problems)
  return files.sort()
}

/** Follows links, each directory once: links may form a ring. */
async function walk(
  dir: string,
  seen: Set<string>,
  depth: number,
  files: string[],
  problems: ManifestProblem[],
): Promise<void> {
  try {
    const real = await realpath(dir)
    if (seen.has(real) || depth > DEPTH_MAX) return
    seen.add(real)
    for (const name of await readdir(dir)) {
      if (name.startsWith('.')) continue
      const path = join(dir, name)
      const isDirectory = await stat(path).then((entry) => entry.isDirectory())
      if (isDirectory) await walk(path, seen, depth + 1, files, problems)
      else if (MANIFEST.test(name)) files.push(path)
    }
  } catch (cause) {
    problems.push({ path: dir, line: null, reason: describeError(cause) })
  }
}

async function readText(path: string, problems: ManifestProblem[]): Promise<string | undefined> {
  try {
    const { size } = await stat(path)
    if (size <= FILE_BYTES_MAX) return await readFile(path, 'utf8')
    problems.push({ path, line: null, reason: `${size} bytes, more than ${FILE_BYTES_MAX}` })
  } catch (cause) {
    problems.push({ path, line: null, reason: describeError(cause) })
  }
  return undefined
}

/** The objects of one file's text; JSON is read as the YAML that it also is. */
function parseManifest(
  text: string,
  path: string,
  problems: ManifestProblem[],
): KubernetesObject[] {
  const lines = new LineCounter()
  const objects: KubernetesObject[] = []
  let documents: ReturnType<typeof parseAllDocuments>
  try {
    documents = parseAllDocuments(text, { lineCounter: lines, logLevel: 'silent', merge: true })
  } catch (cause) {
    problems.push({ path, line: null, reason: describeError(cause) })
    return objects
  }
  if (!Array.isArray(documents)) return objects
  for (const document of documents) {
    const [error] = document.errors
    if (error !== undefined) {
      const line = error.linePos?.[0].line ?? null
      problems.push({ path, line, reason: error.message.split('\n')[0] ?? error.code })
      continue
    }
    const { line } = lines.linePos(document.contents?.range?.[0] ?? document.range?.[0] ?? 0)
    try {
      collect(document.toJS(), { path, line }, 0, objects, problems)
    } catch (cause) {
      problems.push({ path, line, reason: describeError(cause) })
    }
  }
  return objects
}

function collect(
  value: unknown,
  at: { readonly path: string; readonly line: number },
  depth: number,
  objects: KubernetesObject[],
  problems: ManifestProblem[],
): void {
  if (value === null || value === undefined) return
  const kind = textOf(value, 'kind')
  if (kind.endsWith('List') && Array.isArray(fieldOf(value, 'items')) && depth < LIST_DEPTH_MAX) {
    // Items of a typed list may leave out what the list says for all of them.
    const shared = { apiVersion: textOf(value, 'apiVersion'), kind: kind.slice(0, -'List'.length) }
    for (const item of listOf(value, 'items')) {
      const whole = kind === 'List' || typeof item !== 'object' ? item : { ...shared, ...item }
      collect(whole, at, depth + 1, objects, problems)
    }
  } else if (isKubernetesObject(value)) {
    objects.push(value)
  } else {
    const reason = 'not a Kubernetes object: apiVersion, kind or metadata.name is missing'
    problems.push({ ...at, reason })
  }
}
