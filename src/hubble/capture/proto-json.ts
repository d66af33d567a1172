import { type ProtoField, protoType } from '../proto.ts'

type Json = unknown
type Message = Record<string, unknown>

interface Reader {
  /** Field by each of its two JSON spellings: `source_port`, `sourcePort`. */
  readonly fields: ReadonlyMap<string, FieldReader>
}

interface FieldReader {
  readonly name: string
  readonly read: (value: Json) => unknown
}

const readers = new Map<string, Reader>()

/**
 * Reads protojson into the shape that `proto.ts` decodes to, so that captures and streams give the
 * same messages: enums by name or number (an unknown name is 0), 64-bit integers as strings or
 * numbers, RFC 3339 times, bare wrappers, proto and lowerCamelCase names; unknown fields are passed
 * over, as a newer agent may write some.
 *
 * @throws {TypeError} where a value is of the wrong kind; the caller counts it as malformed.
 */
export function messageOfJson(type: string, value: Json): Message {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError(`Cannot read ${type}: not an object`)
  }
  const { fields } = readerOf(type)
  const message: Message = {}
  for (const [key, child] of Object.entries(value)) {
    const field = fields.get(key)
    if (field !== undefined && child !== null) message[field.name] = field.read(child)
  }
  return message
}

function readerOf(type: string): Reader {
  const known = readers.get(type)
  if (known !== undefined) return known
  const fields = new Map<string, FieldReader>()
  readers.set(type, { fields })
  for (const field of protoType(type)?.field ?? []) {
    const read =
      field.label === 'LABEL_REPEATED' ? listOf(readOf(type, field)) : readOf(type, field)
    const reader = { name: field.name, read }
    fields.set(field.name, reader)
    fields.set(camelCase(field.name), reader)
  }
  return { fields }
}

function readOf(type: string, field: ProtoField): (value: Json) => unknown {
  switch (field.type) {
    case 'TYPE_MESSAGE':
      return messageReader(fullName(type, field.typeName))
    case 'TYPE_ENUM':
      return enumReader(fullName(type, field.typeName))
    case 'TYPE_BOOL':
      return readBoolean
    case 'TYPE_STRING':
    case 'TYPE_BYTES':
      return readText
    case 'TYPE_INT32':
      return readInteger
    case 'TYPE_UINT32':
    case 'TYPE_UINT64':
      return readCount
    default:
      return readNumber
  }
}

function messageReader(type: string): (value: Json) => unknown {
  if (type === 'google.protobuf.Timestamp') return readTimestamp
  if (type === 'google.protobuf.Any') return () => ({})
  if (type.startsWith('google.protobuf.') && type.endsWith('Value')) {
    return (value) => ({
      value: type.endsWith('BoolValue') ? readBoolean(value) : readInteger(value),
    })
  }
  return (value) => messageOfJson(type, value)
}

function enumReader(type: string): (value: Json) => number {
  const numbers = new Map(protoType(type)?.value?.map(({ name, number }) => [name, number]))
  return (value) => (typeof value === 'string' ? (numbers.get(value) ?? 0) : readInteger(value))
}

function listOf(read: (value: Json) => unknown): (value: Json) => unknown[] {
  return (value) => {
    if (!Array.isArray(value)) throw new TypeError('Cannot read a list: not an array')
    return value.map(read)
  }
}

function readBoolean(value: Json): boolean {
  if (typeof value !== 'boolean') throw new TypeError('Cannot read a boolean')
  return value
}

function readText(value: Json): string {
  if (typeof value !== 'string') throw new TypeError('Cannot read text')
  return value
}

function readNumber(value: Json): number {
  const number = typeof value === 'string' && value !== '' ? Number(value) : value
  if (typeof number !== 'number' || !Number.isFinite(number)) {
    throw new TypeError('Cannot read a number')
  }
  return number
}

function readInteger(value: Json): number {
  const number = readNumber(value)
  if (!Number.isInteger(number)) throw new TypeError('Cannot read an integer')
  return number
}

/** An unsigned integer. A counter that goes down throws in whoever counts it. */
function readCount(value: Json): number {
  const number = readInteger(value)
  if (number < 0 || number >= 2 ** 64) throw new TypeError('Cannot read an unsigned integer')
  return number
}

const RFC3339 = /^(\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?\d*([Zz]|[+-]\d\d:\d\d)$/

/** RFC 3339 with up to nanoseconds, which `Date` would cut. */
export function readTimestamp(value: Json): { seconds: number; nanos: number } {
  const parts = typeof value === 'string' ? RFC3339.exec(value) : null
  const ms = parts === null ? Number.NaN : Date.parse(`${parts[1]}${parts[3]}`)
  if (parts === null || Number.isNaN(ms)) throw new TypeError('Cannot read a time')
  return { seconds: ms / 1_000, nanos: Number((parts[2] ?? '').padEnd(9, '0')) }
}

/** Type names are relative to the package of the message that uses them, or whole. */
function fullName(user: string, typeName: string): string {
  return typeName.includes('.') ? typeName : `${user.slice(0, user.indexOf('.'))}.${typeName}`
}

function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}
