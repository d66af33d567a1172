import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type EventKind, schemaIdOf } from '../../../src/events/cloud-event.ts'
import { encodeCall } from '../../../src/events/encode-call.ts'
import {
  callSchema,
  discoverySchema,
  findingSchema,
  limitSchema,
} from '../../../src/events/schema.ts'
import { callOf, discoveryOf, findingOf, limitOf } from './samples.ts'

const COLUMNS_MAX = 100
const call: unknown = JSON.parse(
  encodeCall({ topic: 't', cluster: 'c' }, callOf()).value.toString(),
)
const SCHEMAS: { kind: EventKind; schema: z.ZodType; sample: unknown }[] = [
  { kind: 'call', schema: callSchema, sample: call },
  { kind: 'finding', schema: findingSchema, sample: findingOf() },
  { kind: 'limit', schema: limitSchema, sample: limitOf() },
  { kind: 'discovery', schema: discoverySchema, sample: discoveryOf() },
]

/** As biome formats it: a list of plain values stands on one line where it fits. */
function print(value: unknown, indent = '', label = ''): string {
  const lead = indent + label
  if (typeof value !== 'object' || value === null) return lead + JSON.stringify(value)
  const inner = `${indent}  `
  if (Array.isArray(value)) {
    const line = `${lead}[${value.map((item) => JSON.stringify(item)).join(', ')}]`
    const plain = value.every((item) => typeof item !== 'object')
    if (plain && line.length < COLUMNS_MAX) return line
    return `${lead}[\n${value.map((item) => print(item, inner)).join(',\n')}\n${indent}]`
  }
  const fields = Object.entries(value).map(([name, field]) => print(field, inner, `"${name}": `))
  return fields.length === 0 ? `${lead}{}` : `${lead}{\n${fields.join(',\n')}\n${indent}}`
}

describe.each(SCHEMAS)('the schema of a $kind', ({ kind, schema, sample }) => {
  it('stands in schemas/ as the code has it (`vitest run -u` writes it)', async () => {
    const { $schema, ...rest } = z.toJSONSchema(schema, { target: 'draft-2020-12' })
    const published = { $schema, $id: schemaIdOf(kind), title: `dev.weir.${kind}.v1`, ...rest }
    const file = `../../../schemas/${kind}.v1.schema.json`
    await expect(`${print(published)}\n`).toMatchFileSnapshot(file)
  })

  it('takes a sample, but no unknown field and no wrong type', () => {
    const fields = sample as Record<string, unknown>
    expect(schema.safeParse(fields).success).toBe(true)
    expect(schema.safeParse({ ...fields, secret: 'x' }).success).toBe(false)
    for (const name of Object.keys(fields)) {
      expect(schema.safeParse({ ...fields, [name]: [{}] }).success, name).toBe(false)
    }
  })
})
