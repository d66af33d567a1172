import { readFile } from 'node:fs/promises'
import { parseDocument } from 'yaml'
import { z } from 'zod'
import { ConfigError } from '../errors.ts'
import { KNOWN_METHODS } from '../model/http-method.ts'
import type { KubernetesObject } from './kubernetes-object.ts'
import { DOCUMENT_LABEL } from './service-documents.ts'

const FILE_BYTES_MAX = 4 * 1_024 * 1_024
const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/

const operation = z
  .string()
  .transform((text) => /^([A-Z]+) (\/\S*)$/.exec(text))
  .refine(
    (match) => match !== null && KNOWN_METHODS.has(match[1] ?? ''),
    'must be a method and a template, such as GET /orders/{id}',
  )
  .transform((match) => ({ method: match?.[1] ?? '', template: match?.[2] ?? '' }))

const overlay = z.strictObject({
  apis: z.array(
    z.strictObject({
      name: z.string().min(1).max(128),
      version: z.coerce.string().max(64).default(''),
      context: z
        .string()
        .regex(/^\/\S*$/, 'must begin with a slash')
        .default('/'),
      service: z.string().refine((text) => {
        const [namespace = '', name = '', ...more] = text.split('/')
        return more.length === 0 && NAME.test(namespace) && NAME.test(name)
      }, 'must be NAMESPACE/SERVICE'),
      operations: z.array(operation).min(1, 'needs at least one operation'),
    }),
  ),
})

/**
 * APIs that no custom resource declares, as whoever runs Weir describes them: each becomes what a
 * ConfigMap with an OpenAPI document for its Service is.
 *
 * @throws {ConfigError} for a file that cannot be read, naming everything that is wrong with it.
 */
export async function readOverlay(path: string): Promise<KubernetesObject[]> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    throw new ConfigError(`Cannot read the overlay ${path}`, { cause })
  }
  if (text.length > FILE_BYTES_MAX)
    throw new ConfigError(`Cannot use the overlay ${path}: it is too large`)
  const document = parseDocument(text, { uniqueKeys: true })
  const [broken] = document.errors
  if (broken !== undefined) {
    throw new ConfigError(`Cannot read the overlay ${path}: ${broken.message}`)
  }
  const parsed = overlay.safeParse(document.toJS({ maxAliasCount: 100 }))
  if (!parsed.success) {
    const lines = parsed.error.issues.map(
      (issue) => `  - ${issue.path.join('.')}: ${issue.message}`,
    )
    throw new ConfigError(`Cannot use the overlay ${path}:\n${lines.join('\n')}`)
  }
  return parsed.data.apis.map(documentOf)
}

type OverlayApi = z.output<typeof overlay>['apis'][number]

function documentOf(api: OverlayApi, index: number): KubernetesObject {
  const [namespace = '', service = ''] = api.service.split('/')
  const paths: Record<string, Record<string, object>> = {}
  for (const { method, template } of api.operations) {
    paths[template] = { ...paths[template], [method.toLowerCase()]: {} }
  }
  const openapi = {
    openapi: '3.0.0',
    info: { title: api.name, version: api.version },
    servers: [{ url: api.context }],
    paths,
  }
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name: `weir-overlay-${index}`,
      namespace,
      labels: { [DOCUMENT_LABEL]: service },
      annotations: { 'weir.dev/api': api.name, 'weir.dev/version': api.version },
    },
    data: { 'openapi.json': JSON.stringify(openapi) },
  }
}
