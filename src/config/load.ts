import { readFileSync } from 'node:fs'
import { parse, YAMLParseError } from 'yaml'
import { z } from 'zod'
import { ConfigError } from '../errors.ts'
import { nearestOf } from './nearest.ts'
import { type Config, configSchema } from './schema.ts'

type Tree = { [key: string]: unknown }
/** What the process was started with. */
export type Environment = Readonly<Record<string, string | undefined>>

export interface LoadOptions {
  /** A named file that is missing is an error; undefined: `weir.yaml` where it exists; null: none. */
  readonly file: string | null | undefined
  readonly environment: Environment
  /** What the flags say, in the shape of the configuration. */
  readonly overrides: Tree
}

export interface Loaded {
  readonly config: Config
  /** Worth saying, but nothing stops for it. */
  readonly warnings: readonly string[]
}

const DEFAULT_FILE = 'weir.yaml'
const PREFIX = 'WEIR_'
const SECRET = /password|secret|token|headers/i

/**
 * Defaults < file < environment < flags. The result is frozen.
 *
 * @throws {ConfigError} naming every wrong option, so that one deploy fixes them all.
 */
export function loadConfig(options: LoadOptions): Loaded {
  const problems: string[] = []
  const warnings: string[] = []
  const tree = readTree(options.file, problems)
  mergeEnvironment(tree, options.environment, problems, warnings)
  merge(tree, options.overrides)
  const expanded = expandFiles(tree, '', problems) as Tree
  const result = configSchema.safeParse(expanded, { reportInput: true })
  if (!result.success) problems.push(...result.error.issues.flatMap((issue) => linesOf(issue)))
  if (problems.length > 0 || !result.success) {
    const origin = options.file ?? 'the configuration'
    throw new ConfigError(`Cannot use ${origin}:\n${problems.map((p) => `  - ${p}`).join('\n')}`)
  }
  return { config: deepFreeze(result.data), warnings }
}

function readTree(file: string | null | undefined, problems: string[]): Tree {
  if (file === null) return {}
  let text: string
  try {
    text = readFileSync(file ?? DEFAULT_FILE, 'utf8')
  } catch (cause) {
    const code = (cause as { code?: unknown }).code
    if (file === undefined && code === 'ENOENT') return {}
    throw new ConfigError(`Cannot read the configuration ${file ?? DEFAULT_FILE}`, { cause })
  }
  try {
    const tree: unknown = parse(text, { logLevel: 'error' })
    if (tree === null || tree === undefined) return {}
    if (typeof tree === 'object' && !Array.isArray(tree)) return tree as Tree
    problems.push('(top level): must be a map of keys')
  } catch (error) {
    problems.push(`(top level): not YAML: ${yamlProblemOf(error)}`)
  }
  return {}
}

/** Without the text at fault, which may be a secret. */
function yamlProblemOf(error: unknown): string {
  const [what = ''] = error instanceof Error ? error.message.split(/:| at line /, 1) : []
  const [at] = error instanceof YAMLParseError ? (error.linePos ?? []) : []
  return at === undefined ? what : `${what} at line ${at.line}, column ${at.col}`
}

/** `WEIR_` and the path in upper snake case; what is no text as JSON. */
function mergeEnvironment(
  tree: Tree,
  environment: Environment,
  problems: string[],
  warnings: string[],
): void {
  const known = new Map(leafPaths(configSchema).map((path) => [variableOf(path), path]))
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith(PREFIX) || value === undefined) continue
    const path = known.get(name)
    if (path === undefined) {
      const bare = [...known.keys()].map((variable) => variable.slice(PREFIX.length))
      const nearest = nearestOf(name.slice(PREFIX.length), bare)
      const hint = nearest === undefined ? '' : `; ${PREFIX}${nearest} is`
      warnings.push(`${name} is no setting${hint}`)
      continue
    }
    try {
      merge(tree, nest(path, takesText(schemaAt(path)) ? value : valueOfText(value)))
    } catch {
      problems.push(`${path.join('.')} (${name}): must be JSON`)
    }
  }
}

/** A password of digits is one, too. */
function takesText(schema: z.ZodType): boolean {
  const { error } = schema.safeParse('')
  const refusesText = (issue: Issue): boolean =>
    issue.path.length === 0 && ['invalid_type', 'invalid_union'].includes(issue.code)
  return error === undefined || !error.issues.some(refusesText)
}

function valueOfText(text: string): unknown {
  return /^(?:[[{"]|-?\d+(?:\.\d+)?$|true$|false$|null$)/.test(text) ? JSON.parse(text) : text
}

function variableOf(path: readonly string[]): string {
  const snake = path.map((part) => part.replace(/([A-Z])/g, '_$1').toUpperCase())
  return `${PREFIX}${snake.join('_')}`
}

/** Every path that a variable may set: each key, objects too. */
function leafPaths(schema: z.ZodType, prefix: readonly string[] = []): string[][] {
  const paths: string[][] = prefix.length > 0 ? [[...prefix]] : []
  for (const [key, child] of Object.entries(shapeOf(schema))) {
    paths.push(...leafPaths(child, [...prefix, key]))
  }
  return paths
}

function shapeOf(schema: z.ZodType): Record<string, z.ZodType> {
  if (schema instanceof z.ZodObject) return schema.shape as Record<string, z.ZodType>
  if (schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return shapeOf(schema.unwrap() as z.ZodType)
  }
  if (schema instanceof z.ZodOptional) return shapeOf(schema.unwrap() as z.ZodType)
  return {}
}

function nest(path: readonly string[], value: unknown): Tree {
  const [key = '', ...rest] = path
  return { [key]: rest.length === 0 ? value : nest(rest, value) }
}

function merge(into: Tree, from: Tree): void {
  for (const [key, value] of Object.entries(from)) {
    const present = into[key]
    if (isTree(value) && isTree(present)) merge(present, value)
    else if (value !== undefined) into[key] = value
  }
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `${file:PATH}` becomes what the file holds, without the line break at its end. */
function expandFiles(value: unknown, path: string, problems: string[]): unknown {
  if (typeof value === 'string') {
    const file = /^\$\{file:(.+)\}$/.exec(value)?.[1]
    if (file === undefined) return value
    try {
      return readFileSync(file, 'utf8').replace(/\r?\n$/, '')
    } catch {
      problems.push(`${path}: cannot read ${file}`)
      return value
    }
  }
  if (Array.isArray(value)) {
    return value.map((item, i) => expandFiles(item, `${path}.${i}`, problems))
  }
  if (!isTree(value)) return value
  const expanded: Tree = {}
  for (const [key, child] of Object.entries(value)) {
    expanded[key] = expandFiles(child, path === '' ? key : `${path}.${key}`, problems)
  }
  return expanded
}

type Issue = z.core.$ZodIssue

function linesOf(issue: Issue): string[] {
  const where = issue.path.join('.') || '(top level)'
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(shapeOf(schemaAt(issue.path)))
    return issue.keys.map((key) => {
      const nearest = nearestOf(key, known)
      const hint = nearest === undefined ? `known: ${known.join(', ')}` : `did you mean ${nearest}?`
      return `${[...issue.path, key].join('.')}: no such key (${hint})`
    })
  }
  const now = SECRET.test(where) ? '***' : show(issue.input)
  return [`${where}: ${issue.message} (now: ${now})`]
}

function schemaAt(path: readonly PropertyKey[]): z.ZodType {
  let schema: z.ZodType = configSchema
  for (const part of path) {
    let inner = schema
    while (
      inner instanceof z.ZodDefault ||
      inner instanceof z.ZodPrefault ||
      inner instanceof z.ZodOptional
    ) {
      inner = inner.unwrap() as z.ZodType
    }
    if (inner instanceof z.ZodArray) schema = inner.element as z.ZodType
    else schema = shapeOf(inner)[String(part)] ?? z.unknown()
  }
  return schema
}

/** Objects may hold secrets further down, so only their kind is shown; a URL without user and password. */
function show(value: unknown): string {
  if (value === undefined) return 'not set'
  return typeof value === 'object' && value !== null
    ? 'an object or list'
    : JSON.stringify(value).replace(/\/\/[^/]*@/, '//***@')
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const child of Object.values(value)) deepFreeze(child)
  }
  return value
}
