import {
  type Attributes,
  type HrTime,
  type SpanContext,
  SpanKind,
  type SpanStatus,
  TraceFlags,
} from '@opentelemetry/api'
import type { InstrumentationScope } from '@opentelemetry/core'
import type { Resource } from '@opentelemetry/resources'
import type { ReadableSpan } from '@opentelemetry/sdk-trace'
import type { ApiCall } from '../model/api-call.ts'
import type { Report } from '../model/exchange.ts'
import { Direction } from '../model/flow-view.ts'
import { attributesOf, spanNameOf, statusOf } from './span-attributes.ts'

const SCOPE: InstrumentationScope = {
  name: 'weir',
  schemaUrl: 'https://opentelemetry.io/schemas/1.44.0',
}
const NONE: never[] = []
/** Year 2223: the sum of two such times still is a 64-bit number of nanoseconds. */
const TIME_MAX_MS = 8e12

export interface CallSpanFields {
  readonly call: ApiCall
  /** The account that this span tells: a span is one proxy's report of a call. */
  readonly report: Report
  readonly resource: Resource
  readonly traceId: string
  readonly spanId: string
  /** '' for a root. */
  readonly parentId: string
}

/**
 * A finished span that never was a live one: its ids come from the call, so a replay sends the same
 * span again instead of a second one. Attributes are made when the exporter asks, not before: what
 * waits in the queue costs no more than the call that it holds.
 */
export class CallSpan implements ReadableSpan {
  readonly kind: SpanKind
  readonly parentSpanContext?: SpanContext
  readonly startTime: HrTime
  readonly endTime: HrTime
  readonly duration: HrTime
  readonly resource: Resource
  readonly links = NONE
  readonly events = NONE
  readonly ended = true
  readonly instrumentationScope = SCOPE
  readonly droppedAttributesCount = 0
  readonly droppedEventsCount = 0
  readonly droppedLinksCount = 0
  readonly #call: ApiCall
  readonly #report: Report
  readonly #context: SpanContext

  constructor({ call, report, resource, traceId, spanId, parentId }: CallSpanFields) {
    const startMs = timeOf(report.startMs)
    const durationMs = timeOf(report.durationMs)
    this.#call = call
    this.#report = report
    this.#context = { traceId, spanId, traceFlags: TraceFlags.SAMPLED }
    this.kind = report.direction === Direction.egress ? SpanKind.CLIENT : SpanKind.SERVER
    if (parentId !== '') {
      const traceFlags = TraceFlags.SAMPLED
      this.parentSpanContext = { traceId, spanId: parentId, traceFlags, isRemote: true }
    }
    this.startTime = hrTimeOf(startMs)
    this.endTime = hrTimeOf(startMs + durationMs)
    this.duration = hrTimeOf(durationMs)
    this.resource = resource
  }

  get name(): string {
    return spanNameOf(this.#call)
  }

  get status(): SpanStatus {
    return statusOf(this.#call, this.#report, this.kind)
  }

  get attributes(): Attributes {
    return attributesOf(this.#call, this.#report, this.kind)
  }

  spanContext(): SpanContext {
    return this.#context
  }
}

/** What is no time or duration counts as 0: an answer that never came, a broken clock. */
function timeOf(ms: number): number {
  return ms > 0 ? Math.min(ms, TIME_MAX_MS) : 0
}

/** `ms` as whole seconds, and nanoseconds within them. */
function hrTimeOf(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000)
  const nanos = Math.round((ms - seconds * 1_000) * 1e6)
  return nanos < 1e9 ? [seconds, nanos] : [seconds + 1, 0]
}
