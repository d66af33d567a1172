import { SinkError } from '../errors.ts'
import type { Encoded } from '../pipeline/contract.ts'

/**
 * Takes events to where they are kept. One call at a time: `delivery.ts` owns the queue, the waiting
 * and the retries, and never calls `publish` while another `publish` runs.
 */
export interface Publisher {
  /** As it stands in the `publisher` label. */
  readonly name: string
  /** @throws {SinkError} retryable: away for now; otherwise it cannot be used, and Weir runs on without. */
  open(): Promise<void>
  /**
   * Publishes events of one topic, in order; resolves once they are safe. After a throw any part of
   * the batch may have arrived: it is sent again, and consumers drop doubles by id.
   * @throws {RefusedError} the events themselves are refused, and will be again.
   * @throws {SinkError} as `open` does.
   */
  publish(batch: readonly Encoded[]): Promise<void>
  /** For good. Safe unopened, twice, and while `open` or `publish` still runs. */
  close(): Promise<void>
}

/** Why an event can never be published: a value of the `reason` label. */
export type RefusalReason = 'too_large' | 'invalid' | 'unknown'

/** At least one event of the batch will be refused however often it is sent. */
export class RefusedError extends SinkError {
  readonly reason: RefusalReason

  constructor(message: string, details: { sink: string; reason: RefusalReason; cause?: unknown }) {
    super(message, { sink: details.sink, retryable: false, cause: details.cause })
    this.reason = details.reason
  }
}
