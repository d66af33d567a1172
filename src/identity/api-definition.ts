import { gunzipSync } from 'node:zlib'
import { parse } from 'yaml'
import { describeError } from '../errors.ts'
import { fieldOf, type KubernetesObject, listOf, stringsOf, textOf } from './kubernetes-object.ts'
import { shapeOfTemplate } from './path-template.ts'

export interface DefinedOperation {
  /** Upper case. */
  readonly method: string
  /** As declared: `/orders/{id}`, below the API's context. */
  readonly template: string
}

/** The operations that an API's owner declared, in an OpenAPI document. Empty for other documents. */
export interface ApiDefinition {
  readonly operations: readonly DefinedOperation[]
  readonly title: string
  readonly version: string
  /** Path that all operations are below, without a slash at its end; ''. */
  readonly basePath: string
}

const DOCUMENT_BYTES_MAX = 8 * 1024 * 1024
const OPERATIONS_MAX = 2_000
const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace']

/**
 * Reads the definition that APK keeps in a ConfigMap: any one key, gzip in `binaryData` or text in
 * `data`. GraphQL and protobuf documents have no paths and give no operations.
 * A document that cannot be read comes back as the reason, a string.
 */
export function readDefinition(configMap: KubernetesObject): ApiDefinition | string {
  try {
    for (const [, base64] of stringsOf(fieldOf(configMap, 'binaryData'))) {
      return operationsOf(unpack(Buffer.from(base64, 'base64')))
    }
    for (const [, text] of stringsOf(fieldOf(configMap, 'data'))) return operationsOf(text)
  } catch (error) {
    return describeError(error)
  }
  return 'a definition without content'
}

/** The text of an inline definition, as `RouteMetadata` may have it. */
export function parseDefinition(text: string): ApiDefinition | string {
  try {
    return operationsOf(text)
  } catch (error) {
    return describeError(error)
  }
}

function unpack(bytes: Buffer): string {
  const packed = bytes[0] === 0x1f && bytes[1] === 0x8b
  const text = packed ? gunzipSync(bytes, { maxOutputLength: DOCUMENT_BYTES_MAX }) : bytes
  return text.toString('utf8')
}

function operationsOf(text: string): ApiDefinition {
  const operations: DefinedOperation[] = []
  if (text.length > DOCUMENT_BYTES_MAX) throw new RangeError('the document is too big')
  // Only a document that looks like OpenAPI is parsed: SDL and zip archives are none.
  const isOpenApi = /\bpaths\b/.test(text) && /\b(?:openapi|swagger)\b/.test(text)
  const isJson = text.trimStart().startsWith('{')
  const document: unknown = !isOpenApi ? null : isJson ? JSON.parse(text) : parse(text)
  const described = {
    operations,
    title: textOf(document, 'info', 'title'),
    version: textOf(document, 'info', 'version'),
    basePath: basePathOf(document),
  }
  const paths = fieldOf(document, 'paths')
  if (typeof paths !== 'object' || paths === null) return described
  for (const [template, item] of Object.entries(paths)) {
    if (!template.startsWith('/')) continue
    for (const method of METHODS) {
      if (fieldOf(item, method) === undefined || operations.length >= OPERATIONS_MAX) continue
      operations.push({ method: method.toUpperCase(), template })
    }
  }
  return described
}

/** Of the first server; relative or whole, as its author wrote it. Variables of servers say nothing. */
function basePathOf(document: unknown): string {
  const url = textOf(listOf(document, 'servers')[0], 'url') || textOf(document, 'basePath')
  const path = url.replace(/^(?:[a-z][a-z0-9+.-]*:)?\/\/[^/]*/i, '')
  return path.startsWith('/') && !/[{}?#]/.test(path) ? path.replace(/\/$/, '') : ''
}

/** The declared template with the same fixed text as `shape` (see `shapeOfRegex`), for a method or `*`. */
export function declaredTemplate(
  definition: ApiDefinition | null,
  shape: string | null,
  method: string,
): string | undefined {
  if (definition === null || shape === null) return undefined
  return definition.operations.find(
    (operation) =>
      (method === '*' || operation.method === method) &&
      shapeOfTemplate(operation.template) === shape,
  )?.template
}

/** What is declared below `prefix` for `method` or `*`: it tells apart what a prefix route does not. */
export function declaredBelow(
  definition: ApiDefinition | null,
  prefix: string,
  method: string,
): DefinedOperation[] {
  if (definition === null) return []
  const bare = prefix.replace(/\/$/, '')
  return definition.operations.filter(
    (operation) =>
      (method === '*' || operation.method === method) &&
      (operation.template === bare || operation.template.startsWith(`${bare}/`)) &&
      !operation.template.endsWith('*'),
  )
}
