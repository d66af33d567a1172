import { z } from 'zod'
import { configSchema } from './schema.ts'

interface JsonSchema {
  readonly type?: string
  readonly description?: string
  readonly default?: unknown
  readonly enum?: readonly unknown[]
  readonly properties?: { readonly [key: string]: JsonSchema }
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
}

/** Every key of the configuration as Markdown: what docs/configuration.md holds, so that it cannot drift. */
export function configurationReference(): string {
  const schema = z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }) as JsonSchema
  const rows = ['| key | default | meaning |', '|---|---|---|']
  for (const [key, child] of Object.entries(schema.properties ?? {})) describe(key, child, rows)
  return rows.join('\n')
}

function describe(path: string, schema: JsonSchema, rows: string[]): void {
  const { properties, items } = schema
  if (properties !== undefined) {
    for (const [key, child] of Object.entries(properties)) describe(`${path}.${key}`, child, rows)
    return
  }
  if (items?.properties !== undefined) {
    rows.push(rowOf(`${path}[]`, schema))
    describe(`${path}[]`, items, rows)
    return
  }
  rows.push(rowOf(path, schema))
  for (const variant of schema.anyOf ?? []) {
    if (variant.properties !== undefined) describe(path, variant, rows)
  }
}

function rowOf(path: string, schema: JsonSchema): string {
  const standard = schema.default === undefined ? '' : `\`${JSON.stringify(schema.default)}\``
  const values = (schema.enum ?? schema.items?.enum ?? []).map((value) => `\`${String(value)}\``)
  const meaning = [values.join(', '), schema.description ?? ''].filter((part) => part !== '')
  return `| \`${path}\` | ${standard} | ${meaning.join('. ')} |`
}
