/** Who sent a request, as its `traceparent` header says; hex ids. */
export interface TraceParent {
  readonly traceId: string
  readonly parentId: string
}

/** Version 00 is exactly this; later versions may append fields. Version ff is forbidden. */
const TRACE_PARENT = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/
const NO_TRACE = '0'.repeat(32)
const NO_SPAN = '0'.repeat(16)
/** A valid value of today has 55 characters; what is far longer is not worth a look. */
const LENGTH_MAX = 512

/** Undefined where there is none, or an invalid one. Source: W3C Trace Context, 3.2 `traceparent`. */
export function traceParentOf(header: string): TraceParent | undefined {
  if (header === '' || header.length > LENGTH_MAX) return undefined
  const [, version, traceId = NO_TRACE, parentId = NO_SPAN, rest] = TRACE_PARENT.exec(header) ?? []
  if (traceId === NO_TRACE || parentId === NO_SPAN) return undefined
  return version === '00' && rest !== undefined ? undefined : { traceId, parentId }
}
